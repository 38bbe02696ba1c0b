"""Which volume a new download goes to: the one with the most space, on a healthy and little worn drive."""

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.core.units import show_bytes
from appliance.domain.governor.room import floor_of
from appliance.domain.volumes.volume import Volume

_PLENTY = 2**63
"""Bytes that stand for an unknown amount of space: enough for all, as the disk itself will tell."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A volume, and the space that it has left for downloads."""

    volume: Volume
    free: int | None
    """Bytes, less what the downloads there still lack; None where it cannot be known."""


def kept_free(total: int | None, floor: int) -> int:
    """Bytes that stay free on a file system of `total` bytes."""
    return floor if total is None else floor_of(total, floor)


def place(candidates: Sequence[Candidate], size: int, floor: int, prefer: str = "") -> str:
    """The path of the volume for `size` bytes; empty where none may take them.

    `floor` bytes or 5 % stay free on each. `prefer` is taken if it can be; else a volume that is little worn
    before one that is much worn, and of those the one with the most space.
    """
    fits = [one for one in candidates if _fits(one, size, floor)]
    if any(one.volume.path == prefer for one in fits):
        return prefer
    best = max(fits, key=lambda one: _rank(one, floor), default=None)
    return best.volume.path if best else ""


def no_place(candidates: Sequence[Candidate], size: int, floor: int) -> str:
    """Why `place` found none, and what to do."""
    usable = [one for one in candidates if not one.volume.refusal and one.free is not None]
    if not usable:
        refusals = (one.volume.refusal for one in candidates if one.volume.refusal)
        return next(refusals, "No drive is connected.")
    best = max(usable, key=lambda one: _spare(one, floor))
    full = "The disk is full" if len(candidates) == 1 else "Every disk is too full"
    kept = kept_free(best.volume.total, floor)
    return (
        f"{full}: it needs {show_bytes(size)}, but {show_bytes(max(0, best.free or 0))} are left, of which "
        f"{show_bytes(kept)} are reserved. Free up some space, and it resumes automatically."
    )


def _fits(one: Candidate, size: int, floor: int) -> bool:
    # What has no size yet writes nothing yet.
    return not one.volume.refusal and (not size or _spare(one, floor) >= size)


def _rank(one: Candidate, floor: int) -> tuple[bool, bool, int]:
    return not one.volume.worn, one.free is not None, _spare(one, floor)


def _spare(one: Candidate, floor: int) -> int:
    """Bytes above what stays free."""
    return _PLENTY if one.free is None else one.free - kept_free(one.volume.total, floor)
