"""What a seller knows: bidders, leases, debts, and the terms of its owner."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from appliance.core.units import MicroBtt, MicroBttPerMib, MonoNs
from appliance.domain.auction.clearing import Rule
from appliance.domain.auction.lanes import LaneRequest, LaneService
from appliance.domain.auction.lease import CREDIT, ROUND_NS, Lease, LeaseEnd, LeaseStanding
from appliance.domain.auction.meter import LeaseMeter, PeerConnection


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the owner offers."""

    slots: int
    per_torrent: int = 0
    """The most slots for one torrent; 0 is no limit."""
    rule: Rule = Rule.LOWEST_WINNING
    credit: int = CREDIT
    """Bytes that are sent before they are paid, at most."""
    ledger: bytes = b""
    """Id of the ledger that slots are paid through; empty while it is unknown, and nobody is asked to bid."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A bid as it came, from somebody who has proven their key."""

    key: bytes
    ip: str
    torrent: str
    port: int
    """The port of the bidder's BitTorrent client."""
    price: MicroBttPerMib
    wants: int
    """Bytes."""
    channel: bytes

    @property
    def request(self) -> LaneRequest:
        """The lane that it needs."""
        return LaneRequest(self.key, self.ip, self.torrent, self.port, self.price)


@dataclass(slots=True)
class Bidder:
    """Somebody who is connected to the market for one torrent."""

    key: bytes
    ip: str
    torrent: str
    offer: Offer | None = None
    lock: MicroBtt = MicroBtt(0)
    """What the offer's channel holds in all; 0 until the ledger has answered."""
    paid: MicroBtt = MicroBtt(0)
    """What was paid in that channel, in all."""
    last_notice: str = ""
    """Why it gets less than usual, as it was last told."""

    def pays_with(self, channel: bytes) -> bool:
        """Whether its offer names this channel."""
        return self.offer is not None and self.offer.channel == channel


@dataclass(slots=True)
class Served:
    """A lease, and how it is served."""

    lease: Lease
    port: int
    """The port of its holder's BitTorrent client."""
    meter: LeaseMeter = field(default_factory=LeaseMeter)
    last_receipt: int = 0
    """Bytes in it."""
    fresh: bool = True
    """Its meter has not been read since it began."""
    service: LaneService | None = None
    """How its lane is served; None: nothing was said yet."""

    @property
    def request(self) -> LaneRequest:
        """The lane that it has."""
        lease = self.lease
        return LaneRequest(lease.key, lease.ip, lease.torrent, self.port, lease.price)

    @property
    def due_service(self) -> LaneService:
        """How its lane is to be served."""
        if self.lease.standing in (LeaseStanding.SERVED, LeaseStanding.WARNED):
            return LaneService.PRIORITISED
        unpaid = self.lease.ended in (None, LeaseEnd.UNPAID)
        return LaneService.BLOCKED if unpaid else LaneService.LIMITED

    def count(self, counters: Mapping[PeerConnection, int]) -> int:
        """Take in the counters of its holder's connections; returns the bytes that are new."""
        if self.fresh:
            self.meter.begin(counters)
            self.fresh = False
        return self.meter.read(counters)

    @property
    def receipt_due(self) -> bool:
        """A part of the credit window was sent since the last receipt."""
        return self.lease.sent - self.last_receipt >= self.lease.credit // RECEIPTS


RECEIPTS = 4
"""Receipts in a credit window: each is a signature on both sides, and a payment synced to two disks."""


@dataclass(frozen=True, slots=True)
class Debt:
    """What is owed for a lease that has ended: that `due` in all is paid in a channel."""

    channel: bytes
    due: MicroBtt
    paid: MicroBtt


@dataclass(frozen=True, slots=True)
class SoldSlot:
    """A lease as it is saved over a restart."""

    key: bytes
    ip: str
    torrent: str
    port: int
    channel: bytes
    lock: MicroBtt
    price: MicroBttPerMib
    due: MicroBtt


@dataclass(frozen=True, slots=True)
class SellerMemory:
    """What a seller must not forget."""

    round: int = 1
    reserve: MicroBttPerMib = MicroBttPerMib(0)
    sold: tuple[SoldSlot, ...] = ()
    debts: Mapping[bytes, Debt] = field(default_factory=dict)
    """What is still owed, by the debtor's key."""


NOTHING_SAVED = SellerMemory()
"""The memory of a seller that starts for the first time."""


def saved(served: Served) -> SoldSlot:
    """A lease, as it is saved."""
    lease = served.lease
    return SoldSlot(
        lease.key,
        lease.ip,
        lease.torrent,
        served.port,
        lease.channel,
        lease.lock,
        lease.price,
        lease.owed,
    )


def resumed(slot: SoldSlot, paid: MicroBtt, credit: int, now: MonoNs) -> Served:
    """A lease from before a restart: it runs for a round, in which its holder can bid again.

    What was sent after it was saved is forgotten, and what was paid for it is not charged twice.
    """
    due = MicroBtt(max(slot.due, paid))
    lease = Lease(
        key=slot.key,
        ip=slot.ip,
        torrent=slot.torrent,
        channel=slot.channel,
        lock=slot.lock,
        price=slot.price,
        until=MonoNs(now + ROUND_NS),
        base=due,
        paid=paid,
        before=paid,
        credit=credit,
    )
    return Served(lease, slot.port)
