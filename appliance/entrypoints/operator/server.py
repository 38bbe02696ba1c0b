"""The ledger's HTTP server: uvicorn, with bounds on what a stranger's connection may cost."""

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from appliance.core.errors import OwnerMustAct
from appliance.entrypoints.operator.app import MOST_BODY, LedgerApp

MOST_CONNECTIONS = 500
REQUEST_S = 20.0
"""A request that has not come by then never will."""
KEEP_S = 60
_MOST_REQUEST = MOST_BODY + 64 * 1024
"""Bytes of a request with its head; as much as one read of a socket may bring besides."""


class _Bounded(HttpToolsProtocol):
    """A connection that sends its requests in time, and in few bytes, or is closed."""

    _timer: asyncio.TimerHandle | None = None
    _taken = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._wait()

    def on_message_begin(self) -> None:
        self._wait()
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._cancel()
        self._taken = 0
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        self._taken += len(data)
        if self._taken > _MOST_REQUEST:
            self.transport.abort()
            return
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._cancel()
        self._timer = self.loop.call_later(REQUEST_S, self.transport.abort)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class LedgerServer(uvicorn.Server):
    """Serves one ledger; `should_exit` ends it. Signals are its caller's business."""

    def __init__(self, app: LedgerApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_Bounded,
                ws="none",
                lifespan="on",
                loop="asyncio",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_S,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=5,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave them alone."""
        yield


def listen(address: str, port: int) -> socket.socket:
    """A listening socket. Raises OwnerMustAct where the port is taken."""
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        made = socket.create_server((address, port), family=family, backlog=MOST_CONNECTIONS)
    except OSError as error:
        raise OwnerMustAct(
            f"The ledger cannot listen on {address} port {port} ({error.strerror}). End the other "
            "program, or set ledger.port in seedbox.toml to another one."
        ) from error
    # Handed on to every connection. asyncio sets it by itself only where a socket names its protocol, and an
    # answer whose head and body are two segments would wait 40 ms between them.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
