"""The control socket: JSON-RPC 2.0, a message a line, on a Unix socket whose permissions are the gate."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from pjrpc.server import AsyncDispatcher, MethodRegistry, exceptions, validators

from appliance.control.api import COMMANDS, Command
from appliance.control.codes import INTERNAL, code_of
from appliance.core.errors import OwnerMustAct, SeedboxError

log = logging.getLogger(__name__)

MOST_BYTES = 48 * 1024**2
"""The longest line: a .torrent file of 32 MiB as base64, and room for its options."""
MOST_CONNECTIONS = 64
MOST_BRACKETS = 500
"""Opening brackets of one message; no command of ours has a tenth.

Python's JSON reader recurses in C: what is nested 100,000 deep can overflow a thread's stack before Python's
own limit is noticed.
"""

Handler = Callable[[Any], Awaitable[Any]]


_TOO_DEEP = '{"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "nested too deeply"}}'


class ControlServer:
    """Answers the commands of control/api.py with the given handlers, one for each command."""

    def __init__(self, path: Path, handlers: Mapping[type[Command[Any]], Handler]) -> None:
        missing = set(COMMANDS.values()) - set(handlers)
        if missing:
            raise ValueError(f"no handler for {sorted(command.__name__ for command in missing)}")
        self._path = path
        self._connections: set[asyncio.Task[None]] = set()
        self._dispatcher = AsyncDispatcher[None]()
        for command, handler in handlers.items():
            registry = MethodRegistry(validator_factory=_Typed(command))
            self._dispatcher.add_methods(registry.add_method(_method(handler), command.method))
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; the socket is for this user and its group alone.

        Raises OwnerMustAct where the path cannot hold a socket.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            if not stat.S_ISSOCK(self._path.lstat().st_mode):
                raise OwnerMustAct(f"{self._path} is in the way of the control socket; move it away.")
            self._path.unlink()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o117)
        try:
            listener.bind(str(self._path))
        except OSError as error:
            listener.close()
            hint = (
                "use a shorter state folder" if "too long" in str(error) else "check the folder's permissions"
            )
            raise OwnerMustAct(f"{self._path} cannot be the control socket ({error}); {hint}.") from error
        finally:
            os.umask(before)
        self._server = await asyncio.start_unix_server(self._accept, sock=listener, limit=MOST_BYTES)

    async def stop(self) -> None:
        """Close the socket and every connection."""
        if self._server is None:
            return
        self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        with contextlib.suppress(OSError):
            self._path.unlink()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(self._connections) >= MOST_CONNECTIONS:
            writer.close()
            return
        self._connections.add(task)
        try:
            await self._serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except OSError as error:
            if error.errno not in (errno.EPIPE, errno.ECONNRESET):
                raise
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                writer.write(
                    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"line too long"}}\n'
                )
                await writer.drain()
                return
            if line.count(b"[") + line.count(b"{") > MOST_BRACKETS:
                answered: tuple[str, tuple[int, ...]] | None = (_TOO_DEEP, (-32700,))
            else:
                answered = await self._dispatcher.dispatch(line.decode("utf-8", "replace"), None)
            if answered is not None:
                writer.write(answered[0].encode() + b"\n")
                await writer.drain()


class _Typed(validators.BaseValidatorFactory):
    """Checks the parameters of a method against its command, and hands the command to the handler."""

    def __init__(self, command: type[Command[Any]]) -> None:
        super().__init__()
        self._command = command

    def build(self, method: Callable[..., Any]) -> "_Validator":
        """The validator of one method."""
        return _Validator(method, self._command)


class _Validator(validators.BaseValidator):
    def __init__(self, method: Callable[..., Any], command: type[Command[Any]]) -> None:
        super().__init__(method)
        self._command = command

    def validate_params(self, params: Any) -> dict[str, Any]:
        """The one argument of the handler; raises ValidationError where the parameters are not a command."""
        try:
            return {"command": msgspec.convert(params or {}, self._command)}
        except (msgspec.ValidationError, SeedboxError, RecursionError) as error:
            raise validators.ValidationError(str(error)) from error


def _method(handler: Handler) -> Handler:
    async def method(command: Any) -> Any:
        try:
            return msgspec.to_builtins(await handler(command))
        except SeedboxError as error:
            code = code_of(error)
            if code == INTERNAL:
                log.exception("a command failed")
            raise exceptions.JsonRpcError(code=code, message=str(error)) from error

    return method
