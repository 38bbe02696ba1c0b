"""A seller with whom we deal about a torrent, whether its market is connected or not."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from appliance.core.keys import Address
from appliance.core.units import MicroBtt, MonoNs
from appliance.domain.auction.deal import Deal
from appliance.domain.auction.intake import Arrival, Intake
from appliance.domain.auction.meter import LeaseMeter

BANNED_NS = 10_000_000_000
"""Without a connection after bad data: libtorrent has banned it, and it was not just moved to its lane."""
MOST_FAILURES = 2
"""Pieces that may fail while nobody can tell whose fault it was."""

ContactId: TypeAlias = tuple[str, Address]
"""(torrent, seller)"""


@dataclass(slots=True, kw_only=True)
class Contact:
    """One seller and one torrent. It outlives a connection that breaks, so that nothing is counted twice."""

    torrent: str
    seller: Address
    deal: Deal
    host: str = ""
    line: int | None = None
    """The connection to its market; None: there is none."""
    owed: MicroBtt = MicroBtt(0)
    """What its last receipt asks for in the channel, in all."""
    paying: MicroBtt = MicroBtt(0)
    """What the payment that is being signed pays in the channel in all; 0: none is."""
    funding: MicroBtt = MicroBtt(0)
    """What may be locked in the channel that is being opened; 0: none is."""
    undecided: bool = False
    """A round has begun, and nothing was decided about it yet."""
    paid: MicroBtt = MicroBtt(0)
    """In all dealings with it about this torrent."""
    recorded: tuple[int, int] = (0, 0)
    """(bytes, µBTT) that its record holds already."""
    last_notice: str = ""
    """What the owner was told last about it."""
    leaving: MonoNs | None = None
    """Since when its bid is taken back for good; what is due is still paid."""
    over: bool = False
    """It is about to be hung up on: nothing that it says counts any more."""
    meter: LeaseMeter = field(default_factory=LeaseMeter)
    failures: int = 0
    """Pieces that failed, as far as the present connection tells."""
    failed: int = 0
    """Bytes that failed their check and came from it, as far as anybody can tell."""
    connected: bool = False
    """Data could come: its BitTorrent client is connected."""
    gone: MonoNs | None = None
    """Since when it is not."""

    @property
    def id(self) -> ContactId:
        """The name by which it is found again when its connection has changed."""
        return self.torrent, self.seller

    @property
    def busy(self) -> bool:
        """Its channel is being opened, or a payment is being signed."""
        return bool(self.paying or self.funding)

    @property
    def ending(self) -> bool:
        """Whether nothing more is bid to it over this connection."""
        return self.over or self.leaving is not None

    @property
    def reserved(self) -> MicroBtt:
        """What of the torrent's budget is set apart for it, beyond what it was paid."""
        deal = self.deal
        most = deal.lock if self.line is not None else min(deal.lock, max(deal.due, self.paying))
        return MicroBtt(max(0, most - deal.paid) + self.funding)

    def connect(self, line: int, host: str) -> None:
        """Its market is connected, perhaps again."""
        self.line, self.host = line, host
        self.over, self.leaving, self.undecided = False, None, False
        self.deal.reopened()

    def unrecorded(self) -> tuple[int, MicroBtt]:
        """(bytes, µBTT) that its record does not hold yet; from now on it does."""
        received, paid = self.recorded
        self.recorded = (self.deal.received, self.paid)
        return self.deal.received - received, MicroBtt(self.paid - paid)

    # ----------------------------------------------------------------------------------------- arrival

    def suspect(self, arrival: Arrival, now: MonoNs) -> bool:
        """Take note of its connections; whether pieces that failed since the last time may be its fault."""
        here = bool(arrival.counters)
        # Who sent all of a bad piece is banned by libtorrent, and gone before anybody can ask.
        suspect = arrival.failures > self.failures or (self.connected and not here)
        self.failures, self.connected = arrival.failures, here
        if here:
            self.gone = None
        elif self.gone is None:
            self.gone = now
        return suspect

    def arrived(self, arrival: Arrival) -> int:
        """Take in what has arrived from it; the bytes that are new."""
        count = self.meter.read(arrival.counters)
        self.deal.arrived(count, arrival.unverified, self.failed)
        return count

    def spoilt(self, now: MonoNs) -> bool:
        """Whether it has sent bad data, and not just been near when some came."""
        banned = self.gone is not None and now - self.gone > BANNED_NS
        return bool(self.failed) and (banned or self.failures > MOST_FAILURES)


def blame(contacts: Iterable[Contact], intake: Intake, failed: int, now: MonoNs) -> None:
    """Put `failed` bytes that failed their check down to those who may have sent them."""
    for one in [one for one in contacts if one.suspect(intake.of(one.host), now)]:
        one.failed += failed
