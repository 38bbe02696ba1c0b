"""How much to bid, so that a budget lasts as long as it should: adaptive pacing.

Source: Balseiro and Gur, "Learning in Repeated Auctions with Budgets", Management Science 65 (2019): a
multiplier µ >= 0 shades every bid to v / (1 + µ), and moves with the difference between what was spent in a
round and what may be spent in one. It moves by a factor, and not by a sum, as in Balseiro, Lu and Mirrokni,
"The Best of Many Worlds: Dual Mirror Descent", Operations Research 71 (2023): the distance between what
something is worth and what it costs may be tenfold, and a sum would use up a budget before it gets there.
In parts per million, as no float comes near money.
"""

from dataclasses import dataclass, replace

from appliance.core.units import MIB, MicroBtt, MicroBttPerMib

ONE = 1_000_000
"""1 in ppm."""
MOST_MU = 1_000 * ONE
STEP = 100_000
"""1 + µ falls by a tenth in a round without spending, and rises by one where it was twice the target."""
MOST_OVER = 3 * ONE
"""Spending more than four times the target counts as that."""
HYSTERESIS = 100_000
"""A bid is changed only by more than a tenth: every change costs a signature, and unrest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The pacing of one budget."""

    value: MicroBttPerMib
    """What a MiB is worth to the owner."""
    ceiling: MicroBttPerMib
    """The most that may be bid."""
    left: MicroBtt
    """What is left of the budget."""
    rounds: int
    """How many rounds it should last for."""
    mu: int = 0
    """The multiplier, in parts per million."""
    last: MicroBttPerMib = MicroBttPerMib(0)
    """The last bid."""

    @property
    def target(self) -> MicroBtt:
        """What may be spent in a round."""
        return MicroBtt(self.left // max(1, self.rounds))


def bid(pace: Pace, expected: int) -> MicroBttPerMib:
    """The bid for a round in which `expected` bytes would come, in µBTT/MiB; 0 is no bid.

    It is never more than what is left of the budget could pay for.
    """
    shaded = pace.value * ONE // (ONE + pace.mu)
    affordable = pace.left * MIB // max(1, expected)
    fresh = min(shaded, pace.ceiling, affordable)
    if pace.last and abs(fresh - pace.last) * ONE <= pace.last * HYSTERESIS and pace.last <= affordable:
        return min(pace.last, pace.ceiling)
    return MicroBttPerMib(fresh)


def after(pace: Pace, spent: MicroBtt, last: MicroBttPerMib) -> Pace:
    """The pace after a round in which `last` was bid and `spent` was paid."""
    target = max(1, pace.target)
    over = max(-ONE, min(MOST_OVER, (spent - target) * ONE // target))
    factor = ONE + STEP * over // ONE
    return replace(
        pace,
        mu=max(0, min(MOST_MU, (ONE + pace.mu) * factor // ONE - ONE)),
        left=MicroBtt(max(0, pace.left - spent)),
        rounds=max(1, pace.rounds - 1),
        last=last,
    )
