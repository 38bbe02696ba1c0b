"""From readings to limits: every rule says what it takes away and why, and the strictest of each thing holds.

`decide` is pure; its state outlives a restart. The limits fall as soon as harm is near, and rise after it has
been calm for some minutes. All rules together change them four times an hour at most, unless harm is near:
see `hysteresis.Gate`. What others in the house need of the line is not among these changes; it comes and goes
by the second, and is put over these limits as a cap (`GovernorDecision.upload_rate` has it).

An owner's override leaves only what keeps box, data and bill from harm: the hard limit of heat, the writes at
under-voltage, an empty battery, the room that stays free, and a month's data that is used up.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from appliance.core.units import KIB, MIB, MonoNs, UtcMs, show_rate
from appliance.domain.governor import cap, heat, hours, power, pressure, room, uplink_notice
from appliance.domain.governor.cap import AllowanceState
from appliance.domain.governor.heat import HeatState
from appliance.domain.governor.hysteresis import (
    HOUR_NS,
    MINUTE_NS,
    MOST_BEFORE_RELAXING,
    MOST_BEFORE_TIGHTENING,
    Gate,
    moved,
)
from appliance.domain.governor.limits import Limits
from appliance.domain.governor.power import SupplyState
from appliance.domain.governor.pressure import StallState
from appliance.domain.governor.readings import Readings
from appliance.domain.governor.room import RoomState
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
from appliance.domain.governor.uplink_notice import UplinkNotice

UNKNOWN_UPLINK = MIB
"""Bytes a second, of which a share is taken where nobody knows what the uplink can do."""
FADE_NS = 14 * 24 * HOUR_NS
"""Over so long a time an uplink is forgotten that was never reached again: a line that nobody asks for much
looks slow, and is not."""
GROWN_PPM = 1_250_000
"""While the box is throttled, only an uplink that proves so much faster is believed."""
LEAST_FREE = KIB
"""Bytes a second that those who do not pay keep in any case."""
SAFETY_RULES = (
    ThrottleRule.HEAT,
    ThrottleRule.UNDER_VOLTAGE,
    ThrottleRule.UPS,
    ThrottleRule.ROOM,
    ThrottleRule.CAP,
)
"""Rules of which an override leaves what keeps from harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernorMoment:
    """What `decide` looks at besides the readings."""

    at: UtcMs
    """For hours and months, and for people."""
    mono: MonoNs
    wanted: Limits
    """What the owner and the configuration allow."""
    uplink: int = 0
    """What the box can send, in bytes a second; 0: nobody knows."""
    uplink_cap: int | None = None
    """What others in the house leave of the uplink, in bytes a second; None: all of it."""
    leased: bool = False
    """Somebody pays for a slot now."""
    free_percent: int = 0
    """Of the upload, for those who do not pay, while slots are sold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleOverride:
    """The owner wants nothing throttled for some time."""

    until: UtcMs
    end: MonoNs


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernorState:
    """All that is remembered; msgspec writes and reads it."""

    heat: HeatState = HeatState()  # noqa: RUF009  frozen, as all below
    power: SupplyState = SupplyState()  # noqa: RUF009
    stalls: StallState = StallState()  # noqa: RUF009
    room: RoomState = RoomState()  # noqa: RUF009
    spread: AllowanceState = AllowanceState()  # noqa: RUF009
    uplink_notice: UplinkNotice = UplinkNotice()  # noqa: RUF009
    override: ThrottleOverride | None = None
    cut: Cut = Cut()  # noqa: RUF009
    """In force, without the uplink guard's cap."""
    base: int = 0
    """What shares are taken of, in bytes a second: the owner's limit, or `peak` when the throttling began."""
    peak: int = 0
    """The most that was sent of late, in bytes a second."""
    changes: tuple[MonoNs, ...] = ()
    """When the limits changed, within the last hour."""
    in_force: tuple[ThrottleReason, ...] = ()
    at: UtcMs = UtcMs(0)  # noqa: RUF009  a NewType, not a call
    mono: MonoNs = MonoNs(0)  # noqa: RUF009


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleEvent:
    """A throttle has begun or ended."""

    rule: ThrottleRule
    says: str
    begun: bool
    since: UtcMs
    """When it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernorDecision:
    """What holds now, and why."""

    limits: Limits
    """Without the uplink guard's cap."""
    upload_rate: int
    """With it: bytes a second, 0 for unlimited."""
    usual: int
    """Bytes a second that the box would send if nothing were throttled, as far as known."""
    throttles: tuple[ThrottleReason, ...]
    events: tuple[ThrottleEvent, ...]
    """What has changed of the throttles since the last decision; the journal's and the graph's."""
    changed: bool
    """The limits are others than at the last decision, by the governor's doing."""
    overridden: bool
    payers: str
    """What buyers are to be told; empty: they get what they got, and the free share alone shrinks."""
    no_writing: str
    """Why nothing is downloaded; empty: something is."""
    no_sending: str
    """Why nothing is sent."""
    full: tuple[str, ...]
    """Folders whose drives have too little room: nothing is downloaded to them."""
    shut_down: bool
    """The battery is nearly empty: save everything and power off."""


def decide(
    settings: GovernorSettings, before: GovernorState, readings: Readings, moment: GovernorMoment
) -> tuple[GovernorState, GovernorDecision]:
    """Take readings, and say what the box may do."""
    state = _current(before, moment)
    gate = _gate(state, moment)
    state, throttles = _assess(settings, state, readings, moment, gate)
    overridden = state.override is not None
    if overridden:
        throttles = [left for one in throttles if (left := one.under_override)]
    cut = strictest(one.cut for one in throttles)
    limits = throttled(moment.wanted, cut, state.base)
    uplink_cap = None if overridden else moment.uplink_cap
    upload = _under(limits.upload_rate, uplink_cap)
    notice, uplink = uplink_notice.assess(
        state.uplink_notice, uplink_cap, limits.upload_rate or state.base, readings, gate
    )
    if uplink and not overridden:
        throttles.append(uplink)
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
        payers=_payers(throttles, upload, state.base, moment),
        no_writing=next((one.says for one in throttles if not one.cut.writing), ""),
        no_sending=next((one.says for one in throttles if not one.cut.sending), ""),
        full=state.room.full,
        shut_down=power.battery_low(readings),
    )
    changes = (*state.changes, *([moment.mono] * changed))
    return replace(state, uplink_notice=notice, cut=cut, changes=changes, in_force=reasons), decision


def override(state: GovernorState, minutes: int, at: UtcMs, mono: MonoNs) -> GovernorState:
    """The owner wants nothing throttled for so many minutes; 0: the box throttles itself again."""
    if minutes <= 0:
        return replace(state, override=None)
    end = ThrottleOverride(until=UtcMs(at + minutes * 60_000), end=MonoNs(mono + minutes * MINUTE_NS))
    return replace(state, override=end)


def resumed(state: GovernorState, at: UtcMs, mono: MonoNs) -> GovernorState:
    """A state of another boot, whose monotonic clock began elsewhere: everything is as long ago as it was.

    The time in between is the wall clock's, and none where that has gone back: a throttle
    rather lasts longer.
    """
    gone = max(0, at - state.at) * 1_000_000
    by = mono - state.mono - gone
    heat_, power_, stalls, room_ = state.heat, state.power, state.stalls, state.room
    until = state.override
    return replace(
        state,
        heat=replace(heat_, moved=MonoNs(heat_.moved + by), seen=moved(heat_.seen, by)),
        power=replace(power_, weak=power_.weak.moved(by), ups=power_.ups.moved(by)),
        stalls=replace(stalls, io=stalls.io.moved(by), memory=stalls.memory.moved(by)),
        room=replace(room_, hysteresis=room_.hysteresis.moved(by)),
        spread=replace(state.spread, set=MonoNs(state.spread.set + by)),
        uplink_notice=state.uplink_notice.moved(by),
        override=replace(until, end=MonoNs(until.end + by)) if until else None,
        changes=tuple(MonoNs(then + by) for then in state.changes),
        at=at,
        mono=mono,
    )


# ------------------------------------------------------------------------------------------- the parts


def _current(state: GovernorState, moment: GovernorMoment) -> GovernorState:
    """The state at this moment: old changes forgotten, an override ended, what shares are taken of."""
    if moment.mono < state.mono:
        state = resumed(state, moment.at, moment.mono)
    over = state.override
    peak = _peak(state, moment)
    return replace(
        state,
        override=over if over and moment.mono < over.end else None,
        changes=tuple(then for then in state.changes if moment.mono - then < HOUR_NS),
        peak=peak,
        base=moment.wanted.upload_rate or _base(state, peak or UNKNOWN_UPLINK),
        at=moment.at,
        mono=moment.mono,
    )


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
        *(one for one in (too_hot, too_full, too_much) if one),
        *stalled,
        *hours.assess(settings, moment.at),
    ]
    state = replace(state, heat=hot, power=supply, stalls=stalls, room=space, spread=spread)
    return state, throttles


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


def left_for_payers(upload: int, usual: int, free_percent: int) -> int:
    """Bytes a second that buyers get of `upload`: all they got of `usual`, until the free share is used up.

    The free peers bear the whole of a reduction first, down to `LEAST_FREE` for all of them together.
    """
    return max(0, min(usual - usual * free_percent // 100, upload - LEAST_FREE))


def _payers(throttles: list[Throttle], upload: int, usual: int, moment: GovernorMoment) -> str:
    """What buyers are told, where there are any and they get less than usual."""
    slowing = [one for one in throttles if one.cut.reduces_upload or one.rule is ThrottleRule.UPLINK]
    if not slowing or not moment.leased:
        return ""
    worst = min(slowing, key=lambda one: (one.cut.sending, one.cut.upload_ppm))
    if not worst.cut.sending:
        return f"The seller has paused its uploads: {worst.rule.short}."
    left = left_for_payers(upload, usual, moment.free_percent)
    if not upload or left >= left_for_payers(usual, usual, moment.free_percent):
        return ""
    return f"The seller is limited to {show_rate(left)} for all its buyers: {worst.rule.short}."
