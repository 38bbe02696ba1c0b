"""A market that cheats: it speaks as a seller does, and lies in one thing."""

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field

from appliance.adapters.wire.market import Market, MarketConnection
from appliance.core.keys import Key
from appliance.domain.auction.clearing import commitment
from appliance.domain.auction.messages import Ask, Bid, Message, Pay, Receipt, Result, Trouble
from tests.support.fails import never

ROUND_S = 1.0
LEAST = 100


@dataclass
class Crook:
    """`lie` is `price`, `draw`, `meter`, or nothing: then only its torrent's data is bad, or never comes."""

    ledger: bytes
    lie: str = ""
    key: Key = field(default_factory=lambda: Key(secrets.token_bytes(32)))
    bids: list[Bid] = field(default_factory=list)
    paid: int = 0
    sent: int = 0
    """Bytes that it says it has sent."""
    troubles: list[bytes] = field(default_factory=list)
    gone: int = 0

    async def listen(self, host: str, info_hash: bytes) -> int:
        self.market = Market(self.key, "crook", lambda found: found == info_hash, self, fail=never)
        return await self.market.listen([host], 0)

    def opened(self, line: MarketConnection) -> None:
        self._task = asyncio.get_running_loop().create_task(self._rounds(line))

    def closed(self, line: MarketConnection) -> None:
        self.gone += 1
        self._task.cancel()

    def received(self, line: MarketConnection, message: Message) -> None:
        match message:
            case Bid():
                self.bids.append(message)
            case Pay():
                self.paid = message.paid
            case Trouble():
                self.troubles.append(message.code)

    async def _rounds(self, line: MarketConnection) -> None:
        for round in range(1, 1_000):
            seed = hashlib.sha256(str(round).encode()).digest()
            line.send(
                Ask(
                    round=round,
                    slots=1,
                    per_torrent=0,
                    reserve=LEAST,
                    round_ms=1_000,
                    credit=1 << 22,
                    rule=b"lowest-winning",
                    ledger=self.ledger,
                    commit=commitment(seed),
                )
            )
            await asyncio.sleep(ROUND_S)
            bid = self.bids[-1] if self.bids else None
            if bid is None or not bid.max_price:
                continue
            price = bid.max_price + (self.lie == "price")
            told = seed if self.lie != "draw" else bytes(32)
            line.send(Result(round=round, won=1, price=price, lease_ms=2_000, reveal=told))
            if self.sent:
                owed = self.sent * price >> 20
                sent = self.sent if self.lie == "meter" else 0
                line.send(Receipt(channel=bid.channel, sent=sent, owed=owed, paid=self.paid))
