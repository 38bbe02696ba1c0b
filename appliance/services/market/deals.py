"""What goes on between the box as a buyer and one seller, and for one torrent."""

import asyncio
from dataclasses import dataclass, field

from appliance.adapters.wire.market import MarketConnection
from appliance.core.keys import Address
from appliance.core.units import MicroBtt, MicroBttPerMib
from appliance.domain.auction.buyer import Deal, Want
from appliance.domain.auction.messages import Receipt
from appliance.domain.auction.meter import Meter
from appliance.domain.auction.pacing import Pace

SEEK_S = 300.0
"""Between two questions to the DHT."""


@dataclass(slots=True)
class Live:
    """A deal, and the line over which it is made."""

    torrent: str
    line: MarketConnection
    deal: Deal
    meter: Meter = field(default_factory=Meter)
    failures: int = 0
    """Pieces that failed, as far as the connection that there is now tells."""
    failed: int = 0
    """Bytes that failed their check, and came from it, as far as anybody can tell."""
    connected: bool = False
    gone_at: float = 0.0
    """Since when there is no connection over which data could come; 0: there is one."""
    receipt: Receipt | None = None
    busy: bool = False
    """Its channel is being opened."""
    kept: tuple[int, int] = (0, 0)
    """(bytes, µBTT) that its record holds already."""
    started: int = 0
    """µBTT that its channel had paid when it began."""
    told: str = ""
    """What the owner was told last."""
    leaving: bool = False
    """The bid was taken back for good; what is due is still paid."""

    @property
    def seller(self) -> Address:
        """Whom it is made with."""
        return self.line.peer.address


@dataclass(slots=True)
class Purchase:
    """What is bought for one torrent."""

    want: Want
    spent: MicroBtt
    """For the torrent in all, since ever."""
    own: bool
    """The owner asked for it; else the box bids by itself."""
    pace: Pace | None = None
    price: MicroBttPerMib = MicroBttPerMib(0)
    """What is bid now."""
    round_at: float = 0.0
    round_spent: int = 0
    sought: float = -SEEK_S
    rate: int = 0
    """Bytes a second that came from sellers in the last round."""
    got: int = 0
    failed: int | None = None
    """Bytes of the torrent that have failed their check; None: not looked at yet."""
    opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One channel is opened after the other: together they must not exceed the budget."""

    @property
    def used(self) -> MicroBtt:
        """Of the budget."""
        return MicroBtt(max(0, self.spent - self.want.before))
