"""Asking a ledger: signed, typed, and again with the same name where an answer was lost."""

import contextlib
import http.client
import secrets
import socket
import ssl
import urllib.parse
from typing import Any, TypeVar

import msgspec

from appliance.adapters.ledger_http import messages as wire
from appliance.core.clock import Clock
from appliance.core.errors import Bug, NotFound, OwnerMustAct, RetryLater
from appliance.core.keys import Key
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger.book import NotEnough
from appliance.domain.ledger.channel import Channel, ChannelState
from appliance.domain.ledger.request import Request, sign
from appliance.domain.ledger.statement import AccountLine

T = TypeVar("T")
CONNECT_S, WAIT_S = 5.0, 20.0
_MOST_ANSWER = 4 * 1024 * 1024
_KINDS = {"not-enough": NotEnough, "not-found": NotFound, "later": RetryLater}


class LedgerClient:
    """One account's view of one ledger. Not for several threads at once."""

    def __init__(self, url: str, key: Key, clock: Clock, ledger: bytes | None = None) -> None:
        """`url` is `https://host[:port]`, or http on this machine and in tests; `ledger` its id if known."""
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            raise OwnerMustAct(
                f'"{url[:100]}" is no address of a ledger; write https://host or http://host:port.'
            )
        self._parts = parts
        self._key = key
        self._clock = clock
        self._ahead_ms = 0
        """How far the ledger's clock is ahead of ours: a box's own may be wrong by years."""
        self._line: http.client.HTTPConnection | None = None
        self._id = ledger

    @property
    def ledger(self) -> bytes:
        """The ledger's id. Raises RetryLater while it is away."""
        if self._id is None:
            self.info()
        assert self._id is not None
        return self._id

    def info(self) -> wire.LedgerInfo:
        """Its public figures. Raises OwnerMustAct where another ledger suddenly answers."""
        found = self._ask("GET", "/v1/ledger", None, wire.LedgerInfo, signed=False)
        if self._id is not None and bytes.fromhex(found.id) != self._id:
            raise OwnerMustAct(
                "A different ledger answers at this address than before; nothing is sent to it."
            )
        self._id = bytes.fromhex(found.id)
        self._ahead_ms = found.time - self._clock.now()
        return found

    def now(self) -> UtcMs:
        """The ledger's time, as far as we know it."""
        return UtcMs(self._clock.now() + self._ahead_ms)

    def account(self) -> tuple[MicroBtt, MicroBtt]:
        """(balance, locked) of our account."""
        found = self._ask("GET", "/v1/account", None, wire.AccountInfo)
        return MicroBtt(int(found.balance)), MicroBtt(int(found.locked))

    def statement(self, after: int = 0, count: int = 1_000) -> list[AccountLine]:
        """Lines of our account."""
        found = self._ask("GET", f"/v1/statement?after={after}&count={count}", None, wire.Statement)
        return [
            AccountLine(
                one.number,
                UtcMs(one.at),
                one.kind,
                one.cause,
                one.about,
                MicroBtt(int(one.amount)),
                MicroBtt(int(one.balance)),
            )
            for one in found.lines
        ]

    def transfer(self, name: str, to: str, amount: MicroBtt, about: str = "") -> None:
        """Pay an account; the same `name` again pays nothing more."""
        self._ask("POST", "/v1/transfers", wire.NewTransfer(name, to, str(amount), about), wire.TransferInfo)

    def open(self, name: str, recipient: str, lock: MicroBtt, expires: UtcMs, window_ms: int) -> Channel:
        """Open a channel; the same `name` again is the same channel."""
        wanted = wire.NewChannel(name, recipient, str(lock), expires, window_ms)
        return wire.channel_of(self._ask("POST", "/v1/channels", wanted, wire.ChannelInfo), self.ledger)

    def channels(self) -> list[Channel]:
        """All our channels."""
        found = self._ask("GET", "/v1/channels", None, wire.Channels)
        return [wire.channel_of(one, self.ledger) for one in found.channels]

    def channel(self, id: bytes) -> Channel:
        """One of them. Raises NotFound."""
        return wire.channel_of(
            self._ask("GET", f"/v1/channels/{id.hex()}", None, wire.ChannelInfo), self.ledger
        )

    def close_channel(self, id: bytes, state: ChannelState | None) -> Channel:
        """Close it with the best state that we have, or begin to."""
        body = wire.Closing(_shown(state) if state else None)
        found = self._ask("POST", f"/v1/channels/{id.hex()}/close", body, wire.ChannelInfo)
        return wire.channel_of(found, self.ledger)

    def dispute(self, id: bytes, state: ChannelState) -> Channel:
        """Show a higher state."""
        found = self._ask(
            "POST", f"/v1/channels/{id.hex()}/dispute", wire.Dispute(_shown(state)), wire.ChannelInfo
        )
        return wire.channel_of(found, self.ledger)

    def withdraw(self, name: str, to: str, amount: MicroBtt) -> wire.WithdrawalInfo:
        """Ask for money on the chain; the same `name` again is the same withdrawal."""
        wanted = wire.NewWithdrawal(name, to, str(amount))
        return self._ask("POST", "/v1/withdrawals", wanted, wire.WithdrawalInfo)

    def cancel(self, name: str) -> wire.WithdrawalInfo:
        """Take a withdrawal back that is not signed yet."""
        return self._ask("POST", f"/v1/withdrawals/{name}/cancel", None, wire.WithdrawalInfo)

    def payout(self) -> wire.PayoutInfo:
        """Where our money may leave to."""
        return self._ask("GET", "/v1/payout", None, wire.PayoutInfo)

    def set_payout(self, to: str) -> wire.PayoutInfo:
        """Another payout address, in force after the ledger's time lock."""
        return self._ask("POST", "/v1/payout", wire.NewPayout(to), wire.PayoutInfo)

    def mark(self, known: list[str], new: str) -> str:
        """Leave a mark in place of one that we know; the mark that is there then."""
        return self._ask("POST", "/v1/mark", wire.NewMark(known, new), wire.MarkInfo).mark

    def withdrawals(self) -> list[wire.WithdrawalInfo]:
        """All of ours, the newest first."""
        return self._ask("GET", "/v1/withdrawals", None, wire.Withdrawals).withdrawals

    def close(self) -> None:
        """Hang up."""
        if self._line:
            self._line.close()
            self._line = None

    def abort(self) -> None:
        """Hang up while another thread waits for an answer: it gets RetryLater."""
        line = self._line
        if line is not None and line.sock is not None:
            with contextlib.suppress(OSError):
                line.sock.shutdown(socket.SHUT_RDWR)

    # ---------------------------------------------------------------------------------------- the line

    def _ask(self, method: str, target: str, body: Any, gives: type[T], *, signed: bool = True) -> T:
        raw = msgspec.json.encode(body) if body is not None else b""
        status, answer = self._send(method, target, raw, signed)
        if signed and status == 401 and _problem(answer).code == "clock":
            self.info()
            status, answer = self._send(method, target, raw, signed)
        if status != 200:
            problem = _problem(answer)
            kind = _KINDS.get(problem.code, RetryLater if status >= 500 else OwnerMustAct)
            raise kind(f"The ledger refused: {problem.message}")
        try:
            return msgspec.json.decode(answer, type=gives)
        except msgspec.DecodeError as error:
            raise RetryLater(
                "The server at the ledger's address is not a ledger, or a newer version."
            ) from error

    def _send(self, method: str, target: str, raw: bytes, signed: bool) -> tuple[int, bytes]:
        """Send once; a line that went stale meanwhile is opened anew. Safe, as every request has a name."""
        for fresh in (self._line is None, True):
            headers = {"Content-Type": "application/json"}
            if signed:
                request = Request(method, target, raw)
                headers |= sign(self._key, self.ledger, request, self.now(), secrets.token_hex(16))
            try:
                line = self._open_line()
                line.request(method, target, raw or None, headers)
                answer = line.getresponse()
                data = answer.read(_MOST_ANSWER + 1)
                if len(data) > _MOST_ANSWER:
                    raise RetryLater("The ledger's answer is too long.")
                return answer.status, data
            except (OSError, http.client.HTTPException) as error:
                self.close()
                if fresh:
                    raise RetryLater(
                        f"The ledger {self._parts.netloc} cannot be reached ({error})."
                    ) from error
        raise Bug("a request was neither sent nor refused")

    def _open_line(self) -> http.client.HTTPConnection:
        if self._line is None:
            host, port = self._parts.hostname or "", self._parts.port
            if self._parts.scheme == "https":
                context = ssl.create_default_context()
                self._line = http.client.HTTPSConnection(host, port, timeout=CONNECT_S, context=context)
            else:
                self._line = http.client.HTTPConnection(host, port, timeout=CONNECT_S)
            self._line.connect()
            self._line.sock.settimeout(WAIT_S)
            self._line.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._line


def _shown(state: ChannelState) -> wire.ShownState:
    return wire.ShownState(str(state.seq), str(state.paid), state.signature.hex())


def _problem(answer: bytes) -> wire.Problem:
    try:
        return msgspec.json.decode(answer, type=wire.Problem)
    except msgspec.DecodeError:
        return wire.Problem("html", "the server is not a ledger")
