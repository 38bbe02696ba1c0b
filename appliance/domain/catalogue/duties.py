"""What the catalogue does by itself in time: saving, looking for lost data and room, ending goals."""

from dataclasses import dataclass
from pathlib import Path

from appliance.core.clock import Clock
from appliance.core.errors import OwnerMustAct
from appliance.core.units import MIB
from appliance.domain.catalogue.admission import Known
from appliance.domain.catalogue.description import Description
from appliance.domain.catalogue.events import Listener
from appliance.domain.catalogue.holdings import Holdings
from appliance.domain.catalogue.model import Goal, TorrentState
from appliance.domain.catalogue.ports import TroubleKind
from appliance.domain.catalogue.record import Record
from appliance.domain.catalogue.states import TorrentTrouble
from appliance.domain.catalogue.torrent import Torrent
from appliance.domain.volumes.volume import Volume

SAVE_EVERY_S = 30
"""Downloads: what a power cut can cost. Seeds need no saving."""
TOTALS_EVERY_S = 300
LOOK_EVERY_S = 30
"""How often absent data and a full disk are looked at again."""
PRESENCE_EVERY_S = 300
ENOUGH_ROOM = 256 * MIB


@dataclass(slots=True)
class _Due:
    """When each duty comes next, in seconds of the monotonic clock."""

    save: float = 0
    totals: float = 0
    look: float = 0
    presence: float = 0


class Duties:
    """The periodic work; the monotonic clock decides, so clock jumps do not reach here."""

    def __init__(self, held: Holdings, listener: Listener, clock: Clock, goal: Goal) -> None:
        """`goal` holds for torrents that have none of their own."""
        self._held = held
        self._listener = listener
        self._clock = clock
        self._goal = goal
        self._due = _Due()

    def totals_due(self) -> bool:
        """Whether totals are to be written now; says so once in a while."""
        now = self._clock.mono() / 1e9
        if now < self._due.totals:
            return False
        self._due.totals = now + TOTALS_EVERY_S
        return True

    def perform(self) -> None:
        """Do what is due."""
        now = self._clock.mono() / 1e9
        if now >= self._due.save:
            self._due.save = now + SAVE_EVERY_S
            self._save()
        if now >= self._due.look:
            self._due.look = now + LOOK_EVERY_S
            self._look_again()
            self._end_goals()
        if now >= self._due.presence:
            self._due.presence = now + PRESENCE_EVERY_S
            self._look_for_data()

    def _save(self) -> None:
        for torrent in self._held.torrents.values():
            if torrent.fetching and torrent.snapshot and torrent.snapshot.unsaved:
                self._held.engine.save(torrent.record.id)

    # --------------------------------------------------------------------------------------------- drives

    def volume_is(self, now: Volume) -> None:
        """How a folder for downloads is now: while it is away or frozen, nothing is written there."""
        before = self._held.volumes[now.path]
        self._held.volumes[now.path] = now
        here = [torrent for torrent in self._held.torrents.values() if self._lies_in(torrent, now)]
        if now.away:
            self._went(here, now, known=before.away == now.away)
        else:
            self._is_here(here, now, before)
        if before.refusal and not now.refusal:
            self._due.look = 0  # what waits for a place may have one now
        self._held.keeper.wake.set()

    def _is_here(self, here: list[Torrent], now: Volume, before: Volume) -> None:
        if before.away:
            self._came(here, now)
        if bool(now.frozen) != bool(before.frozen):
            (self._froze if now.frozen else self._thawed)(here, now)

    def _lies_in(self, torrent: Torrent, volume: Volume) -> bool:
        return not torrent.record.removing and self._held.volume_of(torrent.record) is volume

    def _went(self, here: list[Torrent], volume: Volume, *, known: bool) -> None:
        for torrent in here:
            if torrent.refused:
                continue
            self._held.take_out(torrent)
            if torrent.trouble is None or torrent.trouble.says != volume.away:
                self._held.set_trouble(torrent, TorrentTrouble(TroubleKind.MISSING, volume.away), quiet=True)
        if not known:
            self._held.journal.error(volume.away)

    def _came(self, here: list[Torrent], volume: Volume) -> None:
        for torrent in here:
            if not torrent.in_engine and not torrent.refused:
                self._reload(torrent)
        self._held.journal.info(f"The content folder {volume.path} is back; its torrents continue.")

    def _froze(self, here: list[Torrent], volume: Volume) -> None:
        """Its downloads wait while it cannot be written; what is complete is only read, and goes on.

        What came last may never have reached the drive, and the engine believes that it has: such torrents
        begin again with what was vouched for.
        """
        for torrent in here:
            if not torrent.in_engine or torrent.refused:
                continue
            if torrent.unsynced or (torrent.record.writable and torrent.record.pieces):
                self._held.take_out(torrent)
                self._reload(torrent)  # a download only as far as to say why it waits
        self._held.journal.error(volume.frozen)

    def _thawed(self, here: list[Torrent], volume: Volume) -> None:
        for torrent in here:
            if torrent.trouble and torrent.trouble.kind is TroubleKind.FROZEN:
                self._reload(torrent)
        self._held.journal.info(f"The content folder {volume.path} can be written again.")

    def _reload(self, torrent: Torrent) -> None:
        self._held.keeper.later(lambda: self._held.reload(torrent))

    def _place_again(self, torrent: Torrent) -> None:
        """A torrent that no drive had room for: perhaps one has now."""
        record = torrent.record
        try:
            where = self._held.settle(_described(record), self._held.others(record))
        except OwnerMustAct as error:
            self._no_place(torrent, str(error))
            return
        if isinstance(where, Known) or not where.folder:
            self._no_place(torrent, self._held.no_place(record.size))
            return
        record.folder, record.twin = where.folder, where.twin
        self._held.journal.info(f'There is room now: "{record.name}" continues.', record.id)
        self._reload(torrent)
        self._held.dirty(torrent)

    def _no_place(self, torrent: Torrent, says: str) -> None:
        if torrent.trouble is None or torrent.trouble.says != says:
            self._held.set_trouble(torrent, TorrentTrouble(TroubleKind.NO_PLACE, says), quiet=True)

    # ---------------------------------------------------------------------------------------------- looks
    def _look_again(self) -> None:
        """Torrents whose trouble may have passed: data put back, room made."""
        for torrent in self._held.torrents.values():
            record, trouble = torrent.record, torrent.trouble
            if not record.folder and not record.removing and not torrent.in_engine:
                self._place_again(torrent)
            elif trouble and torrent.in_engine and not record.paused:
                self._look_at(torrent, trouble.kind)

    def _look_at(self, torrent: Torrent, kind: TroubleKind) -> None:
        record, folder = torrent.record, Path(torrent.record.folder)
        if kind is TroubleKind.DISK_FULL and (self._held.disk.free(folder) or 0) >= ENOUGH_ROOM:
            self._held.journal.info(f'There is room again: "{record.name}" continues.', record.id)
            self._go_on(torrent)
        elif kind is TroubleKind.MISSING:
            mark = self._held.disk.mark(folder, torrent.watch)
            if mark is not None and mark != torrent.watch_mark:
                self._held.engine.recheck(record.id)
                self._go_on(torrent)

    def _go_on(self, torrent: Torrent) -> None:
        torrent.trouble = None
        self._held.engine.resume(torrent.record.id, torrent.record.writable)
        self._held.changed(torrent)

    def _look_for_data(self) -> None:
        """Notice complete torrents whose file or folder has vanished, before a peer asks for it in vain."""
        for torrent in self._held.torrents.values():
            record = torrent.record
            if torrent.state is not TorrentState.SEEDING or not torrent.in_engine:
                continue
            if self._held.disk.mark(Path(record.folder), record.root or record.name) is None:
                self._listener.stopped(torrent, TroubleKind.MISSING, record.root or record.name, "")

    def _end_goals(self) -> None:
        for torrent in self._held.torrents.values():
            record = torrent.record
            if torrent.state is TorrentState.SEEDING and self.reached(torrent):
                record.satisfied = True
                self._held.engine.pause(record.id)
                self._held.journal.info(
                    f'"{record.name}" has reached its seeding goal ({record.goal or self._goal}).', record.id
                )
                self._held.dirty(torrent)

    def reached(self, torrent: Torrent) -> bool:
        """Whether it has been seeded enough."""
        goal = torrent.record.goal or self._goal
        return goal.reached(torrent.uploaded, torrent.size, torrent.seeding_s)


def _described(record: Record) -> Description:
    """What `settle` must know of a torrent that came in before."""
    return Description(
        name=record.root if record.pieces else "",
        v1=record.v1,
        v2=record.v2,
        size=record.size,
        pieces=record.pieces,
        layout=record.layout,
    )
