"""Room: some of every drive stays free, as full file systems break in many ways."""

from dataclasses import dataclass

from appliance.core.units import MIB, show_bytes
from appliance.domain.governor.hysteresis import MINUTE_NS, Gate, Hysteresis, follow
from appliance.domain.governor.throttle import Cut, Throttle, ThrottleRule, always
from appliance.domain.volumes.volume import Volume

CALM_NS = MINUTE_NS // 2
"""People make room, and then want to see that it goes on; a quarter more than the floor keeps it calm."""
PERCENT = 5
"""The part of a drive that stays free at least."""
SPENT = 200 * MIB
"""Bytes below which a file system is as good as full, whatever the owner keeps free."""
FEW_INODES_PERCENT = 2
"""The part of a file system's inodes (files and folders) below which it will soon take no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomState:
    """What is remembered."""

    full: tuple[str, ...] = ()
    """Folders whose drives have too little room."""
    hysteresis: Hysteresis = Hysteresis()


def floor_of(total: int, floor: int) -> int:
    """Bytes that stay free on a drive of `total` bytes, where the owner keeps `floor` free.

    Never more than a quarter of a small one.
    """
    return min(max(floor, total * PERCENT // 100), total // 4)


def reopens_at(total: int, floor: int) -> int:
    """Bytes that must be free on a full drive before it takes downloads again: a quarter above the floor."""
    return floor_of(total, floor) * 5 // 4


def assess(
    state: RoomState, volumes: tuple[Volume, ...], floor: int, gate: Gate
) -> tuple[RoomState, list[Throttle]]:
    """Take a reading: the next state, and what throttles the box.

    A drive that is away, or whose room is unknown, stays as it was.
    """
    full = tuple(one.path for one in volumes if _is_full(one, one.path in state.full, floor))
    asked = _level(volumes, full)
    now = follow(state.hysteresis, asked, gate, calm_ns=CALM_NS, harm=True).explained(
        lambda level: _says(level, full, volumes, floor)
    )
    if not now.level:
        return RoomState(full=full), []
    if now.level != (asked or 0):
        # A drive that is full again within the calm minutes must not be written to meanwhile.
        full = (*(path for path in state.full if path not in full), *full)
    throttle = Throttle(rule=ThrottleRule.ROOM, says=now.says, cut=Cut(writing=now.level < 2))
    return RoomState(full=full, hysteresis=now), [always(throttle)]


def _level(volumes: tuple[Volume, ...], full: tuple[str, ...]) -> int | None:
    """2: every drive whose room is known is full; 1: some drive is; None: no room is known."""
    known = {one.path for one in volumes if one.present and one.free is not None}
    if not known:
        return None
    return 2 if known <= set(full) else int(bool(full))


def _is_full(volume: Volume, before: bool, floor: int) -> bool:
    if not volume.present or volume.free is None or volume.total is None:
        return before
    least = reopens_at(volume.total, floor) if before else floor_of(volume.total, floor)
    return volume.free < least


_WAITS = {1: "No new downloads go there", 2: "Nothing is downloaded"}


def _says(level: int, full: tuple[str, ...], volumes: tuple[Volume, ...], floor: int) -> str:
    worst = next((one for one in volumes if one.path in full), None)
    if worst is None or worst.free is None or worst.total is None:
        return "A drive for downloads is full. Remove something from it."
    return (
        f"{worst.path} is full ({show_bytes(worst.free)} left, "
        f"{show_bytes(floor_of(worst.total, floor))} reserved). {_WAITS[level]} until about "
        f"{show_bytes(reopens_at(worst.total, floor))} are free. Remove something from it."
    )
