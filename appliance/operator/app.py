"""The ledger's HTTP API: one table of what can be asked; the routes and the OpenAPI document come from it."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from appliance import __version__
from appliance.clock import Clock
from appliance.errors import NotFound, OwnerMustAct, PeerMisbehaved, RetryLater, SeedboxError
from appliance.keys import parse_address
from appliance.ledger.book import NotEnough
from appliance.ledger.request import AT, KEY, NONCE, SIGNATURE, Request, Signer, WrongTime, check
from appliance.operator import wire
from appliance.operator.service import Operator, Replayed

MOST_BODY = 16 * 1024
_FIGURES_S = 1.0
T = TypeVar("T")


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
                wire.AccountInfo,
                self.transfer,
                wire.NewTransfer,
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
            ),
            Route("GET", "/v1/channels/{channel}", "One channel.", wire.ChannelInfo, self.channel),
            Route(
                "POST",
                "/v1/channels/{channel}/close",
                "Close a channel, or begin to.",
                wire.ChannelInfo,
                self.close,
                wire.Closing,
            ),
            Route(
                "POST",
                "/v1/channels/{channel}/dispute",
                "Show a higher state.",
                wire.ChannelInfo,
                self.dispute,
                wire.Dispute,
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

    def transfer(self, call: Call) -> wire.AccountInfo:
        self._operator.transfer(call.signer, call.body)
        return self.account(call)

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

    def open(self, call: Call) -> wire.ChannelInfo:
        return wire.channel_info(self._operator.open(call.signer, call.body))

    def channel(self, call: Call) -> wire.ChannelInfo:
        return wire.channel_info(self._operator.channel(call.signer.address, call.channel))

    def close(self, call: Call) -> wire.ChannelInfo:
        return wire.channel_info(self._operator.close(call.signer, call.channel, call.body.state))

    def dispute(self, call: Call) -> wire.ChannelInfo:
        return wire.channel_info(self._operator.dispute(call.signer, call.channel, call.body.state))


def create_app(operator: Operator, clock: Clock) -> Flask:
    """The application of one ledger."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MOST_BODY
    api = Api(operator, clock)
    for route in api.routes:
        app.add_url_rule(
            route.path.replace("{", "<").replace("}", ">"),
            endpoint=f"{route.method} {route.path}",
            view_func=_view(route, operator, clock),
            methods=[route.method],
        )
    document = msgspec.json.encode(openapi(api.routes, operator.name))

    @app.get("/openapi.json")
    def described() -> ResponseReturnValue:
        return Response(document, content_type="application/json")

    @app.errorhandler(SeedboxError)
    def refused(error: SeedboxError) -> ResponseReturnValue:
        status, code = _status(error)
        now = clock.now() if isinstance(error, WrongTime) else None
        answer = _answer(wire.Problem(code, str(error), now), status)
        if status == 503:
            answer.headers["Retry-After"] = "5"
        return answer

    @app.errorhandler(HTTPException)
    def other(error: HTTPException) -> ResponseReturnValue:
        return _answer(wire.Problem("http", error.description or error.name), error.code or 500)

    return app


def _view(route: Route, operator: Operator, clock: Clock) -> Callable[..., ResponseReturnValue]:
    def view(**path: str) -> ResponseReturnValue:
        raw = request.get_data()
        signer = None
        if route.signed:
            # The target as it came over the line: what was signed is not what a parser makes of it.
            target = request.environ["REQUEST_URI"]
            try:
                signer = check(
                    dict(request.headers), operator.id, Request(request.method, target, raw), clock.now()
                )
            except WrongTime:
                raise
            except PeerMisbehaved as error:
                raise Unsigned(str(error)) from error
        body = _parsed(raw, route.takes) if route.takes else None
        return _answer(route.run(Call(signer, body, path, request.args.to_dict())))

    return view


def _parsed(raw: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(raw, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise OwnerMustAct(f"The request is not as it should be: {error}.") from error


def _answer(answer: object, status: int = 200) -> Response:
    return Response(
        wire.encode(answer), status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


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
