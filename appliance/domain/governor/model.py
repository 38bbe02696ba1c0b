"""What the governor looks at, remembers, and decides."""

from dataclasses import dataclass, replace

from appliance.core.units import MonoNs, UtcMs
from appliance.domain.governor.cap import AllowanceState
from appliance.domain.governor.heat import HeatState
from appliance.domain.governor.hysteresis import MINUTE_NS, moved
from appliance.domain.governor.limits import Limits
from appliance.domain.governor.power import SupplyState
from appliance.domain.governor.pressure import StallState
from appliance.domain.governor.room import RoomState
from appliance.domain.governor.throttle import Cut, ThrottleReason, ThrottleRule
from appliance.domain.governor.uplink_notice import UplinkNotice


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
    """The part of the upload that those who do not pay keep while slots are sold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThrottleOverride:
    """The owner wants nothing throttled for some time."""

    until: UtcMs
    end: MonoNs


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernorState:
    """All that is remembered; msgspec writes and reads it."""

    heat: HeatState = HeatState()
    power: SupplyState = SupplyState()
    stalls: StallState = StallState()
    room: RoomState = RoomState()
    spread: AllowanceState = AllowanceState()
    uplink_notice: UplinkNotice = UplinkNotice()
    override: ThrottleOverride | None = None
    cut: Cut = Cut()
    """In force, without the uplink guard's cap."""
    base: int = 0
    """What shares are taken of, in bytes a second: the owner's limit, or `peak` when the throttling began."""
    peak: int = 0
    """The most that was sent of late, in bytes a second."""
    changes: tuple[MonoNs, ...] = ()
    """When the limits changed, within the last hour."""
    in_force: tuple[ThrottleReason, ...] = ()
    at: UtcMs = UtcMs(0)
    mono: MonoNs = MonoNs(0)


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
    """The sentence for buyers; empty: they get what they got, and the free share alone shrinks."""
    no_writing: str
    """Why nothing is downloaded; empty: something is."""
    no_sending: str
    """Why nothing is sent."""
    full: tuple[str, ...]
    """Folders whose drives have too little room: nothing is downloaded to them."""
    shut_down: bool
    """The battery is nearly empty: save everything and power off."""


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
        power=replace(power_, weak=power_.weak.moved(by), ups=power_.ups.moved(by), battery=None),
        stalls=replace(stalls, io=stalls.io.moved(by), memory=stalls.memory.moved(by)),
        room=replace(room_, hysteresis=room_.hysteresis.moved(by)),
        spread=replace(state.spread, set=MonoNs(state.spread.set + by)),
        uplink_notice=state.uplink_notice.moved(by),
        override=replace(until, end=MonoNs(until.end + by)) if until else None,
        changes=tuple(MonoNs(then + by) for then in state.changes),
        at=at,
        mono=mono,
    )
