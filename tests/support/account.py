"""An account at a ledger without a line in between: a written stand-in for LedgerClient."""

import secrets
from dataclasses import dataclass, field
from typing import TypeVar

from appliance.adapters.ledger_http import messages as wire
from appliance.core.clock import Clock
from appliance.core.errors import RetryLater
from appliance.core.keys import Key
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger.channel import Channel, ChannelState
from appliance.domain.ledger.request import Signer
from appliance.domain.ledger.statement import AccountLine
from appliance.entrypoints.operator.requests import SignedRequest
from appliance.entrypoints.operator.service import Operator

T = TypeVar("T")


@dataclass
class DirectLedger:
    """`wallet.ports.Ledger`, with bad days of its own."""

    operator: Operator
    key: Key
    clock: Clock
    away: bool = False
    silent: int = 0
    """So many requests are carried out, and their answers lost."""
    _asked: int = field(default=0, repr=False)

    def _signer(self) -> Signer:
        if self.away:
            raise RetryLater("away")
        return Signer(self.key.public, self.key.address, secrets.token_hex(16), self.clock.now())

    def _done(self, asked: SignedRequest[T]) -> T:
        """The result of one request that is done by itself. Raises what it raises."""
        (result,) = self.operator.together([asked])
        if isinstance(result, Exception):
            raise result
        done: T = result
        return done

    def _answered(self) -> None:
        if self.silent:
            self.silent -= 1
            raise RetryLater("the answer was lost")

    @property
    def ledger(self) -> bytes:
        return self.operator.id

    def now(self) -> UtcMs:
        return self.clock.now()

    def account(self) -> tuple[MicroBtt, MicroBtt]:
        return self.operator.account(self._signer().address)

    def statement(self, after: int = 0, count: int = 1_000) -> list[AccountLine]:
        return self.operator.statement(self._signer().address, after, count)

    def open(self, name: str, recipient: str, lock: MicroBtt, expires: UtcMs, window_ms: int) -> Channel:
        wanted = wire.NewChannel(name, recipient, str(lock), expires, window_ms)
        found = self._done(self.operator.requests.opening(self._signer(), wanted))
        self._answered()
        return found

    def channel(self, id: bytes) -> Channel:
        return self.operator.channel(self._signer().address, id)

    def channels(self) -> list[Channel]:
        return self.operator.channels(self._signer().address)

    def close_channel(self, id: bytes, state: ChannelState | None) -> Channel:
        shown = wire.ShownState(str(state.seq), str(state.paid), state.signature.hex()) if state else None
        found = self._done(self.operator.requests.closing(self._signer(), id, shown))
        self._answered()
        return found

    def mark(self, known: list[str], new: str) -> str:
        found = self.operator.mark(self._signer(), wire.NewMark(known, new))
        self._answered()
        return found


@dataclass
class Heard:
    """A journal that keeps what was said."""

    texts: list[str] = field(default_factory=list)

    def info(self, text: str, torrent: str = "") -> None:
        self.texts.append(text)

    def warning(self, text: str, torrent: str = "") -> None:
        self.texts.append(text)

    def error(self, text: str, torrent: str = "") -> None:
        self.texts.append(text)
