"""From readings to limits: every rule says what it takes away and why, and the strictest of each thing holds.

`decide` is pure; its state outlives a restart. The limits fall as soon as harm is near, and rise after it has
been calm for some minutes. All rules together change them four times an hour at most, unless harm is near:
see `held.Gate`. What others in the house need of the line is not among these changes; it comes and goes by
the second, and is put over these limits as a cap (`Decision.upload_rate` has it).

An owner's override leaves only what keeps box, data and bill from harm: the hard limit of heat, the writes at
under-voltage, an empty battery, the room that stays free, and a month's data that is used up.
"""

from dataclasses import dataclass, replace

from appliance.core.units import KIB, MIB, MonoNs, UtcMs, show_rate
from appliance.domain.governor import cap, heat, hours, power, pressure, room
from appliance.domain.governor import uplink_notice as polite
from appliance.domain.governor.cap import Spread
from appliance.domain.governor.ease import Cut, Ease, InForce, Rule, eased, strictest
from appliance.domain.governor.heat import Heat
from appliance.domain.governor.hysteresis import (
    HOUR_NS,
    MINUTE_NS,
    MOST_BEFORE_EASING,
    MOST_BEFORE_RELAXING,
    Gate,
)
from appliance.domain.governor.limits import Limits
from appliance.domain.governor.power import Power
from appliance.domain.governor.pressure import Stalls
from appliance.domain.governor.readings import Readings
from appliance.domain.governor.room import Room
from appliance.domain.governor.settings import Settings
from appliance.domain.governor.uplink_notice import Courtesy

UNKNOWN_UPLINK = MIB
"""Bytes a second, of which a share is taken where nobody knows what the uplink can do."""
FADE_NS = 14 * 24 * HOUR_NS
"""Over so long a time an uplink is forgotten that was never reached again: a line that nobody asks for much
looks slow, and is not."""
GROWN_PPM = 1_250_000
"""While the box is eased, only an uplink that proves so much faster is believed."""
LEAST_FREE = KIB
"""Bytes a second that those who do not pay keep in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What `decide` looks at besides the readings."""

    at: UtcMs
    """For hours and months, and for people."""
    mono: MonoNs
    wanted: Limits
    """What the owner and the configuration allow."""
    uplink: int = 0
    """What the box can send, in bytes a second; 0: nobody knows."""
    courtesy: int | None = None
    """What others in the house leave of the uplink, in bytes a second; None: all of it."""
    leased: bool = False
    """Somebody pays for a slot now."""
    free_percent: int = 0
    """Of the upload, for those who do not pay, while slots are sold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """The owner wants nothing eased for some time."""

    until: UtcMs
    end: MonoNs


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All that is remembered; msgspec writes and reads it."""

    heat: Heat = Heat()
    power: Power = Power()
    stalls: Stalls = Stalls()
    room: Room = Room()
    spread: Spread = Spread()
    courtesy: Courtesy = Courtesy()
    override: Override | None = None
    cut: Cut = Cut()
    """In force, but for the courtesy."""
    base: int = 0
    """What shares are taken of, in bytes a second: the owner's limit, or `peak` when the easing began."""
    peak: int = 0
    """The most that was sent of late, in bytes a second."""
    changes: tuple[MonoNs, ...] = ()
    """When the limits changed, within the last hour."""
    told: tuple[InForce, ...] = ()
    at: UtcMs = UtcMs(0)
    mono: MonoNs = MonoNs(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An ease has begun or ended."""

    rule: Rule
    says: str
    begun: bool
    since: UtcMs
    """When it began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What holds now, and why."""

    limits: Limits
    """Without the courtesy."""
    upload_rate: int
    """With it: bytes a second, 0 for unlimited."""
    usual: int
    """Bytes a second that the box would send if nothing were eased, as far as known."""
    eases: tuple[InForce, ...]
    events: tuple[Event, ...]
    """What has changed of the eases since the last decision; the journal's and the graph's."""
    changed: bool
    """The limits are others than at the last decision, by the governor's doing."""
    overridden: bool
    payers: str
    """What those who pay are to be told; empty: they get what they got, and the free share alone shrinks."""
    no_writing: str
    """Why nothing is fetched; empty: something is."""
    no_sending: str
    """Why nothing is sent."""
    full: tuple[str, ...]
    """Folders whose drives have too little room: nothing is fetched to them."""
    shut_down: bool
    """The battery is nearly empty: save everything and power off."""


KEPT = (Rule.HEAT, Rule.UNDER_VOLTAGE, Rule.UPS, Rule.ROOM, Rule.CAP)
"""Rules of which an override leaves what keeps from harm."""


def decide(settings: Settings, state: State, readings: Readings, moment: Moment) -> tuple[State, Decision]:
    """Take readings, and say what the box may do."""
    state = _current(state, moment)
    gate = Gate(
        now=moment.mono,
        relax=len(state.changes) < MOST_BEFORE_RELAXING,
        ease=len(state.changes) < MOST_BEFORE_EASING,
    )
    state, eases = _look(settings, state, readings, moment, gate)
    if state.override:
        eases = [ease.kept for ease in eases if ease.kept]
    cut = strictest(ease.cut for ease in eases)
    limits = eased(moment.wanted, cut, state.base)
    now = moment.courtesy if state.override is None else None
    courtesy, telling = polite.look(state.courtesy, now, limits.upload_rate or state.base, readings, gate)
    if telling and state.override is None:
        eases.append(telling)
    upload = _under(limits.upload_rate, now)
    told = _told(state.told, eases, moment.at, state.override is not None)
    changed = cut != state.cut
    decision = Decision(
        limits=limits,
        upload_rate=upload,
        usual=state.base,
        eases=told,
        events=_events(state.told, told),
        changed=changed,
        overridden=state.override is not None,
        payers=_payers(eases, upload, state.base, moment) if moment.leased else "",
        no_writing=next((ease.says for ease in eases if not ease.cut.writing), ""),
        no_sending=next((ease.says for ease in eases if not ease.cut.sending), ""),
        full=state.room.full,
        shut_down=power.must_shut_down(readings),
    )
    changes = (*state.changes, moment.mono) if changed else state.changes
    return replace(state, courtesy=courtesy, cut=cut, changes=changes, told=told), decision


def override(state: State, minutes: int, at: UtcMs, mono: MonoNs) -> State:
    """The owner wants nothing eased for so many minutes; 0: the box eases itself again."""
    if minutes <= 0:
        return replace(state, override=None)
    end = Override(until=UtcMs(at + minutes * 60_000), end=MonoNs(mono + minutes * MINUTE_NS))
    return replace(state, override=end)


def resumed(state: State, at: UtcMs, mono: MonoNs) -> State:
    """A state of another boot, whose monotonic clock began elsewhere: everything is as long ago as it was.

    The time in between is the wall clock's, and none where that has gone back: an ease rather lasts longer.
    """
    gone = max(0, at - state.at) * 1_000_000
    move = mono - state.mono - gone

    def moved(then: MonoNs) -> MonoNs:
        return MonoNs(then + move)

    held = {
        "power": replace(state.power, weak=state.power.weak.moved(move), ups=state.power.ups.moved(move)),
        "stalls": replace(
            state.stalls, io=state.stalls.io.moved(move), memory=state.stalls.memory.moved(move)
        ),
        "room": replace(state.room, held=state.room.held.moved(move)),
        "courtesy": state.courtesy.moved(move),
    }
    seen = state.heat.seen
    until = state.override
    return replace(
        state,
        **held,  # type: ignore[arg-type]
        heat=replace(state.heat, moved=moved(state.heat.moved), seen=None if seen is None else moved(seen)),
        spread=replace(state.spread, set=moved(state.spread.set)),
        override=replace(until, end=moved(until.end)) if until else None,
        changes=tuple(moved(then) for then in state.changes),
        at=at,
        mono=mono,
    )


# ------------------------------------------------------------------------------------------- the parts


def _current(state: State, moment: Moment) -> State:
    """The state at this moment: old changes forgotten, an override ended, what shares are taken of."""
    if moment.mono < state.mono:
        state = resumed(state, moment.at, moment.mono)
    over = state.override
    gone = min(FADE_NS, moment.mono - state.mono)
    peak = max(moment.uplink, state.peak - state.peak * gone // FADE_NS - bool(gone), 0)
    base = peak or UNKNOWN_UPLINK
    if state.cut != Cut() and base * 1_000_000 <= state.base * GROWN_PPM:
        base = state.base
    return replace(
        state,
        override=over if over and moment.mono < over.end else None,
        changes=tuple(then for then in state.changes if moment.mono - then < HOUR_NS),
        peak=peak,
        base=moment.wanted.upload_rate or base,
        at=moment.at,
        mono=moment.mono,
    )


def _look(
    settings: Settings, state: State, readings: Readings, moment: Moment, gate: Gate
) -> tuple[State, list[Ease]]:
    """Ask every rule."""
    sent, at = readings.up_rate, moment.at
    hot, hot_ease = heat.look(state.heat, readings.temperature_mc, sent, state.base, settings, gate)
    supply, supply_eases = power.look(state.power, readings, gate)
    stalls, stall_eases = pressure.look(state.stalls, readings, gate)
    space, space_ease = room.look(state.room, readings.volumes, settings.floor, gate)
    spread, spread_ease = cap.look(state.spread, readings, state.base, settings, at, gate)
    eases = [
        *supply_eases,
        *(ease for ease in (hot_ease, space_ease, spread_ease) if ease),
        *stall_eases,
        *hours.look(
            settings.cheap, settings.quiet, settings.dear_percent, settings.spin_down, at, settings.zone
        ),
    ]
    state = replace(state, heat=hot, power=supply, stalls=stalls, room=space, spread=spread)
    return state, eases


def _under(rate: int, courtesy: int | None) -> int:
    if courtesy is None:
        return rate
    return max(1, min(rate, courtesy) if rate else courtesy)


def _told(before: tuple[InForce, ...], eases: list[Ease], at: UtcMs, overridden: bool) -> tuple[InForce, ...]:
    """What is told of the eases; who has said the same before began then."""
    since = {(one.rule, one.says): one.since for one in before}
    return tuple(
        InForce(
            rule=ease.rule,
            says=ease.says,
            since=since.get((ease.rule, ease.says), at),
            kept=overridden or ease.kept is not None,
        )
        for ease in eases
    )


def _events(before: tuple[InForce, ...], now: tuple[InForce, ...]) -> tuple[Event, ...]:
    was, is_ = {(one.rule, one.says) for one in before}, {(one.rule, one.says) for one in now}
    ended = [one for one in before if (one.rule, one.says) not in is_]
    begun = [one for one in now if (one.rule, one.says) not in was]
    return tuple(
        Event(rule=one.rule, says=one.says, begun=new, since=one.since)
        for ones, new in ((ended, False), (begun, True))
        for one in ones
    )


def left_for_payers(upload: int, usual: int, free_percent: int) -> int:
    """Bytes a second that payers get of `upload`: all they got of `usual`, until the free share is used up.

    The free peers bear the whole of a reduction first, down to `LEAST_FREE` for all of them together.
    """
    return max(0, min(usual - usual * free_percent // 100, upload - LEAST_FREE))


def _payers(eases: list[Ease], upload: int, usual: int, moment: Moment) -> str:
    """What payers are told, where they get less than usual."""
    whys = [
        ease
        for ease in eases
        if not ease.cut.sending
        or ease.cut.upload_ppm < 1_000_000
        or ease.cut.upload is not None
        or ease.rule is Rule.COURTESY
    ]
    if not whys:
        return ""
    why = min(whys, key=lambda ease: (ease.cut.sending, ease.cut.upload_ppm)).rule.short
    if not all(ease.cut.sending for ease in eases):
        return f"The seller sends nothing for now: {why}."
    left = left_for_payers(upload, usual, moment.free_percent)
    if not upload or left >= left_for_payers(usual, usual, moment.free_percent):
        return ""
    return f"The seller sends at most {show_rate(left)} to all who pay for now: {why}."
