"""The ledger's HTTP API: one table of what can be asked; the routes and the OpenAPI document come from it."""

import asyncio
import logging
import re
import time
import urllib.parse
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from appliance import __version__
from appliance.adapters.ledger_http import messages as wire
from appliance.core.clock import Clock
from appliance.core.errors import NotFound, OwnerMustAct, PeerMisbehaved, RetryLater, SeedboxError
from appliance.core.keys import parse_address
from appliance.domain.ledger.book import NotEnough
from appliance.domain.ledger.request import AT, KEY, NONCE, SIGNATURE, Request, Signer, WrongTime, check
from appliance.entrypoints.operator.batch import Batches
from appliance.entrypoints.operator.service import Asked, Operator, Replayed

log = logging.getLogger(__name__)

MOST_BODY = 16 * 1024
READERS = 4
"""Threads for requests that are answered by themselves."""
_FIGURES_S = 1.0
_HEADERS = {name.lower().encode(): name for name in (AT, KEY, NONCE, SIGNATURE)}
T = TypeVar("T")
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class Unsigned(PeerMisbehaved):
    """A request that needs a signature has none that is good."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as far as its route asks for it."""

    by: Signer | None
    body: Any
    path: dict[str, str]
    query: dict[str, str]

    @property
    def signer(self) -> Signer:
        """Who has signed it."""
        assert self.by is not None
        return self.by

    def number(self, name: str, default: int) -> int:
        """A whole number of the query. Raises OwnerMustAct."""
        text = self.query.get(name, str(default))
        if not re.fullmatch(r"[0-9]{1,15}", text, re.ASCII):
            raise OwnerMustAct(f"{name} is a whole number.")
        return int(text)

    @property
    def channel(self) -> bytes:
        """The id of the channel in the path. Raises NotFound."""
        text = self.path["channel"]
        if not re.fullmatch(r"[0-9a-f]{64}", text, re.ASCII):
            raise NotFound("A channel's id is 64 hex digits.")
        return bytes.fromhex(text)


@dataclass(frozen=True, slots=True)
class Route:
    """One thing that can be asked."""

    method: str
    path: str
    says: str
    gives: type
    run: Callable[[Call], object]
    takes: Any = None
    signed: bool = True
    together: bool = False
    """What `run` gives is `Asked`, and done in one transaction with what others ask at the same time."""
    query: tuple[str, ...] = ()


class Api:
    """The routes over one operator."""

    def __init__(self, operator: Operator, clock: Clock) -> None:
        self._operator = operator
        self._clock = clock
        self._figures: tuple[float, wire.LedgerInfo] | None = None
        self.routes = (
            Route(
                "GET",
                "/v1/ledger",
                "Who keeps this ledger, and its figures.",
                wire.LedgerInfo,
                self.ledger,
                signed=False,
            ),
            Route("GET", "/v1/account", "One's own balance.", wire.AccountInfo, self.account),
            Route(
                "GET",
                "/v1/statement",
                "Lines of one's own account.",
                wire.Statement,
                self.statement,
                query=("after", "count"),
            ),
            Route(
                "POST",
                "/v1/transfers",
                "Pay another account.",
                wire.TransferInfo,
                self.transfer,
                wire.NewTransfer,
                together=True,
            ),
            Route("GET", "/v1/withdrawals", "One's own.", wire.Withdrawals, self.withdrawals),
            Route(
                "POST",
                "/v1/withdrawals",
                "Ask for money on the chain.",
                wire.WithdrawalInfo,
                self.withdraw,
                wire.NewWithdrawal,
            ),
            Route(
                "POST",
                "/v1/withdrawals/{withdrawal}/cancel",
                "Take a withdrawal back that is not signed yet.",
                wire.WithdrawalInfo,
                self.cancel,
            ),
            Route("GET", "/v1/payout", "Where one's money may leave to.", wire.PayoutInfo, self.payout),
            Route(
                "POST",
                "/v1/payout",
                "Another payout address, in force after a time lock.",
                wire.PayoutInfo,
                self.set_payout,
                wire.NewPayout,
            ),
            Route(
                "POST",
                "/v1/mark",
                "Leave a mark, by which a copy of one's own database can be told.",
                wire.MarkInfo,
                self.mark,
                wire.NewMark,
            ),
            Route("GET", "/v1/channels", "One's own channels.", wire.Channels, self.channels),
            Route(
                "POST",
                "/v1/channels",
                "Lock money in a channel.",
                wire.ChannelInfo,
                self.open,
                wire.NewChannel,
                together=True,
            ),
            Route("GET", "/v1/channels/{channel}", "One channel.", wire.ChannelInfo, self.channel),
            Route(
                "POST",
                "/v1/channels/{channel}/close",
                "Close a channel, or begin to.",
                wire.ChannelInfo,
                self.close,
                wire.Closing,
                together=True,
            ),
            Route(
                "POST",
                "/v1/channels/{channel}/dispute",
                "Show a higher state.",
                wire.ChannelInfo,
                self.dispute,
                wire.Dispute,
                together=True,
            ),
        )

    def ledger(self, call: Call) -> wire.LedgerInfo:
        """Anybody may ask as often as they like: the sums are made once a second."""
        if self._figures is None or time.monotonic() - self._figures[0] > _FIGURES_S:
            found = self._operator.figures()
            info = wire.LedgerInfo(
                id=self._operator.id.hex(),
                name=self._operator.name,
                time=0,
                held=str(found.held),
                outside=str(found.outside),
                solid=None if found.solid is None else str(found.solid),
                difference=None if found.solid is None else str(found.solid - found.held),
                gateway=found.gateway,
            )
            self._figures = (time.monotonic(), info)
        return msgspec.structs.replace(self._figures[1], time=self._clock.now())

    def account(self, call: Call) -> wire.AccountInfo:
        balance, locked = self._operator.account(call.signer.address)
        return wire.AccountInfo(call.signer.address, str(balance), str(locked))

    def statement(self, call: Call) -> wire.Statement:
        after, count = call.number("after", 0), call.number("count", 100)
        lines = self._operator.statement(call.signer.address, after, count)
        return wire.Statement([wire.line_info(line) for line in lines])

    def transfer(self, call: Call) -> Asked[wire.TransferInfo]:
        asked = self._operator.transferring(call.signer, call.body)
        return asked.then(lambda balance: wire.TransferInfo(str(balance)))

    def withdraw(self, call: Call) -> wire.WithdrawalInfo:
        return wire.withdrawal_info(self._operator.withdraw(call.signer, call.body))

    def cancel(self, call: Call) -> wire.WithdrawalInfo:
        return wire.withdrawal_info(self._operator.cancel(call.signer, call.path["withdrawal"]))

    def payout(self, call: Call) -> wire.PayoutInfo:
        return wire.payout_info(self._operator.payout(call.signer.address), self._clock.now())

    def set_payout(self, call: Call) -> wire.PayoutInfo:
        after = self._operator.set_payout(call.signer, parse_address(call.body.to))
        return wire.payout_info(after, self._clock.now())

    def mark(self, call: Call) -> wire.MarkInfo:
        return wire.MarkInfo(self._operator.mark(call.signer, call.body))

    def withdrawals(self, call: Call) -> wire.Withdrawals:
        found = self._operator.withdrawals(call.signer.address)
        return wire.Withdrawals([wire.withdrawal_info(one) for one in found])

    def channels(self, call: Call) -> wire.Channels:
        found = self._operator.channels(call.signer.address)
        return wire.Channels([wire.channel_info(one) for one in found])

    def open(self, call: Call) -> Asked[wire.ChannelInfo]:
        return self._operator.opening(call.signer, call.body).then(wire.channel_info)

    def channel(self, call: Call) -> wire.ChannelInfo:
        return wire.channel_info(self._operator.channel(call.signer.address, call.channel))

    def close(self, call: Call) -> Asked[wire.ChannelInfo]:
        asked = self._operator.closing(call.signer, call.channel, call.body.state)
        return asked.then(wire.channel_info)

    def dispute(self, call: Call) -> Asked[wire.ChannelInfo]:
        asked = self._operator.disputing(call.signer, call.channel, call.body.state)
        return asked.then(wire.channel_info)


class App:
    """The ledger over HTTP, as an ASGI application (https://asgi.readthedocs.io, 3.0)."""

    def __init__(self, operator: Operator, clock: Clock, ready: Callable[[], None] = lambda: None) -> None:
        """`ready` is called when requests are answered."""
        self._operator, self._clock, self._ready = operator, clock, ready
        api = Api(operator, clock)
        self._exact = {(route.method, route.path): route for route in api.routes if "{" not in route.path}
        self._matched = [(_pattern(route.path), route) for route in api.routes if "{" in route.path]
        self._paths = {path for _, path in self._exact}
        self._document = msgspec.json.encode(openapi(api.routes, operator.name))
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
        ]
        if status == 503:
            headers.append((b"retry-after", b"5"))
        if status == 413:
            headers.append((b"connection", b"close"))
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
            return 500, _problem("fault", "The ledger has failed at this. Its log says more.")

    async def _run(self, scope: Any, body: bytes) -> bytes:
        if scope["path"] == "/openapi.json" and scope["method"] in ("GET", "HEAD"):
            return self._document
        route, path = self._route(scope["method"], scope["path"])
        # The target as it came over the line: what was signed is not what a parser makes of it.
        query = scope["query_string"].decode("latin-1")
        target = scope["raw_path"].decode("latin-1") + (f"?{query}" if query else "")
        signer = self._signer(scope, Request(route.method, target, body)) if route.signed else None
        parsed = _parsed(body, route.takes) if route.takes else None
        call = Call(signer, parsed, path, dict(urllib.parse.parse_qsl(query, max_num_fields=20)))
        assert self._batches is not None
        if route.together:
            asked: Any = route.run(call)
            return wire.encode(await self._batches.add(asked))
        return wire.encode(await asyncio.get_running_loop().run_in_executor(self._readers, route.run, call))

    def _route(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        if found := self._exact.get(("GET" if method == "HEAD" else method, path)):
            return found, {}
        known = path in self._paths
        for pattern, route in self._matched:
            if fits := pattern.fullmatch(path):
                if route.method == method:
                    return route, fits.groupdict()
                known = True
        raise Unknown(405 if known else 404, "There is no such request; see /openapi.json.")

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


class Unknown(Exception):
    """A request that no route takes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


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


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path))


def _problem(code: str, message: str, time: int | None = None) -> bytes:
    return wire.encode(wire.Problem(code, message, time))


def _parsed(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OwnerMustAct(f"The request is not as it should be: {error}.") from error


def _status(error: SeedboxError) -> tuple[int, str]:
    """HTTP status and code of a refusal."""
    for kind, status, code in (
        (WrongTime, 401, "clock"),
        (Unsigned, 401, "unsigned"),
        (Replayed, 409, "replayed"),
        (NotEnough, 409, "not-enough"),
        (NotFound, 404, "not-found"),
        (OwnerMustAct, 422, "refused"),
        (PeerMisbehaved, 422, "bad-state"),
        (RetryLater, 503, "later"),
    ):
        if isinstance(error, kind):
            return status, code
    return 500, "fault"


def openapi(routes: tuple[Route, ...], name: str) -> dict[str, Any]:
    """The description of the API (OpenAPI 3.1)."""
    types = [wire.Problem, *{kind for route in routes for kind in (route.gives, route.takes) if kind}]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    refs = dict(zip(types, schemas, strict=True))

    def content(kind: Any) -> dict[str, Any]:
        return {"application/json": {"schema": refs[kind]}}

    paths: dict[str, Any] = {}
    for route in routes:
        parameters: list[dict[str, Any]] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"{(\w+)}", route.path)
        ]
        parameters += [{"name": one, "in": "query", "schema": {"type": "integer"}} for one in route.query]
        operation: dict[str, Any] = {
            "summary": route.says,
            "operationId": f"{route.method.lower()}_{re.sub(r'[^a-z]+', '_', route.path[4:])}".rstrip("_"),
            "parameters": parameters,
            "responses": {
                "200": {"description": "Done.", "content": content(route.gives)},
                "default": {"description": "Refused.", "content": content(wire.Problem)},
            },
        }
        if route.takes:
            operation["requestBody"] = {"required": True, "content": content(route.takes)}
        if route.signed:
            operation["security"] = [{"key": [], "at": [], "nonce": [], "signature": []}]
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    headers = {"key": KEY, "at": AT, "nonce": NONCE, "signature": SIGNATURE}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Ledger {name}", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                scheme: {"type": "apiKey", "in": "header", "name": header}
                for scheme, header in headers.items()
            },
        },
    }
