"""A lease: a slot that was won, what it has delivered, what was paid for it, and when it ends.

Everything follows from two sums, bytes sent and µBTT paid, so that splitting readings or payments in other
ways never changes a charge.

Invariants, checked by tests/unit/domain/auction/test_lease.py:
L1  what is owed never exceeds the bid's price for the bytes, rounded up once for each price;
L2  it is not served while a whole credit window is unpaid, and never owes more than its channel holds;
L3  a lease that has ended never serves again.

Money is counted as the channel counts it: as what is due, and paid, in it since it was opened. So a receipt
means the same before and after a lease ends, a connection breaks, or the seller is started again.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from appliance.core.units import MIB, MicroBtt, MicroBttPerMib, MonoNs

CREDIT = 4 * MIB
"""The credit window T, as bytes at the lease's price, where the owner has set no other."""
ROUND_NS = 15_000_000_000
LEASE_ROUNDS = 2
GRACE_NS = 5_000_000_000
"""How long a slot stays closed for want of payment before it goes to somebody else.

By time and not by bytes: whether a count comes late is not in the payer's hands.
"""


class LeaseStanding(StrEnum):
    """Whether a lease is served and paid for."""

    SERVED = "served"
    WARNED = "warned"
    STOPPED = "stopped"
    ENDED = "ended"

    @property
    def sentence(self) -> str:
        """What is true of such a lease."""
        return _SENTENCES[self]


_SENTENCES = {
    LeaseStanding.SERVED: "Its slot is open, and it is paid on time.",
    LeaseStanding.WARNED: "Its slot is open; half of the credit is used, and the payer has been warned.",
    LeaseStanding.STOPPED: "Its slot is closed until it pays; the credit is used up.",
    LeaseStanding.ENDED: "The lease is over, and its slot is free.",
}


class LeaseEnd(StrEnum):
    """Why a lease has ended."""

    TIME = "it ran out and was not won again"
    MOVED = "its holder moved to another address, torrent or channel"
    UNPAID = "it was not paid"
    DISAGREED = "the two meters disagree"
    GONE = "the torrent is gone"
    CHANNEL = "its channel is closed or used up"
    UNKEPT = "the box could not save it"
    CLOSED = "the box stopped selling slots"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One lease. Times are of the monotonic clock."""

    key: bytes
    ip: str
    torrent: str
    channel: bytes
    lock: MicroBtt
    """What the channel holds in all."""
    price: MicroBttPerMib
    until: MonoNs
    base: MicroBtt
    """Due in the channel for what was sent before it began, and at other prices."""
    paid: MicroBtt
    """Paid in the channel, in all."""
    before: MicroBtt
    """The part of `paid` that was paid before it began."""
    from_: int = 0
    """`sent` when the price was last set."""
    sent: int = 0
    """Bytes of payload since it began."""
    credit: int = CREDIT
    stopped: MonoNs | None = None
    """Since when its slot is closed."""
    ended: LeaseEnd | None = None

    @property
    def owed(self) -> MicroBtt:
        """Due in the channel in all; never more than it holds."""
        return MicroBtt(min(self.lock, self.base + charge(self.sent - self.from_, self.price)))

    @property
    def unpaid(self) -> MicroBtt:
        """Owed, and not paid; never below nothing."""
        return MicroBtt(max(0, self.owed - self.paid))

    @property
    def window(self) -> MicroBtt:
        """The credit window as money."""
        return charge(self.credit, self.price)

    @property
    def standing(self) -> LeaseStanding:
        """Whether it is served, by what is unpaid."""
        if self.ended:
            return LeaseStanding.ENDED
        if not self.unpaid or 2 * self.unpaid < self.window:
            return LeaseStanding.SERVED
        return LeaseStanding.STOPPED if self.unpaid >= self.window else LeaseStanding.WARNED


def charge(sent: int, price: MicroBttPerMib) -> MicroBtt:
    """What so many bytes cost: whole µBTT, rounded up, always from the cumulative count."""
    return MicroBtt(-(-sent * price // MIB))


def renew(lease: Lease, price: MicroBttPerMib, now: MonoNs) -> Lease:
    """Won again, perhaps at another price: what was sent before keeps the old one."""
    if lease.ended:
        return lease
    until = MonoNs(now + LEASE_ROUNDS * ROUND_NS)
    if price == lease.price:
        return replace(lease, until=until)
    return replace(lease, base=lease.owed, from_=lease.sent, price=price, until=until)


def deliver(lease: Lease, sent: int) -> Lease:
    """More bytes were sent; also after its end, what was in flight is owed."""
    return replace(lease, sent=lease.sent + sent)


def pay(lease: Lease, paid: MicroBtt) -> Lease:
    """`paid` in all was received in its channel."""
    return replace(lease, paid=max(lease.paid, paid))


def check(lease: Lease, now: MonoNs) -> Lease:
    """End it where its time is over, its channel is used up, or it has been stopped for too long."""
    if lease.ended:
        return lease
    if lease.price and lease.owed >= lease.lock:
        return end(lease, LeaseEnd.CHANNEL)
    return end(lease, LeaseEnd.TIME) if now >= lease.until else _check_payment(lease, now)


def _check_payment(lease: Lease, now: MonoNs) -> Lease:
    """End it where its slot was closed for want of payment for too long."""
    if lease.standing is not LeaseStanding.STOPPED:
        return replace(lease, stopped=None)
    since = now if lease.stopped is None else lease.stopped
    return end(lease, LeaseEnd.UNPAID) if now - since >= GRACE_NS else replace(lease, stopped=since)


def end(lease: Lease, why: LeaseEnd) -> Lease:
    """End it for good; the first reason stays."""
    return lease if lease.ended else replace(lease, ended=why)
