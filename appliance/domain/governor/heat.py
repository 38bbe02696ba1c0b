"""Heat: a controller that keeps the processor below a hard limit while the box sends as much as it can.

From `ease` on it takes some of what is sent away, so that the temperature settles between `ease` and `hard`,
and gives it back step by step, all of it below `back`. At `hard` it leaves next to nothing, at once.

It acts on where the temperature will be in some minutes, as a box without a fan takes a quarter of an hour to
show what a step has done. That comes from two averages of the readings, one slow and one fast: their distance
is the slope, and a single wrong reading moves neither.
"""

from dataclasses import dataclass, replace

from appliance.core.units import MonoNs
from appliance.domain.governor.ease import ONE, Cut, Ease, Rule
from appliance.domain.governor.hysteresis import BLIND_NS, MINUTE_NS, SECOND_NS, Gate
from appliance.domain.governor.settings import Settings

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
"""Of the way from `ease` to `hard`, where the temperature is to settle: a sensor that is a degree wrong now
and then must not reach `hard` from there."""
ABOVE, BELOW = 800, 1_000
"""Millidegrees about that, within which nothing is changed."""
LEAST_PPM = 50_000
"""Of what the box would send, that is left at the hard limit."""
SENT_NS = 5 * MINUTE_NS
"""Over this time the upload is averaged: a step is taken of what is really sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """What the controller remembers; temperatures are millidegrees."""

    cap: int | None = None
    """Bytes a second; None while nothing is eased. What the uplink can do is a guess, this is not."""
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


def look(
    heat: Heat, temperature: int | None, sent: int, base: int, settings: Settings, gate: Gate
) -> tuple[Heat, Ease | None]:
    """Take a reading. `sent` is what the box sends, `base` what it would send, in bytes a second."""
    if temperature is None:
        blind = heat.seen is None or gate.now - heat.seen >= BLIND_NS
        heat = Heat() if blind and gate.relax else heat
    else:
        heat = _act(_read(heat, temperature, sent, gate.now), temperature, base, settings, gate)
    return heat, _ease(heat)


def _read(heat: Heat, temperature: int, sent: int, now: MonoNs) -> Heat:
    if heat.fast is None or heat.slow is None or heat.sent is None or heat.seen is None:
        return replace(heat, fast=temperature, slow=temperature, sent=sent, seen=now)
    gone = max(0, now - heat.seen)
    return replace(
        heat,
        fast=_average(heat.fast, temperature, gone, FAST_NS),
        slow=_average(heat.slow, temperature, gone, SLOW_NS),
        sent=_average(heat.sent, sent, gone, SENT_NS),
        seen=now,
    )


def _average(old: int, new: int, gone: int, over: int) -> int:
    return old + (new - old) * gone // (gone + over)


def _act(heat: Heat, temperature: int, base: int, settings: Settings, gate: Gate) -> Heat:
    assert heat.fast is not None and heat.slow is not None  # noqa: PT018
    least, since = max(1, base * LEAST_PPM // ONE), gate.now - heat.moved
    if temperature >= settings.heat_hard and not heat.hard:
        says = (
            f"The processor has reached {_degrees(temperature)}; the box sends next to nothing until it is "
            f"below {_degrees(settings.heat_ease)}. Give it air, or a heat sink."
        )
        return replace(heat, hard=True, cap=least, says=says, moved=gate.now)
    if heat.hard:
        cooler = max(temperature, heat.fast) < settings.heat_ease and since >= HARD_NS
        return _softened(heat, 4 * least, settings, gate) if cooler and gate.relax else heat
    target = settings.heat_ease + (settings.heat_hard - settings.heat_ease) * AIM_PERCENT // 100
    expected = heat.fast + (heat.fast - heat.slow) * LEAD_NS // (SLOW_NS - FAST_NS)
    if heat.cap is None:
        return _begun(heat, expected - target, least, settings, gate) if gate.ease else heat
    if expected > target + ABOVE and since >= DOWN_NS and gate.ease and heat.cap > least:
        cap = max(least, min(heat.cap, _sent(heat, least)) * _less(expected - target) // 100)
        return replace(heat, cap=cap, moved=gate.now)
    if expected < target - BELOW and since >= UP_NS and gate.relax:
        return _raised(heat, target - expected, least, settings, gate)
    return heat


def _begun(heat: Heat, over: int, least: int, settings: Settings, gate: Gate) -> Heat:
    assert heat.fast is not None
    if heat.fast < settings.heat_ease:
        return heat
    says = (
        f"The processor has reached {_degrees(heat.fast)}; the box sends less until it is below "
        f"{_degrees(settings.heat_back)}."
    )
    return replace(heat, cap=_sent(heat, least) * _less(over) // 100, says=says, moved=gate.now)


def _softened(heat: Heat, cap: int, settings: Settings, gate: Gate) -> Heat:
    says = f"The processor was too hot; the box sends less until it is below {_degrees(settings.heat_back)}."
    return replace(heat, hard=False, cap=cap, says=says, moved=gate.now)


def _raised(heat: Heat, room: int, least: int, settings: Settings, gate: Gate) -> Heat:
    assert heat.fast is not None and heat.cap is not None  # noqa: PT018
    # Where others bound the upload, a higher cap changes nothing yet; it would come all at once later.
    bound = _sent(heat, least) * 10 >= heat.cap * 8
    cap, everything = heat.cap * _more(room) // 100, least * ONE // LEAST_PPM
    if heat.fast >= settings.heat_back:
        # All of it is given back below that only.
        return replace(heat, cap=max(heat.cap, min(cap, everything - 1)), moved=gate.now) if bound else heat
    if bound and cap < everything:
        return replace(heat, cap=cap, moved=gate.now)
    return replace(heat, cap=None, says="", moved=gate.now)


def _sent(heat: Heat, least: int) -> int:
    """What is sent, as what a step is taken of."""
    return max(heat.sent or 0, 2 * least)


def _less(over: int) -> int:
    """Percent that are left, by how far the temperature would be over its target."""
    return 90 if over < 2_000 else 80 if over < 4_000 else 60


def _more(room: int) -> int:
    """Percent that come next, by how far the temperature would stay below its target."""
    return 115 if room < 3_000 else 135 if room < 6_000 else 200


def _ease(heat: Heat) -> Ease | None:
    if heat.cap is None:
        return None
    if not heat.hard:
        return Ease(rule=Rule.HEAT, says=heat.says, cut=Cut(upload=heat.cap, checking=False))
    cut = Cut(upload=heat.cap, writing=False, checking=False, new_work=False)
    hard = Ease(rule=Rule.HEAT, says=heat.says, cut=cut)
    return replace(hard, kept=hard)


def _degrees(temperature: int) -> str:
    return f"{temperature // 1_000} °C"
