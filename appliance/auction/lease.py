"""A lease: a slot that was won, what it has delivered, what was paid for it, and when it ends.

Everything follows from two sums, bytes sent and µBTT paid, so that splitting readings or payments in other
ways never changes a charge.

Invariants, checked by tests/unit/test_lease.py:
L1  what is owed never exceeds the bid's price for the bytes, rounded up once;
L2  nothing is sent while a whole credit window is unpaid;
L3  a lease that has ended never serves again.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from appliance.units import MIB, MicroBtt, MicroBttPerMib, MonoNs

CREDIT = 4 * MIB
"""The credit window T, as bytes at the lease's price."""
ROUND_NS = 15_000_000_000
LEASE_ROUNDS = 2


class Standing(StrEnum):
    """How a lease stands."""

    SERVED = "served"
    WARNED = "warned"
    STOPPED = "stopped"
    ENDED = "ended"

    @property
    def sentence(self) -> str:
        """What is true of a lease that stands so."""
        return _SENTENCES[self]


_SENTENCES = {
    Standing.SERVED: "Its slot is open, and it is paid in time.",
    Standing.WARNED: "Its slot is open; half the credit is used, and the payer was told.",
    Standing.STOPPED: "Its slot is shut until it pays; the credit is used up.",
    Standing.ENDED: "It is over, and its slot is free.",
}


class Why(StrEnum):
    """Why a lease has ended."""

    TIME = "its time is over, and it was not won again"
    UNPAID = "it was not paid"
    DISAGREED = "the two meters do not agree"
    GONE = "the torrent is gone"
    CHANNEL = "its channel is closed or used up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One lease. Times are of the monotonic clock."""

    key: bytes
    ip: str
    torrent: str
    price: MicroBttPerMib
    until: MonoNs
    sent: int = 0
    """Bytes of payload since it began."""
    paid: MicroBtt = MicroBtt(0)  # noqa: RUF009  a NewType, not a call
    before: MicroBtt = MicroBtt(0)  # noqa: RUF009
    """Owed for what was sent at other prices, in earlier rounds of the same lease."""
    from_: int = 0
    """`sent` when the price was last set."""
    credit: int = CREDIT
    ended: Why | None = None

    @property
    def owed(self) -> MicroBtt:
        """For all that was sent."""
        return MicroBtt(self.before + charge(self.sent - self.from_, self.price))

    @property
    def unpaid(self) -> MicroBtt:
        """Owed, and not paid; never below nothing."""
        return MicroBtt(max(0, self.owed - self.paid))

    @property
    def window(self) -> MicroBtt:
        """The credit window as money."""
        return charge(self.credit, self.price)

    @property
    def standing(self) -> Standing:
        """How it stands, by what is unpaid."""
        if self.ended:
            return Standing.ENDED
        if self.unpaid >= self.window and self.unpaid:
            return Standing.STOPPED
        if 2 * self.unpaid >= self.window and self.unpaid:
            return Standing.WARNED
        return Standing.SERVED


def charge(sent: int, price: MicroBttPerMib) -> MicroBtt:
    """What so many bytes cost: whole µBTT, rounded up, always from the cumulative count."""
    return MicroBtt(-(-sent * price // MIB))


def begin(key: bytes, ip: str, torrent: str, price: MicroBttPerMib, now: MonoNs) -> Lease:
    """A lease that was won just now: for this round and the next."""
    return Lease(key=key, ip=ip, torrent=torrent, price=price, until=MonoNs(now + LEASE_ROUNDS * ROUND_NS))


def renew(lease: Lease, price: MicroBttPerMib, now: MonoNs) -> Lease:
    """Won again, perhaps at another price: what was sent before keeps the old one."""
    if lease.ended:
        return lease
    return replace(
        lease,
        before=lease.owed,
        from_=lease.sent,
        price=price,
        until=MonoNs(now + LEASE_ROUNDS * ROUND_NS),
    )


def deliver(lease: Lease, sent: int) -> Lease:
    """More bytes were sent; also after its end, what was in flight is owed."""
    return replace(lease, sent=lease.sent + sent)


def pay(lease: Lease, paid: MicroBtt) -> Lease:
    """`paid` in all was received."""
    return replace(lease, paid=max(lease.paid, paid))


def check(lease: Lease, now: MonoNs) -> Lease:
    """End it where its time is over, or more is unpaid than a window and a quarter."""
    if lease.ended:
        return lease
    if 4 * lease.unpaid > 5 * lease.window:
        return end(lease, Why.UNPAID)
    return end(lease, Why.TIME) if now >= lease.until else lease


def end(lease: Lease, why: Why) -> Lease:
    """End it for good; the first reason stays."""
    return lease if lease.ended else replace(lease, ended=why)


def agree(ours: int, theirs: int, in_flight: int) -> bool:
    """Whether two meters of one lease can both be right, with so many bytes on their way at most."""
    return 0 <= ours - theirs <= in_flight
