"""The torrents of one session by the catalogue's ids, and what libtorrent reports of them."""

from collections.abc import Callable
from typing import Any

import libtorrent as lt

from appliance.adapters.engine.alerts import snapshot, trouble_kind
from appliance.adapters.engine.foreign import error_said, said
from appliance.adapters.engine.links import Links, described, description
from appliance.adapters.engine.params import key
from appliance.adapters.engine.pump import Handlers
from appliance.core.crashguard import CrashGuard
from appliance.domain.catalogue.ports import (
    Checked,
    EnginePhase,
    Gone,
    ResumeRejected,
    ResumeSaved,
    Stopped,
    TorrentEvent,
    TorrentUpdated,
    TroubleKind,
)

_WANTING = (lt.torrent_status.downloading, lt.torrent_status.seeding)
"""States of a torrent that wants its data or has it; the files' new priorities take effect a little late."""
_HASHING = (EnginePhase.CHECKING, EnginePhase.QUEUED_CHECK)


class Torrents:
    """Handle and id of every torrent in the session."""

    def __init__(self) -> None:
        self._handles: dict[str, lt.torrent_handle] = {}
        self._ids: dict[lt.torrent_handle, str] = {}
        self._leaving: dict[str, tuple[str, bool]] = {}
        """Info-hash of a torrent that is being removed -> (id, whether its data goes too)."""
        self.stopped: set[str] = set()
        """Torrents whose trouble was reported: one event, not one for each block."""

    def enter(self, id: str, handle: lt.torrent_handle) -> None:
        """A torrent is in the session."""
        self._handles[id] = handle
        self._ids[handle] = id
        self.stopped.discard(id)

    def leave(self, id: str, with_data: bool) -> lt.torrent_handle | None:
        """A torrent is about to be removed; its handle, None where it is not there."""
        handle = self._handles.pop(id, None)
        if handle is not None:
            del self._ids[handle]
            self._leaving[key(handle.info_hashes())] = (id, with_data)
        return handle

    def left(self, hashes: lt.info_hash_t, *, with_data: bool) -> str:
        """The id of a torrent that was removed, "" where it is none of ours.

        A torrent that goes with its data has left when the data is gone: `with_data` says that it is.
        """
        id, data_goes = self._leaving.get(key(hashes), ("", False))
        if data_goes and not with_data:
            return ""
        self._leaving.pop(key(hashes), None)
        return id

    def clear(self) -> None:
        """Forget all handles."""
        self._handles.clear()
        self._ids.clear()

    def get(self, id: str) -> lt.torrent_handle | None:
        """The handle of a torrent."""
        return self._handles.get(id)

    def id(self, handle: lt.torrent_handle) -> str | None:
        """The id of a torrent that is not being removed."""
        return self._ids.get(handle)

    def all(self) -> list[lt.torrent_handle]:
        """Every handle."""
        return list(self._handles.values())


class TorrentAlerts:
    """Alerts of torrents, turned into the catalogue's events."""

    def __init__(
        self,
        torrents: Torrents,
        links: Links,
        on_event: Callable[[TorrentEvent], None],
        ask_numbers: Callable[[], None],
        guard: CrashGuard,
    ) -> None:
        """`ask_numbers` asks the session for what has changed; the answer comes as an alert."""
        self._torrents, self._links, self._guard = torrents, links, guard
        self._emit, self._ask_numbers = on_event, ask_numbers
        self._checked: set[str] = set()
        """Torrents whose check has ended, while their new numbers are on the way."""
        self.handlers: Handlers = {
            lt.state_update_alert: self._on_states,
            lt.save_resume_data_alert: self._of_torrent(self._saved),
            lt.save_resume_data_failed_alert: self._of_torrent(lambda id, alert: ResumeSaved(id, None)),
            lt.torrent_checked_alert: self._on_checked,
            lt.torrent_error_alert: lambda alert: self._stop(alert, ""),
            lt.file_error_alert: lambda alert: self._stop(alert, said(alert.filename, 4_096)),
            lt.fastresume_rejected_alert: self._of_torrent(_rejected),
            lt.metadata_received_alert: self._on_described,
            lt.torrent_removed_alert: lambda alert: self._gone(alert, with_data=False),
            lt.torrent_deleted_alert: lambda alert: self._gone(alert, with_data=True),
            lt.torrent_delete_failed_alert: self._on_delete_failed,
            lt.torrent_conflict_alert: self._on_conflict,
        }

    def _of_torrent(self, event: Callable[[str, Any], TorrentEvent]) -> Callable[[Any], None]:
        """A handler of alerts that are one event of a torrent that we still know."""

        def handle(alert: Any) -> None:
            if (id := self._torrents.id(alert.handle)) is not None:
                self._emit(event(id, alert))

        return handle

    def _on_described(self, alert: lt.metadata_received_alert) -> None:
        """Peers have said what a link is: the bytes of a stranger are read for the first time."""
        if (id := self._torrents.id(alert.handle)) is not None:
            with self._guard.reading(id):
                self._emit(description(id, alert.handle))

    def _on_states(self, alert: lt.state_update_alert) -> None:
        for status in alert.status:
            if (id := self._torrents.id(status.handle)) is not None:
                self._update(id, status)
        if self._checked:
            self._ask_numbers()

    def _update(self, id: str, status: lt.torrent_status) -> None:
        now = snapshot(status)
        self._emit(TorrentUpdated(id, now))
        if id in self._links and status.state in _WANTING:
            self._links.end(id)
        if id in self._checked and now.phase not in _HASHING:
            self._checked.discard(id)
            self._emit(Checked(id))

    def _on_checked(self, alert: lt.torrent_checked_alert) -> None:
        if (id := self._torrents.id(alert.handle)) is not None:
            # The event must not overtake the numbers: ask for them, and report both together.
            if not self._checked:
                self._ask_numbers()
            self._checked.add(id)

    @staticmethod
    def _saved(id: str, alert: lt.save_resume_data_alert) -> TorrentEvent:
        return ResumeSaved(id, lt.write_resume_data_buf(alert.params))

    def _stop(self, alert: lt.torrent_error_alert | lt.file_error_alert, file: str) -> None:
        id = self._torrents.id(alert.handle)
        if id is not None and id not in self._torrents.stopped:
            self._torrents.stopped.add(id)
            self._emit(Stopped(id, trouble_kind(alert.error), file, error_said(alert.error)))

    def _on_delete_failed(self, alert: lt.torrent_delete_failed_alert) -> None:
        missing = trouble_kind(alert.error) is TroubleKind.MISSING
        self._gone(alert, with_data=True, data_error="" if missing else error_said(alert.error))

    def _gone(self, alert: Any, *, with_data: bool, data_error: str = "") -> None:
        if id := self._torrents.left(alert.info_hashes, with_data=with_data):
            self._emit(Gone(id, data_error))

    def _on_conflict(self, alert: lt.torrent_conflict_alert) -> None:
        """Two magnet links, by v1 and by v2, turned out to be one hybrid torrent: describe both."""
        params = lt.add_torrent_params()
        params.ti = alert.metadata
        for handle in (alert.handle, alert.conflicting_torrent):
            if (id := self._torrents.id(handle)) is not None:
                self._emit(described(id, params, held=False))


def _rejected(id: str, alert: lt.fastresume_rejected_alert) -> TorrentEvent:
    return ResumeRejected(id, error_said(alert.error))
