"""What the engine says of torrents, and what follows from it."""

import asyncio
from pathlib import Path

from appliance.core.clock import Clock
from appliance.core.errors import OwnerMustAct
from appliance.domain.catalogue.admission import Known, own_folder
from appliance.domain.catalogue.description import Parsed
from appliance.domain.catalogue.holdings import Holdings
from appliance.domain.catalogue.ports import (
    Checked,
    Described,
    EnginePhase,
    Gone,
    ResumeRejected,
    ResumeSaved,
    Snapshot,
    Stopped,
    TorrentEvent,
    TorrentUpdated,
    TroubleKind,
)
from appliance.domain.catalogue.record import describe
from appliance.domain.catalogue.states import TorrentTrouble, missing_part, trouble_of
from appliance.domain.catalogue.torrent import Torrent


class Listener:
    """Takes the engine's events, one at a time."""

    def __init__(self, held: Holdings, clock: Clock) -> None:
        self._held = held
        self._clock = clock
        self.saving: set[str] = set()
        """Torrents whose resume data was asked for at the end and has not come yet."""
        self.answered = asyncio.Event()
        """One of them has come."""

    def apply(self, event: TorrentEvent) -> None:
        """Apply one event of the engine."""
        torrent = self._held.torrents.get(event.id)
        if torrent is None:
            return
        match event:
            case TorrentUpdated(_, snapshot):
                self._updated(torrent, snapshot)
            case Checked():
                self._was_checked(torrent)
            case Described():
                self._was_described(torrent, event)
            case ResumeSaved(_, resume):
                self._was_saved(event.id, resume)
            case ResumeRejected(_, why):
                torrent.rejected = why
            case Stopped(_, kind, file, message):
                self.stopped(torrent, kind, file, message)
            case Gone(_, data_error):
                self._gone(torrent, data_error)

    def _was_described(self, torrent: Torrent, event: Described) -> None:
        if event.parsed is None:
            self._refused(torrent, event.refusal)
            torrent.record.refused = f"{event.refusal} Remove it."
            self._held.dirty(torrent)
        else:
            self.described(torrent, event.parsed, held=event.held)

    def _was_saved(self, id: str, resume: bytes | None) -> None:
        if resume is not None:
            self._held.keeper.resume(id, resume)
        self.saving.discard(id)
        self.answered.set()

    def _updated(self, torrent: Torrent, snapshot: Snapshot) -> None:
        if not torrent.in_engine:
            return
        before, torrent.snapshot = torrent.snapshot, snapshot
        known = (before.uploaded, before.downloaded) if before else None
        if known != (snapshot.uploaded, snapshot.downloaded):
            self._held.keeper.total(torrent.record.id)
        if before and before.downloaded < snapshot.downloaded:
            torrent.unsynced = True
        if snapshot.phase is EnginePhase.COMPLETE and not torrent.record.completed:
            self._complete(torrent)
        self._held.changed(torrent)

    def _complete(self, torrent: Torrent) -> None:
        """All wanted data is here for the first time, or again."""
        record, snapshot = torrent.record, torrent.snapshot
        assert snapshot is not None
        record.completed, record.damaged = self._clock.now(), False
        # From now on only read: if the data is lost later, nothing is fetched unasked.
        if not (record.paused or record.satisfied):
            self._held.engine.resume(record.id, writable=False)
        self._held.engine.save(record.id)
        self._held.dirty(torrent)
        if not record.own:
            how = "finished downloading" if snapshot.downloaded else "is complete: its data was already here"
            self._held.journal.info(f'"{record.name}" {how}.', record.id)

    def _was_checked(self, torrent: Torrent) -> None:
        record, snapshot = torrent.record, torrent.snapshot
        rejected, torrent.rejected = torrent.rejected, ""
        if snapshot is None:
            return
        if snapshot.phase is EnginePhase.COMPLETE:
            self._is_whole(torrent)
        elif record.twin:
            self._held.keeper.later(lambda: self._part(torrent))
        elif record.completed or record.read_only:
            record.damaged = True
            self._held.set_trouble(torrent, missing_part(snapshot.done, snapshot.size, record.read_only))
            self._held.engine.pause(record.id)
            self._held.dirty(torrent)
        elif rejected:
            self._held.journal.warning(
                f'The data of "{record.name}" was checked again ({rejected}).', record.id
            )
        self._held.changed(torrent)

    def _is_whole(self, torrent: Torrent) -> None:
        record = torrent.record
        if record.damaged or torrent.lost:
            record.damaged, torrent.lost, torrent.trouble = False, False, None
            self._held.journal.info(f'The data of "{record.name}" is complete again.', record.id)
            self._held.dirty(torrent)
        if not (record.paused or record.satisfied):
            self._held.engine.resume(record.id, writable=False)

    async def _part(self, torrent: Torrent) -> None:
        """Its files are called and sized like its twin's but are others: it gets a folder of its own."""
        record = torrent.record
        if not record.twin:
            return
        volume = self._held.volume_of(record)
        record.twin, record.folder = "", own_folder(volume.path if volume else record.folder, record.id)
        resume = await self._held.keeper.store.resume_of(record.id)
        self._held.come_back(torrent, resume)
        self._held.journal.warning(
            f'"{record.name}" differs from the data of that name; it got the folder {record.folder}.',
            record.id,
        )
        self._held.dirty(torrent)

    def described(self, torrent: Torrent, parsed: Parsed, *, held: bool) -> None:
        """A magnet link has its description, and is placed as a .torrent file would be.

        Where the engine's torrent has it too (`held`), that goes on, and else it begins anew.
        """
        record = torrent.record
        if record.pieces:
            return
        volume = self._held.volume_of(record)
        try:
            place = self._held.settle(
                parsed.description, self._held.others(record), volume.path if volume else ""
            )
        except OwnerMustAct as error:
            self._refused(torrent, str(error))
            return
        if isinstance(place, Known):
            self._held.journal.info(f'"{record.name}" is already in the list; it was dropped.', place.id)
            record.removing = "keep"
            self._held.leave(torrent)
            return
        stays = (place.folder, place.twin) == (record.folder, record.twin)
        record.folder, record.twin = place.folder, place.twin
        describe(record, parsed.description)
        self._held.keeper.later(lambda: self._held.keeper.store.add(record, parsed.resume))
        self._held.journal.info(f'"{record.name}": metadata received. {place.note}'.strip(), record.id)
        if stays and held:
            self._held.engine.accept(record.id)
        else:
            self._held.come_back(torrent, parsed.resume)
        self._held.dirty(torrent)

    def _refused(self, torrent: Torrent, why: str) -> None:
        self._held.set_trouble(torrent, TorrentTrouble(TroubleKind.REFUSED, f"{why} Remove it."))
        self._held.engine.pause(torrent.record.id)

    def stopped(self, torrent: Torrent, kind: TroubleKind, file: str, message: str) -> None:
        """An error stopped a torrent; `file` is the path that it happened at, as far as that is known."""
        record = torrent.record
        inside = file.removeprefix(record.folder + "/")
        free = self._held.disk.free(Path(record.folder))
        self._held.set_trouble(torrent, trouble_of(kind, inside, message, free), watch=inside)
        self._held.engine.pause(record.id)
        volume = self._held.volume_of(record)
        if volume and kind is not TroubleKind.DISK_FULL:
            self._held.suspect(volume.path)

    def _gone(self, torrent: Torrent, data_error: str) -> None:
        id, record = torrent.record.id, torrent.record
        torrent.in_engine = False
        self._held.going.discard(id)
        if record.removing:
            self._held.keeper.later(lambda: self._forget(torrent, data_error))
            self._held.keeper.wake.set()
        elif (resume := self._held.returning.pop(id, None)) is not None:
            self._held.start(torrent, resume)

    async def _forget(self, torrent: Torrent, data_error: str) -> None:
        record = torrent.record
        await self._held.keeper.store.forget(record.id)
        self._held.torrents.pop(record.id, None)
        self._held.keeper.drop(record.id)
        self._held.revision += 1
        volume = self._held.volume_of(record)
        if volume and not volume.away and record.folder != volume.path:
            self._held.disk.prune(Path(record.folder))
        note = f'The data of "{record.name}" could not be deleted: {data_error}.' if data_error else ""
        done = "and its data were removed" if record.removing == "delete" else "was removed"
        self._held.journal.info(note or f'"{record.name}" {done}.')
        if left := self._held.leaving.pop(record.id, None):
            left.set_result(note)
