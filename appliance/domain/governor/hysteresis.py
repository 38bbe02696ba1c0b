"""How long an ease is held: it comes at once, and goes when a lower one would have done for some minutes.

What cannot be read neither causes an ease nor ends one, until it could not be read for `BLIND_NS`.
"""

from dataclasses import dataclass, replace

from appliance.core.units import MonoNs

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
BLIND_NS = 15 * MINUTE_NS
"""After so long without a reading, an ease that an old one caused ends."""
MOST_BEFORE_RELAXING = 3
"""The limits are raised only where they have changed less often than this in the last hour ..."""
MOST_BEFORE_EASING = 4
"""... and lowered, but for what does harm, where less often than this. So there are four changes an hour at
most, and besides only those that keep from harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Which changes are allowed now. Those that keep from harm need no leave."""

    now: MonoNs
    relax: bool = True
    ease: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The level of a rule, 0 for none, and what would end it."""

    level: int = 0
    says: str = ""
    """As it was when the level began."""
    since: MonoNs = MonoNs(0)
    calm: MonoNs | None = None
    """Since when a lower level would do."""
    lower: int = 0
    """The highest that was asked for since then."""
    blind: MonoNs | None = None
    """Since when it cannot be read."""

    def moved(self, by: int) -> "Held":
        """At another monotonic clock, that many nanoseconds ahead."""
        calm = None if self.calm is None else MonoNs(self.calm + by)
        blind = None if self.blind is None else MonoNs(self.blind + by)
        return replace(self, since=MonoNs(self.since + by), calm=calm, blind=blind)


def step(held: Held, wish: int | None, gate: Gate, *, calm_ns: int, harm: bool = False) -> Held:
    """The level after a reading that asks for `wish`, None where nothing could be read.

    A higher level comes at once, where `harm` is near or the gate allows it. A lower one comes after
    `calm_ns`, and is the highest asked for meanwhile. A new level has no sentence yet.
    """
    if wish is None:
        return _blind(held, gate)
    if wish > held.level:
        if harm or gate.ease:
            return Held(level=wish, since=gate.now)
        return replace(held, calm=None, lower=0, blind=None)
    if wish == held.level:
        return replace(held, calm=None, lower=0, blind=None) if held.level else Held()
    calm = gate.now if held.calm is None else held.calm
    lower = max(held.lower, wish)
    if gate.now - calm >= calm_ns and gate.relax:
        return Held(level=lower, since=gate.now)
    return replace(held, calm=calm, lower=lower, blind=None)


def _blind(held: Held, gate: Gate) -> Held:
    if not held.level:
        return Held()
    since = gate.now if held.blind is None else held.blind
    if gate.now - since >= BLIND_NS and gate.relax:
        return Held()
    return replace(held, calm=None, lower=0, blind=since)
