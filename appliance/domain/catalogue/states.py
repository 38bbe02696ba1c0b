"""From what is known of a torrent to the state and the reason that its owner reads: one pure function."""

from dataclasses import dataclass

from appliance.core.units import show_bytes
from appliance.domain.catalogue.model import State
from appliance.domain.catalogue.ports import Phase, Snapshot, TroubleKind
from appliance.domain.catalogue.record import Record


@dataclass(frozen=True, slots=True)
class Trouble:
    """What stopped a torrent."""

    kind: TroubleKind
    says: str
    """What happened, and what to do about it."""


def state_of(
    record: Record,
    snapshot: Snapshot | None,
    trouble: Trouble | None,
    eased: str = "",
    silent: str = "",
) -> tuple[State, str]:
    """The state of a torrent, and why, with the remedy, where the state needs it.

    `eased` says why the box writes nothing at the moment, `silent` why it sends nothing; empty where it does.
    """
    if trouble is not None:
        return _STATE_OF_TROUBLE.get(trouble.kind, State.FAILED), trouble.says
    if record.paused:
        return State.PAUSED, ""
    if record.satisfied:
        return State.PAUSED, "It has been seeded for as long as you wanted. Resume it to go on."
    if snapshot is None:
        return State.CHECKING if record.pieces else State.ADDING, ""
    return _state_of_phase(record, snapshot, eased, silent)


def _state_of_phase(record: Record, snapshot: Snapshot, eased: str, silent: str) -> tuple[State, str]:
    if snapshot.phase is Phase.COMPLETE:
        return (State.THROTTLED, silent) if silent else (State.SEEDING, "")
    if snapshot.phase is Phase.METADATA or not record.pieces:
        return State.ADDING, "" if snapshot.peers else "No peer has been found yet that knows it."
    if snapshot.phase is Phase.CHECKING:
        return State.CHECKING, ""
    if eased and snapshot.paused:
        return State.THROTTLED, eased
    if snapshot.phase is Phase.QUEUED_CHECK:
        return State.CHECKING, "It waits for another torrent to be checked."
    if snapshot.paused:
        return State.DOWNLOADING, "It waits for its turn; other torrents download first."
    if snapshot.down_rate == 0 and snapshot.peers == 0:
        return State.DOWNLOADING, "No peer is connected that has more of it."
    return State.DOWNLOADING, ""


_STATE_OF_TROUBLE = {
    TroubleKind.MISSING: State.MISSING_DATA,
    TroubleKind.DISK_FULL: State.THROTTLED,
    TroubleKind.NO_PLACE: State.THROTTLED,
    TroubleKind.FROZEN: State.THROTTLED,
}


def trouble_of(kind: TroubleKind, file: str, message: str, free: int | None) -> Trouble:
    """What an error of the engine means for the owner. `free` is what the disk has left, in bytes."""
    where = file or "its data"
    if kind is TroubleKind.DISK_FULL:
        left = "" if free is None else f" ({show_bytes(free)} free)"
        return Trouble(kind, f"The disk is full{left}. Make room; it goes on by itself.")
    if kind is TroubleKind.MISSING:
        return Trouble(
            kind,
            f"{where} is gone or too short. Put it back or connect its drive, and it goes on by itself; "
            "or resume it to fetch the data again.",
        )
    if kind is TroubleKind.DENIED:
        return Trouble(kind, f"The box may not use {where} ({message}). Allow it, then resume the torrent.")
    if kind is TroubleKind.DISK_ERROR:
        return Trouble(
            kind,
            f"The disk failed at {where} ({message}). Check its cable and health, then resume the torrent.",
        )
    return Trouble(kind, f"{message.rstrip('.')} ({where}). Resume the torrent to try again.")


def missing_part(done: int, size: int, own: bool) -> Trouble:
    """Data that was complete once, and of which a check found only `done` of `size` bytes."""
    what = f"{show_bytes(size - done)} of {show_bytes(size)} are missing or were changed."
    cure = (
        "Put the files back as they were, then check it again; or remove it and share the folder anew."
        if own
        else "Put the files back, then check it again; or resume it to fetch what is missing."
    )
    return Trouble(TroubleKind.MISSING, f"{what} {cure}")
