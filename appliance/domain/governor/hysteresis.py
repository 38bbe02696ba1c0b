"""How long a throttle lasts: it begins at once, and ends when a lower level would have done for some minutes.

A reading that is missing neither begins a throttle nor ends one, until it has been missing for `BLIND_NS`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from appliance.core.units import MonoNs

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
BLIND_NS = 15 * MINUTE_NS
"""After so long without a reading, a throttle that an old one caused ends."""
MOST_BEFORE_RELAXING = 3
"""The limits are raised only where they have changed less often than this in the last hour ..."""
MOST_BEFORE_TIGHTENING = 4
"""... and lowered, except to prevent harm, where less often than this. So there are four changes an hour at
most, and besides only those that prevent harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Which changes are allowed now. Those that prevent harm are always allowed."""

    now: MonoNs
    relax: bool = True
    tighten: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Hysteresis:
    """The level of a rule, 0 for none, and what would end it."""

    level: int = 0
    says: str = ""
    """The sentence of this level, with the figures of its beginning."""
    since: MonoNs = MonoNs(0)
    calm: MonoNs | None = None
    """Since when a lower level would do."""
    lower: int = 0
    """The highest that was asked for since then."""
    blind: MonoNs | None = None
    """Since when the reading has been missing."""

    def moved(self, by: int) -> "Hysteresis":
        """The same at another monotonic clock, that many nanoseconds ahead."""
        return replace(
            self, since=MonoNs(self.since + by), calm=moved(self.calm, by), blind=moved(self.blind, by)
        )

    def explained(self, words: Callable[[int], str]) -> "Hysteresis":
        """With the sentence that `words` has for its level, where the level has just begun."""
        fresh = self.level > 0 and not self.says
        return replace(self, says=words(self.level)) if fresh else self


def moved(then: MonoNs | None, by: int) -> MonoNs | None:
    """A moment at another monotonic clock, that many nanoseconds ahead; None stays None."""
    return None if then is None else MonoNs(then + by)


def follow(
    before: Hysteresis, asked: int | None, gate: Gate, *, calm_ns: int, harm: bool = False
) -> Hysteresis:
    """The level after a reading that asks for the level `asked`; None: the reading is missing.

    A higher level begins at once, where `harm` is near or the gate allows it. A lower one begins after
    `calm_ns`, and is the highest asked for meanwhile. A new level has no sentence yet.
    """
    if asked is None:
        return _blind(before, gate)
    if asked < before.level:
        return _calming(before, asked, gate, calm_ns)
    rises = asked > before.level and (harm or gate.tighten)
    return Hysteresis(level=asked, since=gate.now) if rises else _confirmed(before)


def _confirmed(before: Hysteresis) -> Hysteresis:
    return replace(before, calm=None, lower=0, blind=None) if before.level else Hysteresis()


def _calming(before: Hysteresis, asked: int, gate: Gate, calm_ns: int) -> Hysteresis:
    calm = gate.now if before.calm is None else before.calm
    lower = max(before.lower, asked)
    if gate.relax and gate.now - calm >= calm_ns:
        return Hysteresis(level=lower, since=gate.now)
    return replace(before, calm=calm, lower=lower, blind=None)


def _blind(before: Hysteresis, gate: Gate) -> Hysteresis:
    since = gate.now if before.blind is None else before.blind
    over = gate.relax and gate.now - since >= BLIND_NS
    if over or not before.level:
        return Hysteresis()
    return replace(before, calm=None, lower=0, blind=since)
