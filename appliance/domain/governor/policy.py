"""From readings to limits: every rule says what it takes away and why, and the strictest of each thing holds.

`decide` is pure; its state outlives a restart. The limits fall as soon as harm is near, and rise after it has
been calm for some minutes. All rules together change them four times an hour at most, unless harm is near:
see `hysteresis.Gate`. What others in the house need of the line is not among these changes; it comes and goes
by the second, and is put over these limits as a cap (`GovernorDecision.upload_rate` has it).

An owner's override leaves only what keeps box, data and bill from harm: the hard limit of heat, the writes at
under-voltage, an empty battery, the room that stays free, and a month's data that is used up.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from appliance.core.units import MIB, MonoNs, UtcMs
from appliance.domain.governor import cap, heat, hours, power, pressure, room, uplink_notice
from appliance.domain.governor.hysteresis import (
    HOUR_NS,
    MOST_BEFORE_RELAXING,
    MOST_BEFORE_TIGHTENING,
    Gate,
)
from appliance.domain.governor.model import (
    GovernorDecision,
    GovernorMoment,
    GovernorState,
    ThrottleEvent,
    ThrottleOverride,
    resumed,
)
from appliance.domain.governor.payers import notice_to_payers
from appliance.domain.governor.readings import Readings
from appliance.domain.governor.settings import GovernorSettings
from appliance.domain.governor.throttle import (
    ONE,
    Cut,
    Throttle,
    ThrottleReason,
    ThrottleRule,
    strictest,
    throttled,
)

UNKNOWN_UPLINK = MIB
"""Bytes a second, of which a share is taken where nobody knows what the uplink can do."""
FADE_NS = 14 * 24 * HOUR_NS
"""Over so long a time an uplink is forgotten that was never reached again: a line that nobody asks for much
looks slow, and is not."""
GROWN_PPM = 1_250_000
"""While the box is throttled, only an uplink that proves so much faster is believed."""
SAFETY_RULES = (
    ThrottleRule.HEAT,
    ThrottleRule.UNDER_VOLTAGE,
    ThrottleRule.UPS,
    ThrottleRule.ROOM,
    ThrottleRule.CAP,
)
"""Rules of which an override leaves what keeps from harm."""


def decide(
    settings: GovernorSettings, before: GovernorState, readings: Readings, moment: GovernorMoment
) -> tuple[GovernorState, GovernorDecision]:
    """Take readings, and say what the box may do."""
    state = _current(before, moment)
    gate = _gate(state, moment)
    overridden = state.override is not None
    state, throttles = _assess(settings, state, readings, moment, gate)
    throttles = _left(throttles, overridden)
    cut = strictest(one.cut for one in throttles)
    limits = throttled(moment.wanted, cut, state.base)
    uplink_cap = None if overridden else moment.uplink_cap
    upload = _under(limits.upload_rate, uplink_cap)
    notice, uplink = uplink_notice.assess(
        state.uplink_notice, uplink_cap, limits.upload_rate or state.base, readings, gate
    )
    throttles += _left(uplink, overridden)
    reasons = _reasons(state.in_force, throttles, moment.at, overridden)
    changed = cut != state.cut
    decision = GovernorDecision(
        limits=limits,
        upload_rate=upload,
        usual=state.base,
        throttles=reasons,
        events=_events(state.in_force, reasons),
        changed=changed,
        overridden=overridden,
        payers=notice_to_payers(throttles, upload, state.base, moment),
        no_writing=_why_not(throttles, lambda cut: cut.writing),
        no_sending=_why_not(throttles, lambda cut: cut.sending),
        full=state.room.full,
        shut_down=state.power.empty,
    )
    changes = (*state.changes, *([moment.mono] * changed))
    return replace(state, uplink_notice=notice, cut=cut, changes=changes, in_force=reasons), decision


# ------------------------------------------------------------------------------------------- the parts


def _current(state: GovernorState, moment: GovernorMoment) -> GovernorState:
    """The state at this moment: old changes forgotten, an override ended, what shares are taken of."""
    if moment.mono < state.mono:
        state = resumed(state, moment.at, moment.mono)
    peak = _peak(state, moment)
    return replace(
        state,
        override=_still(state.override, moment.mono),
        changes=tuple(then for then in state.changes if moment.mono - then < HOUR_NS),
        peak=peak,
        base=moment.wanted.upload_rate or _base(state, peak or UNKNOWN_UPLINK),
        at=moment.at,
        mono=moment.mono,
    )


def _still(override: ThrottleOverride | None, now: MonoNs) -> ThrottleOverride | None:
    return override if override and now < override.end else None


def _peak(state: GovernorState, moment: GovernorMoment) -> int:
    gone = min(FADE_NS, moment.mono - state.mono)
    return max(moment.uplink, state.peak - state.peak * gone // FADE_NS - bool(gone), 0)


def _base(state: GovernorState, peak: int) -> int:
    """What shares are taken of, where no limit says it: a throttled box must not take itself for the line."""
    believed = state.cut == Cut() or peak * ONE > state.base * GROWN_PPM
    return peak if believed else state.base


def _gate(state: GovernorState, moment: GovernorMoment) -> Gate:
    return Gate(
        now=moment.mono,
        relax=len(state.changes) < MOST_BEFORE_RELAXING,
        tighten=len(state.changes) < MOST_BEFORE_TIGHTENING,
    )


def _assess(
    settings: GovernorSettings, state: GovernorState, readings: Readings, moment: GovernorMoment, gate: Gate
) -> tuple[GovernorState, list[Throttle]]:
    """Ask every rule."""
    hot, too_hot = heat.assess(
        state.heat, readings.temperature_mc, readings.up_rate, state.base, settings, gate
    )
    supply, too_weak = power.assess(state.power, readings, gate)
    stalls, stalled = pressure.assess(state.stalls, readings, gate)
    space, too_full = room.assess(state.room, readings.volumes, settings.floor, gate)
    spread, too_much = cap.assess(state.spread, readings, state.base, settings, moment.at, gate)
    throttles = [
        *too_weak,
        *too_hot,
        *too_full,
        *too_much,
        *stalled,
        *hours.assess(settings, moment.at),
    ]
    state = replace(state, heat=hot, power=supply, stalls=stalls, room=space, spread=spread)
    return state, throttles


def _left(throttles: list[Throttle], overridden: bool) -> list[Throttle]:
    """The throttles that hold; of each an override leaves what keeps from harm."""
    if not overridden:
        return throttles
    return [left for one in throttles if (left := one.under_override)]


def _why_not(throttles: list[Throttle], allows: Callable[[Cut], bool]) -> str:
    """What the first throttle says whose cut does not allow it; empty where all do."""
    return next((one.says for one in throttles if not allows(one.cut)), "")


def _under(rate: int, uplink_cap: int | None) -> int:
    """A rate, 0 for unlimited, under what others leave of the uplink."""
    return rate if uplink_cap is None else max(1, min(rate or uplink_cap, uplink_cap))


def _reasons(
    before: tuple[ThrottleReason, ...], throttles: list[Throttle], at: UtcMs, overridden: bool
) -> tuple[ThrottleReason, ...]:
    """The throttles as the owner sees them; what said the same before began then."""
    since = {(one.rule, one.says): one.since for one in before}
    return tuple(
        ThrottleReason(
            rule=one.rule,
            says=one.says,
            since=since.get((one.rule, one.says), at),
            kept=overridden or one.under_override is not None,
        )
        for one in throttles
    )


def _events(before: tuple[ThrottleReason, ...], now: tuple[ThrottleReason, ...]) -> tuple[ThrottleEvent, ...]:
    return (*_without(before, now, begun=False), *_without(now, before, begun=True))


def _without(
    these: Iterable[ThrottleReason], others: Iterable[ThrottleReason], *, begun: bool
) -> tuple[ThrottleEvent, ...]:
    """Events of the reasons that are not among the others."""
    known = {(one.rule, one.says) for one in others}
    return tuple(
        ThrottleEvent(rule=one.rule, says=one.says, begun=begun, since=one.since)
        for one in these
        if (one.rule, one.says) not in known
    )
