"""Room: some of every drive stays free, as full file systems break in many ways."""

from dataclasses import dataclass, replace

from appliance.core.units import show_bytes
from appliance.domain.governor.ease import Cut, Ease, Rule
from appliance.domain.governor.hysteresis import MINUTE_NS, Gate, Held, step
from appliance.domain.volumes.volume import Volume

CALM_NS = MINUTE_NS // 2
"""People make room, and then want to see that it goes on; a quarter more than the floor keeps it calm."""
PERCENT = 5
"""Of a drive that stay free at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """What is remembered."""

    full: tuple[str, ...] = ()
    """Folders whose drives have too little room."""
    held: Held = Held()


def floor_of(total: int, floor: int) -> int:
    """Bytes that stay free on a drive of `total` bytes, where the owner keeps `floor` free.

    Never more than a quarter of a small one.
    """
    return min(max(floor, total * PERCENT // 100), total // 4)


def look(room: Room, volumes: tuple[Volume, ...], floor: int, gate: Gate) -> tuple[Room, Ease | None]:
    """Take a reading. A drive that is away, or does not tell its room, stays as it was."""
    full = tuple(one.path for one in volumes if _is_full(one, room.full, floor))
    known = [one for one in volumes if one.present and one.free is not None]
    wish = None if not known else 2 if all(one.path in full for one in known) else int(bool(full))
    held = step(room.held, wish, gate, calm_ns=CALM_NS, harm=True)
    if held.level and not held.says:
        held = replace(held, says=_says(held.level, full, volumes, floor))
    # A drive that is full again within the calm minutes must not be written to meanwhile.
    kept = full if held.level == (wish or 0) else tuple(one for one in room.full if one not in full) + full
    if not held.level:
        return Room(full=full), None
    ease = Ease(rule=Rule.ROOM, says=held.says, cut=Cut(writing=held.level < 2))
    return Room(full=kept, held=held), replace(ease, kept=ease)


def _is_full(volume: Volume, before: tuple[str, ...], floor: int) -> bool:
    was = volume.path in before
    if not volume.present or volume.free is None or volume.total is None:
        return was
    least = floor_of(volume.total, floor)
    return volume.free < (least * 5 // 4 if was else least)


def _says(level: int, full: tuple[str, ...], volumes: tuple[Volume, ...], floor: int) -> str:
    worst = next((one for one in volumes if one.path in full), None)
    if worst is None or worst.free is None or worst.total is None:
        return "A drive for content has too little room. Remove something from it."
    what = "nothing is fetched" if level == 2 else "nothing more is fetched to it"
    return (
        f"{worst.path} has {show_bytes(worst.free)} free, and {show_bytes(floor_of(worst.total, floor))} "
        f"stay free; {what} until there is a quarter more. Remove something from it."
    )
