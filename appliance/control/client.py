"""The client of the control socket, for the command line and the web process: blocking and small."""

import itertools
import json
import socket
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from pjrpc.common import Request, Response
from pjrpc.common.exceptions import DeserializationError

from appliance.control.box import Hello, SayHello
from appliance.control.codes import error_of
from appliance.control.command import API_VERSION, Command
from appliance.core.errors import OwnerMustAct, RetryLater

A = TypeVar("A")


class DaemonAway(RetryLater):
    """Nobody answers on the control socket."""


class ControlClient:
    """One connection to the daemon, made at the first call and again after it broke. Safe for threads."""

    def __init__(self, path: Path, timeout: float = 30.0) -> None:
        """`path` is the Unix socket; `timeout` in seconds holds for each call."""
        self._path = path
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def call(self, command: Command[A]) -> A:
        """Carry out one command.

        Raises DaemonAway when nobody answers, else the error that the daemon raised (see errors.py).
        """
        with self._lock:
            try:
                fresh = self._socket is None
                if fresh:
                    self._connect()
                try:
                    answer = self._exchange(command)
                except (BrokenPipeError, ConnectionResetError, EOFError):
                    if fresh:
                        raise
                    # The daemon was restarted since the last call: the request was not carried out, or its
                    # answer is lost with the process that gave it. Commands can be repeated.
                    self.close()
                    self._connect()
                    answer = self._exchange(command)
            except (OSError, EOFError) as error:
                self.close()
                raise DaemonAway(_away(self._path, error)) from error
        return msgspec.convert(answer, command.answer)  # type: ignore[no-any-return]

    def close(self) -> None:
        """Drop the connection; the next call makes a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket, self._buffer = None, b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(self._timeout)
        self._socket.connect(str(self._path))
        hello = msgspec.convert(self._exchange(SayHello()), Hello)
        if hello.api != API_VERSION:
            self.close()
            raise OwnerMustAct(
                f"The daemon (version {hello.version}) speaks control version {hello.api}, this program "
                f"{API_VERSION}: restart the daemon so that both are of one version."
            )

    def _exchange(self, command: Command[Any]) -> Any:
        assert self._socket is not None
        params = msgspec.to_builtins(command)
        request = Request(method=command.method, params=params, id=next(self._ids))
        self._socket.sendall(json.dumps(request.to_json()).encode() + b"\n")
        try:
            response = Response.from_json(json.loads(self._line()))
        except (ValueError, DeserializationError) as error:
            self.close()
            raise DaemonAway(f"{self._path} gave an answer that is not JSON-RPC: {error}") from error
        if isinstance(response.error, Exception):
            raise error_of(response.error)
        return response.result

    def _line(self) -> bytes:
        assert self._socket is not None
        parts = [self._buffer]
        while b"\n" not in parts[-1]:
            part = self._socket.recv(1 << 20)
            if not part:
                raise EOFError("the daemon closed the connection")
            parts.append(part)
        line, _, self._buffer = b"".join(parts).partition(b"\n")
        return line


def _away(path: Path, error: Exception) -> str:
    if isinstance(error, FileNotFoundError | ConnectionRefusedError):
        return f"No seedbox answers on {path}. Start it: `make run`, or `systemctl start seedbox`."
    if isinstance(error, PermissionError):
        return f"{path} cannot be used by this user. Use sudo, or join the group seedbox."
    if isinstance(error, TimeoutError):
        return f"The seedbox on {path} did not answer in time. Check its log."
    return f"The connection to {path} broke: {error}."
