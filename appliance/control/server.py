"""The control socket: JSON-RPC 2.0, a message a line, on a Unix socket whose permissions are the gate."""

import asyncio
import contextlib
import logging
import os
import socket
import stat
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import msgspec
from pjrpc.server import AsyncDispatcher, MethodRegistry, exceptions, validators

from appliance.control.codes import INTERNAL, code_of
from appliance.control.command import Command, Route
from appliance.core.errors import Bug, OwnerMustAct, SeedboxError
from appliance.core.tasks import Fail
from appliance.core.text import is_text, readable

log = logging.getLogger(__name__)

MOST_BYTES = 48 * 1024**2
"""The longest line: a .torrent file of 32 MiB as base64, and room for its options."""
MOST_CONNECTIONS = 64
MOST_BRACKETS = 500
"""Opening brackets of one message; no command of ours has a tenth.

Python's JSON reader recurses in C: what is nested 100,000 deep can overflow a thread's stack before Python's
own limit is noticed.
"""

_TOO_LONG = '{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"line too long"}}'
_TOO_DEEP = '{"jsonrpc": "2.0", "id": null, "error": {"code": -32700, "message": "nested too deeply"}}'


class ControlServer:
    """Answers commands, each with its handler, until it is stopped."""

    def __init__(self, path: Path, routes: Iterable[Route], fail: Fail) -> None:
        """`path` is the socket's; `fail` ends the process where the server itself breaks."""
        self._path = path
        self._fail = fail
        self._connections: set[asyncio.Task[None]] = set()
        self._dispatcher = AsyncDispatcher[None]()
        for command, handler in routes:
            registry = MethodRegistry(validator_factory=_Typed(command))
            self._dispatcher.add_methods(registry.add_method(_method(handler, fail), command.method))
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen; the socket is for this user and its group alone.

        Raises OwnerMustAct where the path cannot hold a socket.
        """
        _make_way(self._path)
        listener = _listener(self._path)
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
        except (OSError, asyncio.IncompleteReadError) as error:
            log.debug("a connection to the control socket ended: %s", error)
        except Exception as error:
            self._fail(error)
        finally:
            self._connections.discard(task)
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.LimitOverrunError:
                await _send(writer, _TOO_LONG)
                return
            if answer := await self._answer(line):
                await _send(writer, answer)

    async def _answer(self, line: bytes) -> str | None:
        """The answer to one message; None where the sender wants none (JSON-RPC 2.0, notifications)."""
        if line.count(b"[") + line.count(b"{") > MOST_BRACKETS:
            return _TOO_DEEP
        answered = await self._dispatcher.dispatch(line.decode("utf-8", "replace"), None)
        return answered[0] if answered else None


async def _send(writer: asyncio.StreamWriter, answer: str) -> None:
    writer.write(answer.encode() + b"\n")
    await writer.drain()


def _make_way(path: Path) -> None:
    """Make the socket's folder, and remove the socket of a daemon before us."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise OwnerMustAct(f"{path} is in the way of the control socket. Move it away.")
        path.unlink()


def _listener(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o117)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        remedy = (
            "Use a shorter state folder" if "too long" in str(error) else "Check the folder's permissions"
        )
        raise OwnerMustAct(f"The control socket {path} cannot be opened ({error}). {remedy}.") from error
    finally:
        os.umask(before)
    return listener


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
        if not _readable(params):
            raise validators.ValidationError("a text in it holds half a character, which no text has")
        try:
            return {"command": msgspec.convert(params or {}, self._command)}
        except (msgspec.ValidationError, SeedboxError, RecursionError) as error:
            raise validators.ValidationError(str(error)) from error


def _readable(value: Any) -> bool:
    """Whether all texts in it can be encoded: JSON can name halves of characters (RFC 8259, 8.2)."""
    match value:
        case str():
            return is_text(value)
        case dict():
            return all(map(_readable, value)) and all(map(_readable, value.values()))
        case list():
            return all(map(_readable, value))
    return True


def _method(handler: Callable[[Any], Awaitable[Any]], fail: Fail) -> Callable[[Any], Awaitable[Any]]:
    """A handler as the dispatcher wants it: what the box raises on purpose becomes a JSON-RPC error.

    A Bug, such as a damaged database, ends the process too. An error of any other kind is answered as an
    internal error and logged, and the box goes on: nobody must be able to end it with an odd command.
    """

    async def method(command: Any) -> Any:
        try:
            return msgspec.to_builtins(await handler(command))
        except SeedboxError as error:
            code = code_of(error)
            if code == INTERNAL:
                log.exception("a command failed")
            if isinstance(error, Bug):
                fail(error)
            raise exceptions.JsonRpcError(code=code, message=readable(str(error))) from error

    return method
