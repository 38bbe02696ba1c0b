"""What can be asked of the ledger over HTTP: one table, from which the OpenAPI document comes too."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from appliance.adapters.ledger_http import messages as wire
from appliance.core.clock import Clock
from appliance.core.errors import NotFound, OwnerMustAct
from appliance.core.keys import parse_address
from appliance.domain.ledger.request import Signer
from appliance.entrypoints.operator.requests import SignedRequest
from appliance.entrypoints.operator.service import Operator

_FIGURES_S = 1.0


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
            raise OwnerMustAct(f"{name} must be a whole number.")
        return int(text)

    @property
    def channel(self) -> bytes:
        """The id of the channel in the path. Raises NotFound."""
        text = self.path["channel"]
        if not re.fullmatch(r"[0-9a-f]{64}", text, re.ASCII):
            raise NotFound("A channel's id is 64 hex digits.")
        return bytes.fromhex(text)


@dataclass(frozen=True, slots=True)
class LedgerRoute:
    """One request that the ledger takes."""

    method: str
    path: str
    summary: str
    gives: type
    run: Callable[["Api", Call], object]
    takes: Any = None
    signed: bool = True
    together: bool = False
    """`run` gives an `Asked`, which is done in one transaction with what others ask at the same time."""
    query: tuple[str, ...] = ()


class Api:
    """What each route does with one operator."""

    def __init__(self, operator: Operator, clock: Clock) -> None:
        self._operator = operator
        self._clock = clock
        self._figures: tuple[float, wire.LedgerInfo] | None = None

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

    def transfer(self, call: Call) -> SignedRequest[wire.TransferInfo]:
        asked = self._operator.requests.transferring(call.signer, call.body)
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

    def open(self, call: Call) -> SignedRequest[wire.ChannelInfo]:
        return self._operator.requests.opening(call.signer, call.body).then(wire.channel_info)

    def channel(self, call: Call) -> wire.ChannelInfo:
        return wire.channel_info(self._operator.channel(call.signer.address, call.channel))

    def close(self, call: Call) -> SignedRequest[wire.ChannelInfo]:
        asked = self._operator.requests.closing(call.signer, call.channel, call.body.state)
        return asked.then(wire.channel_info)

    def dispute(self, call: Call) -> SignedRequest[wire.ChannelInfo]:
        asked = self._operator.requests.disputing(call.signer, call.channel, call.body.state)
        return asked.then(wire.channel_info)


ROUTES: tuple[LedgerRoute, ...] = (
    LedgerRoute(
        "GET",
        "/v1/ledger",
        "Show who runs this ledger, and its figures.",
        wire.LedgerInfo,
        Api.ledger,
        signed=False,
    ),
    LedgerRoute("GET", "/v1/account", "Show your balance.", wire.AccountInfo, Api.account),
    LedgerRoute(
        "GET",
        "/v1/statement",
        "List the lines of your account.",
        wire.Statement,
        Api.statement,
        query=("after", "count"),
    ),
    LedgerRoute(
        "POST",
        "/v1/transfers",
        "Pay another account.",
        wire.TransferInfo,
        Api.transfer,
        wire.NewTransfer,
        together=True,
    ),
    LedgerRoute("GET", "/v1/withdrawals", "List your withdrawals.", wire.Withdrawals, Api.withdrawals),
    LedgerRoute(
        "POST",
        "/v1/withdrawals",
        "Withdraw money to the chain.",
        wire.WithdrawalInfo,
        Api.withdraw,
        wire.NewWithdrawal,
    ),
    LedgerRoute(
        "POST",
        "/v1/withdrawals/{withdrawal}/cancel",
        "Cancel a withdrawal that is not signed yet.",
        wire.WithdrawalInfo,
        Api.cancel,
    ),
    LedgerRoute("GET", "/v1/payout", "Show your payout address.", wire.PayoutInfo, Api.payout),
    LedgerRoute(
        "POST",
        "/v1/payout",
        "Change your payout address; it takes effect after a time lock.",
        wire.PayoutInfo,
        Api.set_payout,
        wire.NewPayout,
    ),
    LedgerRoute(
        "POST",
        "/v1/mark",
        "Leave a mark, by which a box notices that its database is a copy.",
        wire.MarkInfo,
        Api.mark,
        wire.NewMark,
    ),
    LedgerRoute("GET", "/v1/channels", "List your channels.", wire.Channels, Api.channels),
    LedgerRoute(
        "POST",
        "/v1/channels",
        "Lock money in a channel.",
        wire.ChannelInfo,
        Api.open,
        wire.NewChannel,
        together=True,
    ),
    LedgerRoute("GET", "/v1/channels/{channel}", "Show a channel.", wire.ChannelInfo, Api.channel),
    LedgerRoute(
        "POST",
        "/v1/channels/{channel}/close",
        "Close a channel, or start to close it.",
        wire.ChannelInfo,
        Api.close,
        wire.Closing,
        together=True,
    ),
    LedgerRoute(
        "POST",
        "/v1/channels/{channel}/dispute",
        "Show a higher state.",
        wire.ChannelInfo,
        Api.dispute,
        wire.Dispute,
        together=True,
    ),
)


class Unknown(Exception):
    """A request that no route takes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def find_route(method: str, path: str) -> tuple[LedgerRoute, dict[str, str]]:
    """The route of a request, and what its path names. Raises Unknown."""
    if found := _EXACT.get(("GET" if method == "HEAD" else method, path)):
        return found, {}
    fits = [(route, match) for pattern, route in _MATCHED if (match := pattern.fullmatch(path))]
    for route, match in fits:
        if route.method == method:
            return route, match.groupdict()
    raise Unknown(405 if fits or path in _PATHS else 404, "No such request; see /openapi.json.")


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", path))


_EXACT = {(route.method, route.path): route for route in ROUTES if "{" not in route.path}
_MATCHED = [(_pattern(route.path), route) for route in ROUTES if "{" in route.path]
_PATHS = {path for _, path in _EXACT}
