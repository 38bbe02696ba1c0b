"""The ledger's HTTP service, as an ASGI application; routes.py says what can be asked."""

import asyncio
import logging
import urllib.parse
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec

from appliance.adapters.ledger_http import messages as wire
from appliance.core.clock import Clock
from appliance.core.errors import NotFound, OwnerMustAct, PeerMisbehaved, RetryLater, SeedboxError
from appliance.domain.ledger.book import NotEnough
from appliance.domain.ledger.request import AT, KEY, NONCE, SIGNATURE, Request, Signer, WrongTime, check
from appliance.entrypoints.operator.batch import Batches
from appliance.entrypoints.operator.openapi import openapi
from appliance.entrypoints.operator.requests import Replayed
from appliance.entrypoints.operator.routes import ROUTES, Api, Call, Unknown, find_route
from appliance.entrypoints.operator.service import Operator

log = logging.getLogger(__name__)

MOST_BODY = 16 * 1024
READERS = 4
"""Threads for requests that are answered by themselves."""
_HEADERS = {name.lower().encode(): name for name in (AT, KEY, NONCE, SIGNATURE)}
_MORE_HEADERS = {503: [(b"retry-after", b"5")], 413: [(b"connection", b"close")]}
T = TypeVar("T")
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Unsigned(PeerMisbehaved):
    """A request that needs a signature has none that is good."""


class LedgerApp:
    """The ledger over HTTP, as an ASGI application (https://asgi.readthedocs.io, 3.0)."""

    def __init__(self, operator: Operator, clock: Clock, ready: Callable[[], None] = lambda: None) -> None:
        """`ready` is called when requests are answered."""
        self._operator, self._clock, self._ready = operator, clock, ready
        self._api = Api(operator, clock)
        self._document = msgspec.json.encode(openapi(ROUTES, operator.name))
        self._batches: Batches | None = None
        self._readers = ThreadPoolExecutor(READERS, "ledger")

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        """One request, or the life of the server."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        body = await _body(receive)
        status, answer = await self._respond(scope, body)
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(answer)).encode()),
            (b"cache-control", b"no-store"),
            *_MORE_HEADERS.get(status, ()),
        ]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": answer if scope["method"] != "HEAD" else b""})

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        self._batches = Batches(self._operator.together)
        await send({"type": "lifespan.startup.complete"})
        self._ready()
        await receive()
        await self._batches.close()
        self._readers.shutdown()
        await send({"type": "lifespan.shutdown.complete"})

    async def _respond(self, scope: Any, body: bytes | None) -> tuple[int, bytes]:
        """(status, JSON)."""
        if body is None:
            return 413, _problem("http", f"A request has at most {MOST_BODY} bytes.")
        try:
            return 200, await self._run(scope, body)
        except Unknown as error:
            return error.status, _problem("http", str(error))
        except SeedboxError as error:
            status, code = _status(error)
            if status == 500:
                log.exception("a request failed")
            now = self._clock.now() if isinstance(error, WrongTime) else None
            return status, _problem(code, str(error), now)
        except Exception:
            log.exception("a request failed")
            return 500, _problem("fault", "Something went wrong in the ledger. See its log.")

    async def _run(self, scope: Any, body: bytes) -> bytes:
        if scope["path"] == "/openapi.json" and scope["method"] in ("GET", "HEAD"):
            return self._document
        route, path = find_route(scope["method"], scope["path"])
        # The target as it came over the line: what was signed is not what a parser makes of it.
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        signer = self._signer(scope, Request(route.method, target, body)) if route.signed else None
        parsed = _parsed(body, route.takes) if route.takes else None
        call = Call(signer, parsed, path, dict(urllib.parse.parse_qsl(query, max_num_fields=20)))
        assert self._batches is not None
        if route.together:
            asked: Any = route.run(self._api, call)
            return wire.encode(await self._batches.add(asked))
        loop = asyncio.get_running_loop()
        return wire.encode(await loop.run_in_executor(self._readers, route.run, self._api, call))

    def _signer(self, scope: Any, request: Request) -> Signer:
        headers = {}
        for name, value in scope["headers"]:
            if known := _HEADERS.get(name):
                headers[known] = value.decode("latin-1")
        try:
            return check(headers, self._operator.id, request, self._clock.now())
        except WrongTime:
            raise
        except PeerMisbehaved as error:
            raise Unsigned(str(error)) from error


async def _body(receive: Receive) -> bytes | None:
    """The whole body; None where it is too long."""
    parts, size = [], 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > MOST_BODY:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _problem(code: str, message: str, time: int | None = None) -> bytes:
    return wire.encode(wire.Problem(code, message, time))


def _parsed(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OwnerMustAct(f"Invalid request: {error}.") from error


_STATUSES: tuple[tuple[type[SeedboxError], int, str], ...] = (
    (WrongTime, 401, "clock"),
    (Unsigned, 401, "unsigned"),
    (Replayed, 409, "replayed"),
    (NotEnough, 409, "not-enough"),
    (NotFound, 404, "not-found"),
    (OwnerMustAct, 422, "refused"),
    (PeerMisbehaved, 422, "bad-state"),
    (RetryLater, 503, "later"),
)
"""HTTP status and code of each refusal; the first that fits."""


def _status(error: SeedboxError) -> tuple[int, str]:
    found = ((status, code) for kind, status, code in _STATUSES if isinstance(error, kind))
    return next(found, (500, "fault"))
