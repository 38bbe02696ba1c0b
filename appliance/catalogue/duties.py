"""What the catalogue does by itself in time: saving, looking for lost data and room, ending goals."""

from dataclasses import dataclass
from pathlib import Path

from appliance.catalogue.events import Listener
from appliance.catalogue.holdings import Holdings, unmounted
from appliance.catalogue.model import Goal, State
from appliance.catalogue.ports import TroubleKind
from appliance.catalogue.torrent import Torrent
from appliance.clock import Clock
from appliance.units import MIB

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
            for torrent in self._held.torrents.values():
                if torrent.fetching and torrent.snapshot and torrent.snapshot.unsaved:
                    self._held.engine.save(torrent.record.id)
        if now >= self._due.look:
            self._due.look = now + LOOK_EVERY_S
            self._look_again()
            self._end_goals()
        if now >= self._due.presence:
            self._due.presence = now + PRESENCE_EVERY_S
            self._look_for_data()

    def mounted(self, there: bool) -> None:
        """The content folder's drive came or went: nothing is written while it is away."""
        if there == self._held.mounted:
            return
        self._held.mounted = there
        for torrent in self._held.torrents.values():
            if not self._held.inside(torrent.record) or torrent.record.removing:
                continue
            if there and not torrent.in_engine:
                self._held.keeper.later(lambda torrent=torrent: self._reload(torrent))  # type: ignore[misc]
            elif not there and torrent.in_engine:
                self._held.engine.remove(torrent.record.id, with_data=False)
                torrent.in_engine = False
                self._held.set_trouble(torrent, unmounted(self._held.content), quiet=True)
        name = f"The content folder {self._held.content}"
        if there:
            self._held.journal.info(f"{name} is back; its torrents go on.")
        else:
            self._held.journal.error(f"{name} is gone. Connect its drive; the box goes on by itself.")
        self._held.keeper.wake.set()

    async def _reload(self, torrent: Torrent) -> None:
        self._held.start(torrent, await self._held.keeper.store.resume_of(torrent.record.id))

    def _look_again(self) -> None:
        """Torrents whose trouble may have passed: data put back, room made."""
        for torrent in self._held.torrents.values():
            record, trouble = torrent.record, torrent.trouble
            if trouble is None or not torrent.in_engine or record.paused:
                continue
            folder = Path(record.folder)
            if trouble.kind is TroubleKind.DISK_FULL and (self._held.disk.free(folder) or 0) >= ENOUGH_ROOM:
                torrent.trouble = None
                self._held.engine.resume(record.id, record.writable)
                self._held.journal.info(f'There is room again: "{record.name}" goes on.', record.id)
                self._held.changed(torrent)
            elif trouble.kind is TroubleKind.MISSING:
                mark = self._held.disk.mark(folder, torrent.watch)
                if mark is not None and mark != torrent.watch_mark:
                    torrent.trouble = None
                    self._held.engine.recheck(record.id)
                    self._held.engine.resume(record.id, record.writable)
                    self._held.changed(torrent)

    def _look_for_data(self) -> None:
        """Complete torrents whose file or folder has vanished: told before a peer asks for it in vain."""
        for torrent in self._held.torrents.values():
            record = torrent.record
            if torrent.state is not State.SEEDING or not torrent.in_engine:
                continue
            if self._held.disk.mark(Path(record.folder), record.root or record.name) is None:
                self._listener.stopped(torrent, TroubleKind.MISSING, record.root or record.name, "")

    def _end_goals(self) -> None:
        for torrent in self._held.torrents.values():
            record = torrent.record
            if torrent.state is State.SEEDING and self.reached(torrent):
                record.satisfied = True
                self._held.engine.pause(record.id)
                self._held.journal.info(
                    f'"{record.name}" was seeded {record.goal or self._goal}; it rests now.', record.id
                )
                self._held.dirty(torrent)

    def reached(self, torrent: Torrent) -> bool:
        """Whether it has been seeded enough."""
        goal = torrent.record.goal or self._goal
        return goal.reached(torrent.uploaded, torrent.size, torrent.seeding_s)
