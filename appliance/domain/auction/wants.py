"""What the owner pays for, and how much to bid for it at one moment."""

from dataclasses import dataclass

from appliance.core.units import MIB, MicroBtt, MicroBttPerMib, UtcMs
from appliance.domain.auction import pacing
from appliance.domain.auction.lease import CREDIT, ROUND_NS, charge
from appliance.domain.auction.pacing import Pace

ROUND_MS = ROUND_NS // 1_000_000
HOUR_MS = 3_600_000
UNLIMITED = MicroBtt(2**62)
"""The budget of a torrent for which the owner has set none: the budget for the day bounds it."""
_LONG_ROUNDS = 240
"""An hour: how far ahead a budget without a deadline is spread, at most."""


@dataclass(frozen=True, slots=True)
class Want:
    """What the owner pays for one torrent."""

    price: MicroBttPerMib
    """At most."""
    budget: MicroBtt
    """In all."""
    deadline: UtcMs = UtcMs(0)
    """0: as soon as possible. Otherwise nothing is bid while it would be here in time without paying."""
    before: MicroBtt = MicroBtt(0)
    """Paid for this torrent before the owner set these terms."""
    simulate: bool = False
    """Only say what would be bid."""


@dataclass(frozen=True, slots=True)
class Need:
    """What a torrent still needs, at one moment."""

    missing: int
    """Bytes."""
    free_rate: int
    """Bytes a second that come without paying."""
    spent: MicroBtt
    """For it, since the owner set its terms."""
    sellers: int
    """How many sellers a bid stands to."""
    rate: int
    """Bytes a second that leases bring, or could."""


def automatic(price: int, hours: int, added: UtcMs) -> Want:
    """What the box pays for a torrent whose owner has set no terms; 0 `hours` is without a deadline."""
    deadline = UtcMs(added + hours * HOUR_MS if hours else 0)
    return Want(MicroBttPerMib(price), UNLIMITED, deadline)


def bids(want: Want, need: Need, pace: Pace | None, day_left: MicroBtt, now: UtcMs) -> tuple[Pace, int]:
    """(pace, what to bid now in µBTT for a MiB; 0: nothing).

    `day_left` is what is left of the owner's budget for the day.
    """
    left = MicroBtt(max(0, min(want.budget - need.spent, day_left)))
    mu, last = (pace.mu, pace.last) if pace else (0, MicroBttPerMib(0))
    pace = Pace(
        value=want.price, ceiling=want.price, left=left, rounds=_rounds(want, need, now), mu=mu, last=last
    )
    if not need.missing or not left or in_time(want, need, now):
        return pace, 0
    expected = min(need.missing, max(CREDIT, need.rate * ROUND_MS // 1_000))
    return pace, pacing.bid(pace, expected)


def _rounds(want: Want, need: Need, now: UtcMs) -> int:
    """Rounds that the budget should last for."""
    if want.deadline:
        return max(1, (want.deadline - now) // ROUND_MS)
    return max(1, min(_LONG_ROUNDS, need.missing * 1_000 // max(1, need.rate * ROUND_MS)))


def in_time(want: Want, need: Need, now: UtcMs) -> bool:
    """Whether a torrent would be here by its deadline without paying."""
    if not want.deadline or now >= want.deadline:
        return False
    return need.missing * 1_000 <= need.free_rate * (want.deadline - now)


def lock_for(
    price: MicroBttPerMib, missing: int, left: MicroBtt, credit: int, *, sole: bool, most: int = 2_048 * MIB
) -> MicroBtt:
    """What to lock in a channel: for what is missing, or 2 GiB of it; 0 if that covers no credit window.

    Where the seller is not the `sole` one, half of what is left stays for the others.
    """
    wanted = charge(min(most, max(credit * 2, missing)), price)
    lock = min(wanted, left // (1 if sole else 2))
    return MicroBtt(lock if lock >= charge(min(credit, missing), price) else 0)
