"""Which folder a new download goes to: where there is the most room, on a healthy and little worn drive."""

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.core.units import show_bytes
from appliance.domain.governor.room import floor_of

WORN_PERCENT = 80
"""Drives that have used up so much of their life are taken when no other has room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A folder for downloads; the texts are reasons for the owner, empty where nothing is wrong."""

    path: str
    away: str = ""
    """Why it cannot be used: its drive is away, or another one is in its place."""
    frozen: str = ""
    """Why nothing can be written."""
    unfit: str = ""
    """Why nothing new is put there, such as a failing drive."""
    wear_percent: int | None = None
    total: int | None = None
    """Bytes of the file system."""

    @property
    def refusal(self) -> str:
        """Why nothing new is put there; empty where it may be."""
        return self.away or self.frozen or self.unfit


@dataclass(frozen=True, slots=True)
class Room:
    """A volume and what it has left."""

    volume: Volume
    free: int | None
    """Bytes, less what the downloads there still lack; None where it cannot be known."""


def kept_free(total: int | None, floor: int) -> int:
    """Bytes that stay free on a file system of `total` bytes."""
    return floor if total is None else floor_of(total, floor)


def place(rooms: Sequence[Room], size: int, floor: int, prefer: str = "") -> str:
    """The path of the volume for `size` bytes; empty where none may take them.

    `floor` bytes or 5 % stay free on each. `prefer` is taken if it can be; else a volume that is little worn
    before one that is much worn, and of those the one with the most room.
    """
    # What has no size yet writes nothing yet.
    fits = [room for room in rooms if not room.volume.refusal and (not size or _spare(room, floor) >= size)]
    if any(room.volume.path == prefer for room in fits):
        return prefer
    if not fits:
        return ""
    return max(fits, key=lambda room: _rank(room, floor)).volume.path


def no_place(rooms: Sequence[Room], size: int, floor: int) -> str:
    """Why `place` found none, and what to do."""
    usable = [room for room in rooms if not room.volume.refusal and room.free is not None]
    if not usable:
        return next((room.volume.refusal for room in rooms if room.volume.refusal), "No drive is there.")
    best = max(usable, key=lambda room: _spare(room, floor))
    where = "The disk is full" if len(rooms) == 1 else "Every disk is too full"
    kept = kept_free(best.volume.total, floor)
    return (
        f"{where}: it needs {show_bytes(size)}, of {show_bytes(max(0, best.free or 0))} that are free and "
        f"not promised to others, and {show_bytes(kept)} of them stay free. "
        "Make room; it goes on by itself."
    )


def _rank(room: Room, floor: int) -> tuple[bool, bool, int]:
    return not _worn(room.volume), room.free is not None, _spare(room, floor)


def _spare(room: Room, floor: int) -> int:
    """Bytes above what stays free; where nobody knows, enough for all: the disk itself will tell."""
    return 2**63 if room.free is None else room.free - kept_free(room.volume.total, floor)


def _worn(volume: Volume) -> bool:
    return volume.wear_percent is not None and volume.wear_percent >= WORN_PERCENT
