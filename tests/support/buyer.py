"""Somebody who bids for slots of a box, and pays for them as they are served."""

import asyncio
import secrets
from dataclasses import dataclass, field

from appliance.adapters.ledger_http.client import LedgerClient
from appliance.adapters.wire.market import Market, MarketConnection
from appliance.core.clock import SystemClock
from appliance.core.keys import Key
from appliance.core.units import MicroBtt, MicroBttPerMib, UtcMs
from appliance.domain.auction.clearing import RoundReport, Rule, fair
from appliance.domain.auction.messages import Ask, Bid, Message, Pay, Receipt, Result, Trouble
from appliance.domain.ledger import channel as channels
from appliance.domain.ledger.channel import Channel, ChannelState
from tests.support.fails import never

DAY_MS = 86_400_000


@dataclass
class Buyer:
    """A key, a channel, and what was heard. `pays` of False takes and does not pay."""

    key: Key
    price: int
    port: int
    """Of its BitTorrent client."""
    pays: bool = True
    line: MarketConnection | None = None
    asks: list[Ask] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    troubles: list[Trouble] = field(default_factory=list)
    unfair: int = 0
    state: ChannelState | None = None
    """Its last payment."""
    _bid_for: int = 0

    def open(self, url: str, seller: str, lock: int) -> None:
        """Lock money in a channel to the seller."""
        line = LedgerClient(url, self.key, SystemClock())
        ends = UtcMs(SystemClock().now() + DAY_MS)
        self.channel: Channel = line.open(secrets.token_hex(8), seller, MicroBtt(lock), ends, DAY_MS)
        line.close()

    async def meet(self, host: str, port: int, info_hash: bytes, source: str) -> None:
        """Call the box's market, from the address that is to be served."""
        self.market = Market(self.key, "buyer", lambda found: False, self, fail=never)
        self.source = source
        self._bid_for = 0
        await self.market.dial(host, port, info_hash, source)

    def take_back(self) -> None:
        """Bid no more."""
        assert self.line
        self._bid_for = -1
        self.line.send(Bid(round=0, max_price=0, bytes=0, port=self.port, channel=self.channel.id))

    def signed(self, paid: int = 0) -> ChannelState:
        """A state of its channel: the last one again, or one that pays so much."""
        _, state = channels.pay(self.channel, self.key, MicroBtt(paid or self.channel.paid + 1))
        return state

    def send(self, state: ChannelState) -> None:
        """Say a payment, whosever it is."""
        assert self.line
        self.line.send(Pay(channel=state.channel, seq=state.seq, paid=state.paid, state=state.signature))

    def opened(self, line: MarketConnection) -> None:
        self.line = line

    def closed(self, line: MarketConnection) -> None:
        self.line = None

    def received(self, line: MarketConnection, message: Message) -> None:
        match message:
            case Ask():
                self.asks.append(message)
                if not self._bid_for:
                    self._bid_for = message.round
                    bid = Bid(
                        round=message.round,
                        max_price=self.price,
                        bytes=1 << 30,
                        port=self.port,
                        channel=self.channel.id,
                    )
                    line.send(bid)
                    if self.pays and self.state:
                        # The last payment may have been lost with the line before this one.
                        self.send(self.state)
            case Result():
                self.results.append(message)
                self._judge(message)
            case Receipt():
                self.receipts.append(message)
                if self.pays and message.channel == self.channel.id and message.owed > self.channel.paid:
                    self.channel, self.state = channels.pay(self.channel, self.key, MicroBtt(message.owed))
                    self.send(self.state)
            case Trouble():
                self.troubles.append(message)

    def _judge(self, result: Result) -> None:
        ask = next((one for one in self.asks if one.round == result.round), None)
        if ask is None:
            return
        rule = Rule(ask.rule.decode())
        told = RoundReport(
            rule,
            ask.commit,
            result.reveal,
            bool(result.won),
            MicroBttPerMib(result.price),
            result.tie or None,
            bool(result.full),
        )
        self.unfair += not fair(self.key.public, MicroBttPerMib(self.price), told)

    async def until(self, true: object, seconds: float = 60) -> None:
        """Wait for something that a function says."""
        assert callable(true)
        async with asyncio.timeout(seconds):
            while not true():
                await asyncio.sleep(0.05)

    async def until_paid(self, more_than: int = 0, seconds: float = 60) -> None:
        """Wait until more than so much was paid in its channel."""
        await self.until(lambda: self.channel.paid > more_than, seconds)
