"""libtorrent's alerts and statuses, translated into the catalogue's events."""

import errno

import libtorrent as lt

from appliance.adapters.engine.foreign import error_said
from appliance.domain.catalogue.ports import EnginePhase, Snapshot, TroubleKind

_PHASES = {
    lt.torrent_status.checking_files: EnginePhase.CHECKING,
    lt.torrent_status.checking_resume_data: EnginePhase.QUEUED_CHECK,
    lt.torrent_status.downloading_metadata: EnginePhase.METADATA,
    lt.torrent_status.downloading: EnginePhase.DOWNLOADING,
    # The box wants all of every torrent, so this is a link whose description is just being looked at.
    lt.torrent_status.finished: EnginePhase.DOWNLOADING,
    lt.torrent_status.seeding: EnginePhase.COMPLETE,
}

_ERRNO = {
    errno.ENOSPC: TroubleKind.DISK_FULL,
    errno.EDQUOT: TroubleKind.DISK_FULL,
    errno.ENOENT: TroubleKind.MISSING,
    errno.ENOTDIR: TroubleKind.MISSING,
    errno.ENODEV: TroubleKind.MISSING,
    errno.EACCES: TroubleKind.DENIED,
    errno.EPERM: TroubleKind.DENIED,
    errno.EROFS: TroubleKind.DENIED,
    errno.EIO: TroubleKind.DISK_ERROR,
}


def snapshot(status: lt.torrent_status) -> Snapshot:
    """What a status says, in the catalogue's words."""
    phase = _PHASES.get(status.state, EnginePhase.QUEUED_CHECK)
    paused = bool(status.flags & lt.torrent_flags.paused)
    if phase is EnginePhase.CHECKING and paused:
        phase = EnginePhase.QUEUED_CHECK
    return Snapshot(
        phase=phase,
        paused=paused,
        progress=status.progress_ppm if status.total_wanted else 0,
        size=status.total_wanted,
        done=status.total_wanted_done,
        up_rate=status.upload_payload_rate,
        down_rate=status.download_payload_rate,
        # The totals of all time lag behind by up to a second.
        uploaded=max(status.all_time_upload, status.total_payload_upload),
        downloaded=max(status.all_time_download, status.total_payload_download),
        peers=status.num_peers,
        seeds=status.num_seeds,
        seeding_s=int(status.seeding_duration.total_seconds()),
        swarm_seeds=max(status.num_complete, status.list_seeds),
        swarm_peers=max(status.num_incomplete, status.list_peers - status.list_seeds),
        unsaved=bool(status.need_save_resume),
    )


def trouble_kind(error: lt.error_code) -> TroubleKind:
    """What kind of trouble an error of libtorrent is."""
    message = error_said(error).lower()
    if error.category().name() in ("system", "generic"):
        return _ERRNO.get(error.value(), TroubleKind.OTHER)
    if "end of file" in message or "too short" in message or "file size" in message:
        return TroubleKind.MISSING
    return TroubleKind.OTHER
