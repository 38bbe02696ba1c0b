"""The state of a torrent and its reason, as the owner reads them: one pure function of what is known."""

from dataclasses import dataclass

from appliance.core.units import show_bytes
from appliance.domain.catalogue.model import TorrentState
from appliance.domain.catalogue.ports import EnginePhase, Snapshot, TroubleKind
from appliance.domain.catalogue.record import Record


@dataclass(frozen=True, slots=True)
class TorrentTrouble:
    """What stopped a torrent."""

    kind: TroubleKind
    says: str
    """What happened, and what to do about it."""


def state_of(
    record: Record,
    snapshot: Snapshot | None,
    trouble: TorrentTrouble | None,
    throttled: str = "",
    silent: str = "",
) -> tuple[TorrentState, str]:
    """The state of a torrent, and why, with the remedy, where the state needs it.

    `throttled` says why the box writes nothing at the moment, `silent` why it sends nothing; else empty.
    """
    if trouble is not None:
        return _STATE_OF_TROUBLE.get(trouble.kind, TorrentState.FAILED), trouble.says
    if record.paused:
        return TorrentState.PAUSED, ""
    if record.satisfied:
        return TorrentState.PAUSED, "It has reached its seeding goal. Resume it to seed on."
    if snapshot is None:
        return TorrentState.CHECKING if record.pieces else TorrentState.ADDING, ""
    return _state_of_phase(record, snapshot, throttled, silent)


def _state_of_phase(
    record: Record, snapshot: Snapshot, throttled: str, silent: str
) -> tuple[TorrentState, str]:
    if snapshot.phase is EnginePhase.COMPLETE:
        return (TorrentState.THROTTLED, silent) if silent else (TorrentState.SEEDING, "")
    if snapshot.phase is EnginePhase.METADATA or not record.pieces:
        return TorrentState.ADDING, "" if snapshot.peers else "No peer found yet that has the metadata."
    if snapshot.phase is EnginePhase.CHECKING:
        return TorrentState.CHECKING, ""
    if throttled and snapshot.paused:
        return TorrentState.THROTTLED, throttled
    if snapshot.phase is EnginePhase.QUEUED_CHECK:
        return TorrentState.CHECKING, "Queued: another torrent is being checked."
    if snapshot.paused:
        return TorrentState.DOWNLOADING, "Queued: other torrents download first."
    if snapshot.down_rate == 0 and snapshot.peers == 0:
        return TorrentState.DOWNLOADING, "No connected peer has the missing data."
    return TorrentState.DOWNLOADING, ""


_STATE_OF_TROUBLE = {
    TroubleKind.MISSING: TorrentState.MISSING_DATA,
    TroubleKind.DISK_FULL: TorrentState.THROTTLED,
    TroubleKind.NO_PLACE: TorrentState.THROTTLED,
    TroubleKind.FROZEN: TorrentState.THROTTLED,
}


def trouble_of(kind: TroubleKind, file: str, message: str, free: int | None) -> TorrentTrouble:
    """What an error of the engine means for the owner. `free` is what the disk has left, in bytes."""
    where = file or "its data"
    if kind is TroubleKind.DISK_FULL:
        left = "" if free is None else f" ({show_bytes(free)} free)"
        return TorrentTrouble(
            kind, f"The disk is full{left}. Make room, and the torrent continues by itself."
        )
    if kind is TroubleKind.MISSING:
        return TorrentTrouble(
            kind,
            f"{where} is missing or too short. Put it back or connect its drive, and the torrent "
            "continues by itself; or resume it to download the data again.",
        )
    if kind is TroubleKind.DENIED:
        return TorrentTrouble(
            kind, f"The box has no permission to use {where} ({message}). Grant it, then resume the torrent."
        )
    if kind is TroubleKind.DISK_ERROR:
        return TorrentTrouble(
            kind,
            f"The disk failed at {where} ({message}). Check its cable and health, then resume the torrent.",
        )
    return TorrentTrouble(kind, f"{message.rstrip('.')} ({where}). Resume the torrent to try again.")


def missing_part(done: int, size: int, own: bool) -> TorrentTrouble:
    """Data that was complete once, and of which a check found only `done` of `size` bytes."""
    what = f"{show_bytes(size - done)} of {show_bytes(size)} are missing or changed."
    cure = (
        "Put the files back as they were, then verify the data; or remove it and share the folder again."
        if own
        else "Put the files back, then verify the data; or resume it to download what is missing."
    )
    return TorrentTrouble(TroubleKind.MISSING, f"{what} {cure}")
