"""The libtorrent session: torrents go in, events come out, and nothing here blocks the loop for long."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import libtorrent as lt

from appliance.adapters.engine.classes import ClassPool, make_pool
from appliance.adapters.engine.foreign import BROKEN, error_said, tracker_urls
from appliance.adapters.engine.links import Links
from appliance.adapters.engine.metainfo import parse_resume
from appliance.adapters.engine.network import NetworkAlerts
from appliance.adapters.engine.pacing import QUICK_TICK_MS, USUAL_TICK_MS, even_settings
from appliance.adapters.engine.params import hashes, key, session_params, torrent_params, upload_slots
from appliance.adapters.engine.pump import AlertPump, Handlers
from appliance.adapters.engine.settings import PREAD, limit_settings
from appliance.adapters.engine.torrents import TorrentAlerts, Torrents
from appliance.core.crashguard import CrashGuard
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.domain.catalogue.model import Priority
from appliance.domain.catalogue.ports import Gone, Placement, ResumeSaved, TorrentEvent
from appliance.domain.governor.limits import Limits

T = TypeVar("T")

log = logging.getLogger(__name__)

_FLAGS = lt.torrent_flags
_SAVE = (
    lt.save_resume_flags_t.save_info_dict
    | lt.save_resume_flags_t.flush_disk_cache
    | lt.save_resume_flags_t.only_if_modified
)
_WANTED = 4
"""libtorrent's ordinary priority of a file."""
_ANSWER_S = 10.0
_LAST_TIER = 255


class LibtorrentEngine:
    """One session, and the torrents in it by the catalogue's ids."""

    def __init__(
        self, settings: dict[str, Any], *, pex: bool, state: bytes = b"", guard: CrashGuard | None = None
    ) -> None:
        """`state` is what `state()` gave when the box last stopped: the DHT's nodes.

        `guard` knows at which torrents the process has died before.
        """
        self._guard = guard or CrashGuard()
        self._settings: Any = settings
        self._pex = pex
        self._state = state
        self._torrents = Torrents()
        self._links = Links(self._close_useless)
        self._coming: dict[str, tuple[str, Priority]] = {}
        """Info-hash of a torrent that was begun -> (id, priority)."""
        self._refused: dict[str, str] = {}
        self._even = 0
        """Bytes a second of a cap under which it sends evenly; 0: none."""
        self._quick = False
        self._silent = False
        """Nothing is sent or fetched: the whole session is paused."""
        self._rounds: list[asyncio.Future[None]] = []
        self.outside = NetworkAlerts()
        self.network = self.outside.network

    def start(
        self,
        loop: asyncio.AbstractEventLoop,
        on_event: Callable[[TorrentEvent], None],
        on_failure: Callable[[Exception], None],
    ) -> None:
        """Open the session; `on_event` gets what happens to torrents, `on_failure` an error of our own."""
        params = session_params(self._state)
        params.settings = self._settings
        params.disk_io_constructor = PREAD
        self.session = lt.session(params)
        self.classes: ClassPool = make_pool(self.session)
        self._emit = on_event
        torrents = TorrentAlerts(self._torrents, self._links, on_event, self._ask_numbers, self._guard)
        ours: Handlers = {
            lt.add_torrent_alert: self._on_added,
            lt.session_stats_alert: self._on_stats,
            lt.alerts_dropped_alert: self._on_dropped,
        }
        handlers = {**self.outside.handlers, **torrents.handlers, **ours}
        self._pump = AlertPump(lambda: self.session.pop_alerts(), handlers, on_failure)
        self.session.set_alert_fd(self._pump.wake)
        self._pump.start(loop)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Leave the swarms; blocks for the last announces, `stop_tracker_timeout` seconds at most."""
        self._pump.stop(loop)
        self._torrents.clear()
        del self.session
        self._pump.close()

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
        self._ask_numbers()
        self.session.post_session_stats()

    def count(self) -> None:
        """Ask for what was sent and received alone."""
        self.session.post_session_stats()

    # ------------------------------------------------------------------ what the catalogue asks (its port)

    def add(self, id: str, resume: bytes, placement: Placement) -> None:
        """Start a torrent; raises OwnerMustAct where libtorrent refuses it, ValueError for broken data."""
        with self._guard.reading(id):
            params = self._params(id, resume, placement)
            try:
                handle = self.session.add_torrent(params)
            except BROKEN as error:
                self._links.end(id)
                raise OwnerMustAct(f"libtorrent refused the torrent: {error}.") from error
        self._enter(id, handle, placement.priority)

    def begin(self, id: str, resume: bytes, placement: Placement) -> None:
        """Start a torrent as `add` does, but without a round trip to libtorrent's thread; see `begun`."""
        with self._guard.reading(id):
            params = self._params(id, resume, placement)
            self._coming[key(hashes(params))] = (id, placement.priority)
            self.session.async_add_torrent(params)

    async def begun(self) -> dict[str, str]:
        """Wait until all that were begun are in; why libtorrent refused some, by id. Raises RetryLater."""
        while self._coming:
            before = len(self._coming)
            await self.round_trip()
            if len(self._coming) == before:
                raise RetryLater("libtorrent has not loaded its torrents.")
        refused, self._refused = self._refused, {}
        return refused

    def _params(self, id: str, resume: bytes, placement: Placement) -> lt.add_torrent_params:
        params = torrent_params(resume, placement, pex=self._pex)
        if params.ti is None:
            self._links.begin(id)
        return params

    def _enter(self, id: str, handle: lt.torrent_handle, priority: Priority) -> None:
        self._torrents.enter(id, handle)
        if priority is Priority.HIGH:
            handle.queue_position_top()

    def remove(self, id: str, with_data: bool) -> None:
        """Forget a torrent; `Gone` follows."""
        self._guard.forgive(id)
        handle = self._torrents.leave(id, with_data)
        if handle is None:
            self._emit(Gone(id))
            return
        self._links.end(id)
        self.session.remove_torrent(handle, lt.session.delete_files if with_data else 0)

    def pause(self, id: str) -> None:
        """Stop a torrent, and keep libtorrent's queue from starting it again."""
        if handle := self._torrents.get(id):
            handle.unset_flags(_FLAGS.auto_managed)
            handle.pause()

    def resume(self, id: str, writable: bool) -> None:
        """Let a torrent run; one that is `writable` waits for its turn in the queue."""
        if handle := self._torrents.get(id):
            self._torrents.stopped.discard(id)
            handle.clear_error()
            handle.set_flags(
                _FLAGS.auto_managed if writable else _FLAGS.upload_mode,
                _FLAGS.auto_managed | _FLAGS.upload_mode,
            )
            handle.resume()

    def accept(self, id: str) -> None:
        """Let a magnet link fetch its data, now that its description is known; its peers stay connected."""
        handle = self._torrents.get(id)
        if handle and (info := handle.torrent_file()):
            handle.prioritize_files([_WANTED] * info.num_files())
            handle.unset_flags(_FLAGS.default_dont_download)
            handle.set_flags(_FLAGS.auto_managed)

    def recheck(self, id: str) -> None:
        """Hash all data of a torrent."""
        if handle := self._torrents.get(id):
            self._torrents.stopped.discard(id)
            handle.clear_error()
            handle.force_recheck()

    def reannounce(self, id: str) -> None:
        """Ask every tracker and the DHT now."""
        if handle := self._torrents.get(id):
            handle.force_reannounce(0, -1, lt.torrent_handle.ignore_min_interval)
            handle.force_dht_announce()

    def tune(self, id: str, priority: Priority, upload_limit: int, download_limit: int) -> None:
        """Set rates in bytes per second (0 = unlimited), slots and place in the queue."""
        if handle := self._torrents.get(id):
            handle.set_upload_limit(upload_limit or -1)
            handle.set_download_limit(download_limit or -1)
            handle.set_max_uploads(upload_slots(priority))
            if priority is Priority.HIGH:
                handle.queue_position_top()
            elif priority is Priority.LOW:
                handle.queue_position_bottom()

    def merge(self, id: str, resume: bytes) -> int:
        """Take over trackers and peers (BEP 9, x.pe) of another description; how many trackers are new."""
        handle = self._torrents.get(id)
        if handle is None:
            return 0
        params = parse_resume(resume)
        known = set(tracker_urls(handle))
        fresh = [url for url in params.trackers if url not in known]
        # After its own trackers: what somebody else names takes the turn of none (BEP 12).
        tier = 1 + max((int(tracker["tier"]) for tracker in handle.trackers()), default=-1)
        for url in fresh:
            handle.add_tracker({"url": url, "tier": min(tier, _LAST_TIER)})
        for peer in params.peers:
            handle.connect_peer(peer)
        return len(fresh)

    def save(self, id: str) -> None:
        """Ask for resume data; `ResumeSaved` follows."""
        if handle := self._torrents.get(id):
            handle.save_resume_data(_SAVE)
        else:
            self._emit(ResumeSaved(id, None))

    # -------------------------------------------------------------------------------- what people ask

    def handle(self, id: str) -> lt.torrent_handle | None:
        """The handle of a torrent, for queries that run in a thread of their own."""
        return self._torrents.get(id)

    async def ask(self, id: str, question: Callable[[lt.torrent_handle], T]) -> T | None:
        """A blocking question about a torrent, in a thread; None where it is gone, or goes meanwhile."""
        handle = self._torrents.get(id)
        if handle is None:
            return None
        try:
            return await asyncio.to_thread(question, handle)
        except RuntimeError:
            if self._torrents.get(id) and handle.is_valid():
                raise
            return None

    # ------------------------------------------------------------------------------------------ alerts

    def _ask_numbers(self) -> None:
        self.session.post_torrent_updates(0)

    def _close_useless(self, close: bool) -> None:
        useless: Any = {"close_redundant_connections": close}
        self.session.apply_settings(useless)

    def _on_added(self, alert: lt.add_torrent_alert) -> None:
        id, priority = self._coming.pop(key(hashes(alert.params)), ("", Priority.NORMAL))
        if id and alert.error.value():
            self._refused[id] = error_said(alert.error)
            self._links.end(id)
        elif id:
            self._enter(id, alert.handle, priority)

    def _on_stats(self, alert: lt.session_stats_alert) -> None:
        self.outside.on_stats(alert)
        rounds, self._rounds = self._rounds, []
        for answered in rounds:
            if not answered.done():
                answered.set_result(None)

    def _on_dropped(self, alert: lt.alerts_dropped_alert) -> None:
        log.warning("libtorrent dropped alerts; asking for every torrent again")
        for handle in self._torrents.all():
            handle.post_status(0)
