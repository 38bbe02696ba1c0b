"""The libtorrent session: torrents go in, events come out, and nothing here blocks the loop for long."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import libtorrent as lt

from appliance.adapters.engine.alerts import snapshot, trouble_kind
from appliance.adapters.engine.classes import ClassPool, make_pool
from appliance.adapters.engine.metainfo import checked, parse_resume
from appliance.adapters.engine.pacing import QUICK_TICK_MS, USUAL_TICK_MS, even_settings
from appliance.adapters.engine.settings import PREAD, limit_settings
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.domain.catalogue.model import Priority
from appliance.domain.catalogue.ports import (
    Checked,
    Described,
    Gone,
    Phase,
    Placement,
    ResumeRejected,
    ResumeSaved,
    Stopped,
    TorrentEvent,
    TroubleKind,
    Updated,
)
from appliance.domain.governor.limits import Limits

T = TypeVar("T")

log = logging.getLogger(__name__)

_FLAGS = lt.torrent_flags
_SAVE = (
    lt.save_resume_flags_t.save_info_dict
    | lt.save_resume_flags_t.flush_disk_cache
    | lt.save_resume_flags_t.only_if_modified
)
_LOW_SLOTS = 2
"""Upload slots of a torrent of low priority."""
_WANTING = (lt.torrent_status.downloading, lt.torrent_status.seeding)
"""States of a torrent that wants its data or has it; the files' new priorities take effect a little late."""
_WANTED = 4
"""libtorrent's ordinary priority of a file."""
_ANSWER_S = 10.0


@dataclass(slots=True)
class Network:
    """What the session has heard of the outside."""

    listening: list[tuple[str, int]] = field(default_factory=list)
    """(address, TCP port) of each listener."""
    listen_errors: dict[str, str] = field(default_factory=dict)
    """Interface -> why it could not be listened on."""
    mapped: dict[str, int] = field(default_factory=dict)
    """`upnp`, `nat-pmp` -> port that the router opened."""
    map_errors: dict[str, str] = field(default_factory=dict)
    external_ip: str = ""
    incoming: bool = False
    """A peer has called us since the start."""
    dht_nodes: int = 0
    peers: int = 0
    sent: int = 0
    """Payload bytes since the start."""
    received: int = 0


class LibtorrentEngine:
    """One session, and the torrents in it by the catalogue's ids."""

    def __init__(self, settings: dict[str, Any], *, pex: bool, state: bytes = b"") -> None:
        """`state` is what `state()` gave when the box last stopped: the DHT's nodes."""
        self._settings: Any = settings
        self._pex = pex
        self._state = state
        self._handles: dict[str, lt.torrent_handle] = {}
        self._ids: dict[lt.torrent_handle, str] = {}
        self._coming: dict[str, tuple[str, Priority]] = {}
        """Info-hash of a torrent that was begun -> (id, priority)."""
        self._refused: dict[str, str] = {}
        self._leaving: dict[str, tuple[str, bool]] = {}
        """Info-hash of a torrent that is being removed -> (id, whether its data goes too)."""
        self._links: set[str] = set()
        """Magnet links that do not want their data yet."""
        self._stopped: set[str] = set()
        """Torrents whose trouble was reported: one event, not one for each block."""
        self._checked: set[str] = set()
        """Torrents whose check has ended, while their new numbers are on the way."""
        self._even = 0
        """Bytes a second of a cap under which it sends evenly; 0: none."""
        self._quick = False
        self._silent = False
        """Nothing is sent or fetched: the whole session is paused."""
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._rounds: list[asyncio.Future[None]] = []
        self.network = Network()
        self.own_mappings: set[int] = set()
        """Ports on the router that are not the session's own."""
        self.seekers: dict[bytes, Callable[[list[tuple[str, int]]], None]] = {}
        """Who is told what the DHT answers for a hash."""
        self.heard: Callable[[TorrentEvent], None] = lambda event: None
        self.failed: Callable[[Exception], None] = log.error
        self._handlers: dict[type, Callable[[Any], None]] = {
            lt.state_update_alert: self._on_states,
            lt.add_torrent_alert: self._on_added,
            lt.session_stats_alert: self._on_stats,
            lt.save_resume_data_alert: self._on_resume,
            lt.save_resume_data_failed_alert: self._on_no_resume,
            lt.torrent_checked_alert: self._on_checked,
            lt.torrent_error_alert: self._on_torrent_error,
            lt.file_error_alert: self._on_file_error,
            lt.fastresume_rejected_alert: self._on_rejected,
            lt.metadata_received_alert: self._on_metadata,
            lt.torrent_removed_alert: self._on_removed,
            lt.torrent_deleted_alert: self._on_deleted,
            lt.torrent_delete_failed_alert: self._on_delete_failed,
            lt.listen_succeeded_alert: self._on_listening,
            lt.listen_failed_alert: self._on_listen_failed,
            lt.portmap_alert: self._on_mapped,
            lt.portmap_error_alert: self._on_map_failed,
            lt.external_ip_alert: self._on_external_ip,
            lt.dht_get_peers_reply_alert: self._on_dht_peers,
            lt.alerts_dropped_alert: self._on_dropped,
            lt.torrent_conflict_alert: self._on_conflict,
        }

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Open the session and listen to it; events go to `heard`, a failure of ours to `failed`."""
        params = _restored(self._state)
        params.settings = self._settings
        params.disk_io_constructor = PREAD
        self.session = lt.session(params)
        self.classes: ClassPool = make_pool(self.session)
        self.session.set_alert_fd(self._write)
        loop.add_reader(self._read, self._drain)
        self._drain()

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave the swarms; blocks while trackers are told, `stop_tracker_timeout` seconds at most."""
        loop.remove_reader(self._read)
        self._handles.clear()
        self._ids.clear()
        del self.session
        os.close(self._read)
        os.close(self._write)

    def state(self) -> bytes:
        """What the DHT knows, for the next start."""
        params = self.session.session_state(lt.save_state_flags_t.save_dht_state)
        return lt.write_session_params_buf(params, lt.save_state_flags_t.save_dht_state)

    def apply(self, limits: Limits) -> None:
        """Put limits into force."""
        self._even = limits.upload_rate if limits.even else 0
        changes: Any = limit_settings(limits) | self._pace()
        self.session.apply_settings(changes)
        # A rate of a byte a second would still wake the disks now and then.
        silent = not limits.sending and not limits.writing
        if silent != self._silent:
            self._silent = silent
            (self.session.pause if silent else self.session.resume)()

    def quicken(self, quick: bool) -> None:
        """Tick more often, as it must while slots are sold (see lanes.py)."""
        if quick != self._quick:
            self._quick = quick
            changes: Any = self._pace()
            self.session.apply_settings(changes)

    def _pace(self) -> dict[str, int]:
        tick = QUICK_TICK_MS if self._quick else USUAL_TICK_MS
        return even_settings(self._even, self._settings | {"tick_interval": tick})

    async def round_trip(self) -> None:
        """Return when the session has answered: its network thread is alive. Raises RetryLater."""
        answered = asyncio.get_running_loop().create_future()
        self._rounds.append(answered)
        self.poll()
        try:
            # Not wait_for: that of Python 3.11 loses a cancellation that comes together with the answer.
            async with asyncio.timeout(_ANSWER_S):
                await answered
        except TimeoutError as error:
            raise RetryLater("libtorrent has not answered for ten seconds.") from error

    def poll(self) -> None:
        """Ask for the numbers that changed; they come as events."""
        self.session.post_torrent_updates(0)
        self.session.post_session_stats()

    def count(self) -> None:
        """Ask for what was sent and received alone."""
        self.session.post_session_stats()

    # ------------------------------------------------------------------ what the catalogue asks (its port)

    def add(self, id: str, resume: bytes, placement: Placement) -> None:
        """Start a torrent; raises OwnerMustAct where libtorrent refuses it, ValueError for broken data."""
        params = self._params(resume, placement)
        self._resolve(id, params)
        try:
            handle = self.session.add_torrent(params)
        except RuntimeError as error:
            self._resolved(id)
            raise OwnerMustAct(f"libtorrent refuses the torrent: {error}.") from error
        self._enter(id, handle, placement.priority)

    def begin(self, id: str, resume: bytes, placement: Placement) -> None:
        """Start a torrent as `add` does, but without a round trip to libtorrent's thread; see `begun`."""
        params = self._params(resume, placement)
        self._resolve(id, params)
        self._coming[_key(_hashes(params))] = (id, placement.priority)
        self.session.async_add_torrent(params)

    async def begun(self) -> dict[str, str]:
        """Wait until all that were begun are in; why libtorrent refused some, by id. Raises RetryLater."""
        while self._coming:
            before = len(self._coming)
            await self.round_trip()
            if len(self._coming) == before:
                raise RetryLater("libtorrent has not taken up its torrents.")
        refused, self._refused = self._refused, {}
        return refused

    def _on_added(self, alert: lt.add_torrent_alert) -> None:
        params = alert.params
        id, priority = self._coming.pop(_key(_hashes(params)), ("", Priority.NORMAL))
        if id and alert.error.value():
            self._refused[id] = alert.error.message()
            self._resolved(id)
        elif id:
            self._enter(id, alert.handle, priority)

    def _params(self, resume: bytes, placement: Placement) -> lt.add_torrent_params:
        params = parse_resume(resume)
        params.save_path = placement.folder
        params.upload_limit = placement.upload_limit or -1
        params.download_limit = placement.download_limit or -1
        params.max_uploads = _LOW_SLOTS if placement.priority is Priority.LOW else -1
        if placement.uploaded >= 0:
            params.total_uploaded = placement.uploaded
        if placement.downloaded >= 0:
            params.total_downloaded = placement.downloaded
        if placement.seeding_s >= 0:
            params.seeding_time = placement.seeding_s
        if placement.assume_nothing:
            params.have_pieces = []
            params.verified_pieces = []
        if placement.rename_root and params.ti is not None:
            params.renamed_files = _renamed(params.ti, placement.rename_root)
        params.flags = self._flags(placement, has_info=params.ti is not None)
        return params

    def _enter(self, id: str, handle: lt.torrent_handle, priority: Priority) -> None:
        self._handles[id] = handle
        self._ids[handle] = id
        self._stopped.discard(id)
        if priority is Priority.HIGH:
            handle.queue_position_top()

    def remove(self, id: str, with_data: bool) -> None:
        """Forget a torrent; `Gone` follows."""
        handle = self._handles.pop(id, None)
        if handle is None:
            self.heard(Gone(id))
            return
        del self._ids[handle]
        self._resolved(id)
        self._leaving[_key(handle.info_hashes())] = (id, with_data)
        self.session.remove_torrent(handle, lt.session.delete_files if with_data else 0)

    def pause(self, id: str) -> None:
        """Stop a torrent, and keep libtorrent's queue from starting it again."""
        if handle := self._handles.get(id):
            handle.unset_flags(_FLAGS.auto_managed)
            handle.pause()

    def resume(self, id: str, writable: bool) -> None:
        """Let a torrent run; one that is `writable` waits for its turn in the queue."""
        if handle := self._handles.get(id):
            self._stopped.discard(id)
            handle.clear_error()
            handle.set_flags(
                _FLAGS.auto_managed if writable else _FLAGS.upload_mode,
                _FLAGS.auto_managed | _FLAGS.upload_mode,
            )
            handle.resume()

    def accept(self, id: str) -> None:
        """Let a magnet link fetch its data, now that its description is known; its peers stay connected."""
        handle = self._handles.get(id)
        if handle and (info := handle.torrent_file()):
            handle.prioritize_files([_WANTED] * info.num_files())
            handle.unset_flags(_FLAGS.default_dont_download)
            handle.set_flags(_FLAGS.auto_managed)

    def _resolve(self, id: str, params: lt.add_torrent_params) -> None:
        """Before a link is begun: libtorrent must not part from those who give its description.

        It wants no data before that was looked at, and would close a connection that neither side has a use
        for. A connection keeps the setting with which it was made.
        """
        if params.ti is None:
            self._links.add(id)
            self._part_from_seeds()

    def _resolved(self, id: str) -> None:
        self._links.discard(id)
        self._part_from_seeds()

    def _part_from_seeds(self) -> None:
        useless: Any = {"close_redundant_connections": not self._links}
        self.session.apply_settings(useless)

    def recheck(self, id: str) -> None:
        """Hash all data of a torrent."""
        if handle := self._handles.get(id):
            self._stopped.discard(id)
            handle.clear_error()
            handle.force_recheck()

    def reannounce(self, id: str) -> None:
        """Ask every tracker and the DHT now."""
        if handle := self._handles.get(id):
            handle.force_reannounce(0, -1, lt.torrent_handle.ignore_min_interval)
            handle.force_dht_announce()

    def tune(self, id: str, priority: Priority, upload_limit: int, download_limit: int) -> None:
        """Set rates in bytes per second (0 = unlimited), slots and place in the queue."""
        if handle := self._handles.get(id):
            handle.set_upload_limit(upload_limit or -1)
            handle.set_download_limit(download_limit or -1)
            handle.set_max_uploads(_LOW_SLOTS if priority is Priority.LOW else -1)
            if priority is Priority.HIGH:
                handle.queue_position_top()
            elif priority is Priority.LOW:
                handle.queue_position_bottom()

    def merge(self, id: str, resume: bytes) -> int:
        """Take over trackers and peers (BEP 9, x.pe) of another description; how many trackers are new."""
        handle = self._handles.get(id)
        if handle is None:
            return 0
        params = parse_resume(resume)
        known = {str(tracker["url"]) for tracker in handle.trackers()}
        fresh = [url for url in params.trackers if url not in known]
        for url in fresh:
            handle.add_tracker({"url": url})
        for peer in params.peers:
            handle.connect_peer(peer)
        return len(fresh)

    def save(self, id: str) -> None:
        """Ask for resume data; `ResumeSaved` follows."""
        if handle := self._handles.get(id):
            handle.save_resume_data(_SAVE)
        else:
            self.heard(ResumeSaved(id, None))

    # -------------------------------------------------------------------------------- what people ask

    def handle(self, id: str) -> lt.torrent_handle | None:
        """The handle of a torrent, for queries that run in a thread of their own."""
        return self._handles.get(id)

    async def ask(self, id: str, question: Callable[[lt.torrent_handle], T]) -> T | None:
        """A blocking question about a torrent, in a thread; None where it is gone, or goes meanwhile."""
        handle = self._handles.get(id)
        if handle is None:
            return None
        try:
            return await asyncio.to_thread(question, handle)
        except RuntimeError:
            if id in self._handles and handle.is_valid():
                raise
            return None

    # ------------------------------------------------------------------------------------------ alerts

    def _drain(self) -> None:
        """Take all alerts: the pipe tells only that there were none before (edge-triggered)."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._read, 4096)
        try:
            while alerts := self.session.pop_alerts():
                for alert in alerts:
                    if handler := self._handlers.get(type(alert)):
                        handler(alert)
        except Exception as error:  # whatever it is, the loop that owns us must end with it
            self.failed(error)

    def _id(self, alert: Any) -> str | None:
        return self._ids.get(alert.handle)

    def _on_states(self, alert: lt.state_update_alert) -> None:
        for status in alert.status:
            if (id := self._ids.get(status.handle)) is not None:
                now = snapshot(status)
                self.heard(Updated(id, now))
                if id in self._links and status.state in _WANTING:
                    self._resolved(id)
                if id in self._checked and now.phase not in (Phase.CHECKING, Phase.QUEUED_CHECK):
                    self._checked.discard(id)
                    self.heard(Checked(id))
        if self._checked:
            self.session.post_torrent_updates(0)

    def _on_stats(self, alert: lt.session_stats_alert) -> None:
        values, network = alert.values, self.network
        network.sent = values["net.sent_payload_bytes"]
        network.received = values["net.recv_payload_bytes"]
        network.dht_nodes = values["dht.dht_nodes"]
        network.peers = values["peer.num_peers_connected"]
        network.incoming = network.incoming or bool(values["net.has_incoming_connections"])
        rounds, self._rounds = self._rounds, []
        for answered in rounds:
            if not answered.done():
                answered.set_result(None)

    def _on_resume(self, alert: lt.save_resume_data_alert) -> None:
        if (id := self._id(alert)) is not None:
            self.heard(ResumeSaved(id, lt.write_resume_data_buf(alert.params)))

    def _on_no_resume(self, alert: lt.save_resume_data_failed_alert) -> None:
        if (id := self._id(alert)) is not None:
            self.heard(ResumeSaved(id, None))

    def _on_checked(self, alert: lt.torrent_checked_alert) -> None:
        if (id := self._id(alert)) is not None:
            # The event must not overtake the numbers: ask for them, and tell with them.
            if not self._checked:
                self.session.post_torrent_updates(0)
            self._checked.add(id)

    def _on_torrent_error(self, alert: lt.torrent_error_alert) -> None:
        self._stop(alert, alert.error, "")

    def _on_file_error(self, alert: lt.file_error_alert) -> None:
        self._stop(alert, alert.error, alert.filename())

    def _stop(self, alert: Any, error: lt.error_code, file: str) -> None:
        id = self._id(alert)
        if id is not None and id not in self._stopped:
            self._stopped.add(id)
            self.heard(Stopped(id, trouble_kind(error), file, error.message()))

    def _on_rejected(self, alert: lt.fastresume_rejected_alert) -> None:
        if (id := self._id(alert)) is not None:
            self.heard(ResumeRejected(id, alert.error.message()))

    def _on_metadata(self, alert: lt.metadata_received_alert) -> None:
        if (id := self._id(alert)) is None:
            return
        params = lt.add_torrent_params()
        params.ti = alert.handle.torrent_file()
        params.trackers = [str(tracker["url"]) for tracker in alert.handle.trackers()]
        # Who gave the description is worth keeping, should it have to come back placed otherwise.
        params.peers = [peer.ip for peer in alert.handle.get_peer_info()]
        try:
            self.heard(Described(id, checked(params)))
        except OwnerMustAct as error:
            self.heard(Described(id, None, str(error)))

    def _on_removed(self, alert: lt.torrent_removed_alert) -> None:
        id, with_data = self._leaving.get(_key(alert.info_hashes), ("", False))
        if id and not with_data:
            self._gone(alert)

    def _on_deleted(self, alert: lt.torrent_deleted_alert) -> None:
        self._gone(alert)

    def _on_delete_failed(self, alert: lt.torrent_delete_failed_alert) -> None:
        self._gone(alert, "" if trouble_kind(alert.error) is TroubleKind.MISSING else alert.error.message())

    def _gone(self, alert: Any, data_error: str = "") -> None:
        id, _ = self._leaving.pop(_key(alert.info_hashes), ("", False))
        if id:
            self.heard(Gone(id, data_error))

    def _on_listening(self, alert: lt.listen_succeeded_alert) -> None:
        if alert.socket_type == lt.socket_type_t.tcp or "TCP" in alert.message():
            endpoint = (alert.address, alert.port)
            if endpoint not in self.network.listening:
                self.network.listening.append(endpoint)

    def _on_listen_failed(self, alert: lt.listen_failed_alert) -> None:
        self.network.listen_errors[alert.message().partition(" failed")[0]] = alert.error.message()
        log.warning("%s", alert.message())

    def _on_mapped(self, alert: lt.portmap_alert) -> None:
        if alert.external_port not in self.own_mappings:
            self.network.mapped[_transport(alert)] = alert.external_port
            self.network.map_errors.pop(_transport(alert), None)

    def _on_map_failed(self, alert: lt.portmap_error_alert) -> None:
        self.network.map_errors[_transport(alert)] = alert.error.message()

    def _on_external_ip(self, alert: lt.external_ip_alert) -> None:
        self.network.external_ip = str(alert.external_address)

    def _on_dht_peers(self, alert: lt.dht_get_peers_reply_alert) -> None:
        if seeker := self.seekers.get(alert.info_hash.to_bytes()):
            seeker([(str(host), int(port)) for host, port in alert.peers()])

    def _on_dropped(self, alert: lt.alerts_dropped_alert) -> None:
        log.warning("libtorrent dropped alerts; asking for every torrent again")
        for handle in self._handles.values():
            handle.post_status(0)

    def _on_conflict(self, alert: lt.torrent_conflict_alert) -> None:
        """Two magnet links, by v1 and by v2, turned out to be one hybrid torrent: tell both."""
        params = lt.add_torrent_params()
        params.ti = alert.metadata
        for handle in (alert.handle, alert.conflicting_torrent):
            if (id := self._ids.get(handle)) is not None:
                try:
                    self.heard(Described(id, checked(params), held=False))
                except OwnerMustAct as error:
                    self.heard(Described(id, None, str(error)))

    def _flags(self, placement: Placement, *, has_info: bool) -> int:
        flags = _FLAGS.update_subscribe | _FLAGS.apply_ip_filter | _FLAGS.duplicate_is_error
        if not self._pex:
            flags |= _FLAGS.disable_pex
        if not has_info:
            # A magnet link: its description is looked at before a byte of its data is fetched. (Upload mode
            # would do that too, but then libtorrent parts from every seed as from its like.)
            flags |= _FLAGS.default_dont_download
        elif not placement.writable:
            flags |= _FLAGS.upload_mode
        if placement.paused:
            flags |= _FLAGS.paused
        elif (placement.writable or placement.assume_nothing) and has_info:
            flags |= _FLAGS.auto_managed | _FLAGS.paused  # libtorrent's queue starts it
        return flags


def _restored(state: bytes) -> lt.session_params:
    """Session parameters with the DHT's nodes of the last run; fresh ones where that was damaged."""
    try:
        return lt.read_session_params(state) if state else lt.session_params()
    except (RuntimeError, ValueError, UnicodeError) as error:
        log.warning("the DHT's memory was damaged (%s); it begins anew", error)
        return lt.session_params()


def _hashes(params: lt.add_torrent_params) -> lt.info_hash_t:
    """What a torrent is known by; resume data that came while a link got its description names nothing."""
    return params.info_hashes if params.ti is None else params.ti.info_hashes()


def _key(hashes: lt.info_hash_t) -> str:
    return str(hashes.v1) if hashes.has_v1() else str(hashes.v2)


def _transport(alert: Any) -> str:
    return "nat-pmp" if alert.map_transport == lt.portmap_transport.natpmp else "upnp"


def _renamed(info: lt.torrent_info, root: str) -> dict[int, str]:
    """New paths of all files where the top-level folder on disk is called otherwise than in the torrent."""
    files = info.files()
    return {
        index: "/".join([root, *files.file_path(index).split("/")[1:]])
        for index in range(files.num_files())
        if not files.file_flags(index) & lt.file_storage.flag_pad_file
    }
