"""How a torrent is to run, in libtorrent's parameters."""

import logging

import libtorrent as lt

from appliance.adapters.engine.foreign import BROKEN
from appliance.adapters.engine.metainfo import checked, parse_resume
from appliance.domain.catalogue.model import Priority
from appliance.domain.catalogue.ports import Placement

log = logging.getLogger(__name__)

LOW_SLOTS = 2
"""Upload slots of a torrent of low priority."""
_FLAGS = lt.torrent_flags


def session_params(state: bytes) -> lt.session_params:
    """Session parameters with the DHT's nodes of the last run; fresh ones where those are damaged."""
    try:
        return lt.read_session_params(state) if state else lt.session_params()
    except BROKEN as error:
        log.warning("the DHT's saved nodes are damaged (%s); it starts without them", error)
        return lt.session_params()


def torrent_params(resume: bytes, placement: Placement, *, pex: bool) -> lt.add_torrent_params:
    """The parameters of one torrent. Raises ValueError for resume data that is broken."""
    params = _known(parse_resume(resume), placement)
    _set_limits(params, placement)
    _set_totals(params, placement)
    params.save_path = placement.folder
    if placement.assume_nothing:
        params.have_pieces = []
        params.verified_pieces = []
    if placement.rename_root and params.ti is not None:
        params.renamed_files = _renamed(params.ti, placement.rename_root)
    params.flags = _described_flags(placement) if params.ti is not None else _link_flags(placement)
    if not pex:
        params.flags |= _FLAGS.disable_pex
    return params


def _known(params: lt.add_torrent_params, placement: Placement) -> lt.add_torrent_params:
    """The parameters, without a description that was never taken over."""
    if params.ti is not None and not placement.described:
        return _undescribed(params)
    return params


def _set_limits(params: lt.add_torrent_params, placement: Placement) -> None:
    params.upload_limit = placement.upload_limit or -1
    params.download_limit = placement.download_limit or -1
    params.max_uploads = upload_slots(placement.priority)


def upload_slots(priority: Priority) -> int:
    """The most upload slots of a torrent; -1: as many as there are."""
    return LOW_SLOTS if priority is Priority.LOW else -1


def hashes(params: lt.add_torrent_params) -> lt.info_hash_t:
    """What a torrent is known by; resume data that came while a link got its description names nothing."""
    return params.info_hashes if params.ti is None else params.ti.info_hashes()


def key(known: lt.info_hash_t) -> str:
    """One of a torrent's info-hashes, the same each time: that of v1 where there is one."""
    return str(known.v1) if known.has_v1() else str(known.v2)


def _undescribed(params: lt.add_torrent_params) -> lt.add_torrent_params:
    """The bare link of a torrent whose description came, but was never taken over: it is asked for again.

    Raises OwnerMustAct where that description is hostile.
    """
    checked(params)
    link = lt.add_torrent_params()
    link.info_hashes = hashes(params)
    link.trackers, link.tracker_tiers, link.peers = params.trackers, params.tracker_tiers, params.peers
    link.name = params.name
    return link


def _set_totals(params: lt.add_torrent_params, placement: Placement) -> None:
    if placement.uploaded >= 0:
        params.total_uploaded = placement.uploaded
    if placement.downloaded >= 0:
        params.total_downloaded = placement.downloaded
    if placement.seeding_s >= 0:
        params.seeding_time = placement.seeding_s


def _usual_flags(placement: Placement) -> int:
    flags = _FLAGS.update_subscribe | _FLAGS.apply_ip_filter | _FLAGS.duplicate_is_error
    return flags | _FLAGS.paused if placement.paused else flags


def _link_flags(placement: Placement) -> int:
    # A magnet link: its description is looked at before a byte of its data is fetched. (Upload mode would do
    # that too, but then libtorrent parts from every seed as from its like.)
    return _usual_flags(placement) | _FLAGS.default_dont_download


def _described_flags(placement: Placement) -> int:
    flags = _usual_flags(placement)
    if not placement.writable:
        flags |= _FLAGS.upload_mode
    queued = placement.writable or placement.assume_nothing
    if queued and not placement.paused:
        flags |= _FLAGS.auto_managed | _FLAGS.paused  # libtorrent's queue starts it
    return flags


def _renamed(info: lt.torrent_info, root: str) -> dict[int, str]:
    """New paths of all files where the top-level folder on disk is called otherwise than in the torrent."""
    files = info.files()
    return {
        index: "/".join([root, *files.file_path(index).split("/")[1:]])
        for index in range(files.num_files())
        if not files.file_flags(index) & lt.file_storage.flag_pad_file
    }
