"""Heat: a controller that keeps the processor below a hard limit while the box sends as much as it can.

From `heat_ease` on it takes some of what is sent away, so that the temperature settles between that and
`heat_hard`, and gives it back step by step, all of it below `heat_back`. At `heat_hard` it leaves next to
nothing, at once.

It acts on where the temperature will be in some minutes, as a box without a fan takes a quarter of an hour to
show what a step has done. That comes from two averages of the readings, one slow and one fast: their distance
is the slope, and a single wrong reading moves neither.
"""

from dataclasses import dataclass, replace

from appliance.core.units import MonoNs
from appliance.domain.governor.hysteresis import BLIND_NS, MINUTE_NS, SECOND_NS, Gate
from appliance.domain.governor.settings import GovernorSettings
from appliance.domain.governor.throttle import ONE, Cut, Throttle, ThrottleRule, always

FAST_NS = 90 * SECOND_NS
SLOW_NS = 6 * MINUTE_NS
LEAD_NS = 5 * MINUTE_NS
"""How far the controller looks ahead."""
DOWN_NS = 8 * MINUTE_NS
"""Between a step and a further one down."""
UP_NS = 10 * MINUTE_NS
HARD_NS = 5 * MINUTE_NS
"""How long the hard limit's cut lasts at least."""
AIM_PERCENT = 60
"""Where the temperature is to settle, as part of the way from `heat_ease` to `heat_hard`: a sensor that is a
degree wrong now and then must not reach `heat_hard` from there."""
ABOVE, BELOW = 800, 1_000
"""Millidegrees about that, within which nothing is changed."""
LEAST_PPM = 50_000
"""The part of what the box would send that is left at the hard limit."""
SENT_NS = 5 * MINUTE_NS
"""Over this time the upload is averaged: a step is taken of what is really sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatState:
    """What the controller remembers; temperatures are millidegrees Celsius."""

    cap: int | None = None
    """Bytes a second; None while heat throttles nothing. What the uplink can do is a guess, this is not."""
    hard: bool = False
    says: str = ""
    moved: MonoNs = MonoNs(0)
    """When the cap was last changed."""
    fast: int | None = None
    slow: int | None = None
    sent: int | None = None
    """Bytes a second, averaged."""
    seen: MonoNs | None = None
    """When the temperature was last read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Course:
    """One reading, and what follows from it."""

    temperature: int
    fast: int
    expected: int
    """The temperature some minutes from now, if nothing is changed."""
    target: int
    """The temperature at which it is to settle."""
    sent: int
    """Bytes a second, as what a step is taken of."""
    least: int
    """Bytes a second that are left at the hard limit."""
    since: int
    """Nanoseconds since the cap was last changed."""
    settings: GovernorSettings
    gate: Gate

    def may_relax(self, after_ns: int) -> bool:
        """Whether the cap may be raised, where it must have stood for so long."""
        return self.since >= after_ns and self.gate.relax


def assess(
    state: HeatState, temperature: int | None, sent: int, base: int, settings: GovernorSettings, gate: Gate
) -> tuple[HeatState, list[Throttle]]:
    """Take a reading: the next state, and what throttles the box.

    `sent` is what the box sends, `base` what it would send, in bytes a second.
    """
    if temperature is None:
        state = _unread(state, gate)
    else:
        state = _read(state, temperature, sent, gate.now)
        state = _steered(state, _course(state, temperature, base, settings, gate))
    return state, _throttle(state)


def _unread(state: HeatState, gate: Gate) -> HeatState:
    blind = state.seen is None or gate.now - state.seen >= BLIND_NS
    return HeatState() if blind and gate.relax else state


def _read(state: HeatState, temperature: int, sent: int, now: MonoNs) -> HeatState:
    gone = 0 if state.seen is None else max(0, now - state.seen)
    return replace(
        state,
        fast=_average(state.fast, temperature, gone, FAST_NS),
        slow=_average(state.slow, temperature, gone, SLOW_NS),
        sent=_average(state.sent, sent, gone, SENT_NS),
        seen=now,
    )


def _average(old: int | None, new: int, gone: int, over: int) -> int:
    return new if old is None else old + (new - old) * gone // (gone + over)


def _course(state: HeatState, temperature: int, base: int, settings: GovernorSettings, gate: Gate) -> _Course:
    fast = temperature if state.fast is None else state.fast
    slow = temperature if state.slow is None else state.slow
    least = max(1, base * LEAST_PPM // ONE)
    return _Course(
        temperature=temperature,
        fast=fast,
        expected=fast + (fast - slow) * LEAD_NS // (SLOW_NS - FAST_NS),
        target=settings.heat_ease + (settings.heat_hard - settings.heat_ease) * AIM_PERCENT // 100,
        sent=max(state.sent or 0, 2 * least),
        least=least,
        since=gate.now - state.moved,
        settings=settings,
        gate=gate,
    )


def _steered(state: HeatState, now: _Course) -> HeatState:
    if state.hard:
        return _after_hard(state, now)
    if now.temperature >= now.settings.heat_hard:
        return _at_hard(state, now)
    if state.cap is None:
        return _begun(state, now)
    return _adjusted(state, state.cap, now)


def _at_hard(state: HeatState, now: _Course) -> HeatState:
    says = (
        f"The processor has reached {_degrees(now.temperature)}; almost nothing is uploaded until it is "
        f"below {_degrees(now.settings.heat_ease)}. Improve the airflow, or fit a heat sink."
    )
    return replace(state, hard=True, cap=now.least, says=says, moved=now.gate.now)


def _after_hard(state: HeatState, now: _Course) -> HeatState:
    cool = max(now.temperature, now.fast) < now.settings.heat_ease
    if not (cool and now.may_relax(HARD_NS)):
        return state
    says = f"The processor was too hot; upload reduced until it is below {_degrees(now.settings.heat_back)}."
    return replace(state, hard=False, cap=4 * now.least, says=says, moved=now.gate.now)


def _begun(state: HeatState, now: _Course) -> HeatState:
    if now.fast < now.settings.heat_ease or not now.gate.tighten:
        return state
    says = (
        f"The processor has reached {_degrees(now.fast)}; upload reduced until it is below "
        f"{_degrees(now.settings.heat_back)}."
    )
    cap = now.sent * _less(now.expected - now.target) // 100
    return replace(state, cap=cap, says=says, moved=now.gate.now)


def _adjusted(state: HeatState, cap: int, now: _Course) -> HeatState:
    over = now.expected - now.target
    if over > ABOVE:
        return _lowered(state, cap, over, now)
    if over < -BELOW and now.may_relax(UP_NS):
        return _raised(state, cap, -over, now)
    return state


def _lowered(state: HeatState, cap: int, over: int, now: _Course) -> HeatState:
    due = now.since >= DOWN_NS and now.gate.tighten
    if not due or cap <= now.least:
        return state
    less = max(now.least, min(cap, now.sent) * _less(over) // 100)
    return replace(state, cap=less, moved=now.gate.now)


def _raised(state: HeatState, cap: int, room: int, now: _Course) -> HeatState:
    # Where others bound the upload, a higher cap changes nothing yet; it would come all at once later.
    binds = now.sent * 10 >= cap * 8
    more, everything = cap * _more(room) // 100, now.least * ONE // LEAST_PPM
    cold = now.fast < now.settings.heat_back
    if cold and not (binds and more < everything):
        return replace(state, cap=None, says="", moved=now.gate.now)
    if not binds:
        return state
    # All of it is given back below `heat_back` only.
    return replace(state, cap=max(cap, min(more, everything - 1)), moved=now.gate.now)


_LESS = ((2_000, 90), (4_000, 80))
_MORE = ((3_000, 115), (6_000, 135))


def _less(over: int) -> int:
    """Percent that are left, by how far the temperature would be over its target."""
    return next((percent for bound, percent in _LESS if over < bound), 60)


def _more(room: int) -> int:
    """Percent that come next, by how far the temperature would stay below its target."""
    return next((percent for bound, percent in _MORE if room < bound), 200)


def _throttle(state: HeatState) -> list[Throttle]:
    if state.cap is None:
        return []
    cut = Cut(upload=state.cap, checking=False)
    if not state.hard:
        return [Throttle(rule=ThrottleRule.HEAT, says=state.says, cut=cut)]
    stopped = replace(cut, writing=False, new_work=False)
    return [always(Throttle(rule=ThrottleRule.HEAT, says=state.says, cut=stopped))]


def _degrees(temperature: int) -> str:
    return f"{temperature // 1_000} °C"
