"""The catalogue: what the owner asks of torrents.

Commands change records and call the engine at once; what must outlive a power cut is written before a command
answers, or by `work` in few batches. events.py takes what the engine says, duties.py what is due in time.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.core.clock import Clock
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.journal import Journal
from appliance.core.text import shown
from appliance.domain.catalogue.admission import Known, admit
from appliance.domain.catalogue.description import Parsed
from appliance.domain.catalogue.duties import Duties
from appliance.domain.catalogue.events import Listener
from appliance.domain.catalogue.holdings import Holdings
from appliance.domain.catalogue.keeper import CatalogueKeeper
from appliance.domain.catalogue.model import Goal, GoalKind, Priority
from appliance.domain.catalogue.ports import Disk, RecordStore, TorrentEngine, TroubleKind
from appliance.domain.catalogue.record import Record, describe
from appliance.domain.catalogue.torrent import Torrent

TICK_S = 2.0
LONGEST_LABEL = 40
_CHUNK = 500
_STOP_S = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AddOptions:
    """What the owner says of a torrent when it is added."""

    label: str = ""
    priority: Priority = Priority.NORMAL
    goal: Goal | None = None
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Admitted:
    """A torrent is in the catalogue; `known` where it was before."""

    id: str
    name: str
    known: bool
    note: str


class Catalogue:
    """All torrents of the box."""

    def __init__(
        self,
        engine: TorrentEngine,
        store: RecordStore,
        journal: Journal,
        disk: Disk,
        clock: Clock,
        content: Sequence[Path],
        goal: Goal,
        floor: int = 0,
    ) -> None:
        """`content` are the folders for downloads, the main one first; on each `floor` bytes stay free.

        `goal` holds for torrents that have none of their own.
        """
        self._held = Holdings(engine, CatalogueKeeper(store), journal, disk, content, floor)
        self._listener = Listener(self._held, clock)
        self._duties = Duties(self._held, self._listener, clock, goal)
        self._clock = clock
        self._goal = goal
        self.apply = self._listener.apply
        self.volume_is = self._duties.volume_is
        self.get = self._held.get

    def throttle(self, writes: str, sends: str) -> None:
        """Why nothing is written, and why nothing is sent at the moment, as those say that wait for it."""
        if (writes, sends) == (self._held.throttled, self._held.silent):
            return
        self._held.throttled, self._held.silent = writes, sends
        for torrent in self.all():
            self._held.changed(torrent)

    @property
    def revision(self) -> int:
        """Rises with every change of any torrent."""
        return self._held.revision

    def __len__(self) -> int:
        return len(self._held.torrents)

    def all(self) -> Iterable[Torrent]:
        """Every torrent, in no order."""
        return self._held.torrents.values()

    def find(self, info_hash: bytes) -> Torrent | None:
        """The torrent that peers mean by an info-hash (20 bytes)."""
        named = self._held.torrents.get(info_hash.hex())
        if named and named.record.goes_by(info_hash):
            return named
        return next((one for one in self.all() if one.record.goes_by(info_hash)), None)

    def on_volume(self, path: str) -> list[Torrent]:
        """The torrents whose data lies, or will lie, in one of the folders for downloads."""
        volume = self._held.volumes[path]
        return [torrent for torrent in self.all() if self._held.volume_of(torrent.record) is volume]

    def on_suspicion(self, suspect: Callable[[str], None]) -> None:
        """Call `suspect` with a folder for downloads on which a torrent has met an error."""
        self._held.suspect = suspect

    def goal_of(self, record: Record) -> Goal:
        """The goal that holds for a torrent."""
        return record.goal or self._goal

    async def load(
        self, records: Iterable[Record], resumes: Callable[[list[str]], dict[str, tuple[bytes, bool]]]
    ) -> None:
        """Start what the store kept. `resumes` gives resume data, and whether it can be trusted."""
        ordered = sorted(records, key=lambda record: record.added)
        for start in range(0, len(ordered), _CHUNK):
            chunk = ordered[start : start + _CHUNK]
            data = resumes([record.id for record in chunk])
            for record in chunk:
                torrent = self._held.torrents[record.id] = Torrent(record)
                resume, trusted = data[record.id]
                self._held.start(torrent, resume, hash_all=not trusted, one_of_many=True)
            # Whoever waits for the engine once a chunk, and not once a torrent, starts twice as fast.
            for id, why in (await self._held.engine.begun()).items():
                self._held.refuse(self._held.torrents[id], why)
            for record in chunk:
                if record.removing:
                    self._held.leave(self._held.torrents[record.id])

    async def add(self, parsed: Parsed, wish: AddOptions) -> Admitted:
        """Add a torrent or magnet link; data that is there already is checked and adopted."""
        place = self._held.settle(parsed.description, self._held.records())
        if isinstance(place, Known):
            return self._again(self._held.torrents[place.id], parsed)
        record = self._record(parsed, wish, place.folder)
        record.twin = place.twin
        await self._enter(record, parsed.resume)
        self._held.journal.info(f'"{record.name}" was added. {place.note}'.strip(), record.id)
        return Admitted(record.id, record.name, False, place.note)

    async def share(self, parsed: Parsed, wish: AddOptions, path: Path) -> Admitted:
        """Seed the owner's own file or folder in place; it is only ever read."""
        place = admit(parsed.description, str(path.parent), self._held.records(), own=True)
        if isinstance(place, Known):
            return self._again(self._held.torrents[place.id], parsed)
        record = self._record(parsed, wish, str(path.parent))
        record.own, record.root = True, path.name
        await self._enter(record, parsed.resume)
        self._held.journal.info(f'"{record.name}" is shared from {path}.', record.id)
        return Admitted(record.id, record.name, False, "")

    def _record(self, parsed: Parsed, wish: AddOptions, folder: str) -> Record:
        new = parsed.description
        record = Record(
            id=new.id,
            name=shown(new.name) or f"magnet {new.id[:8]}",
            v1=new.v1,
            v2=new.v2,
            folder=folder,
            label=_label(wish.label),
            priority=wish.priority,
            goal=wish.goal,
            paused=wish.paused,
            added=self._clock.now(),
        )
        describe(record, parsed.description)
        return record

    async def _enter(self, record: Record, resume: bytes) -> None:
        """Make it durable first: what was acknowledged survives the power cut of the next moment."""
        torrent = Torrent(record)
        self._held.torrents[record.id] = torrent
        try:
            await self._held.keeper.store.add(record, resume)
        except Exception:
            del self._held.torrents[record.id]
            raise
        self._held.start(torrent, resume)
        if not torrent.in_engine and torrent.refused and torrent.trouble:
            del self._held.torrents[record.id]
            await self._held.keeper.store.forget(record.id)
            raise OwnerMustAct(torrent.trouble.says)

    def _again(self, torrent: Torrent, parsed: Parsed) -> Admitted:
        """The same content again: keep one, take over what is new about it."""
        record = torrent.record
        if not record.pieces and parsed.description.pieces:
            self._listener.described(torrent, parsed, held=False)
            note = "It was here as a magnet link; its metadata is now complete."
        elif record.private and not parsed.description.pieces:
            # BEP 27: only the trackers of its own file may name peers, and anybody can write a link.
            note = "It is private: trackers and peers of a link are not used for it."
        else:
            trackers = self._held.engine.merge(record.id, parsed.resume)
            note = f"{trackers} new {'tracker' if trackers == 1 else 'trackers'} added." if trackers else ""
        return Admitted(record.id, record.name, True, f"It is already in the list. {note}".strip())

    async def pause(self, names: list[str]) -> list[str]:
        """Stop torrents; returns their ids."""
        torrents = self._held.pick(names)
        for torrent in torrents:
            torrent.record.paused = True
            self._held.engine.pause(torrent.record.id)
            self._held.dirty(torrent)
        await self.flush()
        return [torrent.record.id for torrent in torrents]

    async def resume(self, names: list[str]) -> list[str]:
        """Start torrents again; what failed or lacks data is tried anew, and fetched where it may be."""
        torrents = self._held.pick(names)
        for torrent in torrents:
            self._resume(torrent)
            self._held.dirty(torrent)
        await self.flush()
        return [torrent.record.id for torrent in torrents]

    def _resume(self, torrent: Torrent) -> None:
        record, trouble = torrent.record, torrent.trouble
        if record.satisfied:
            record.satisfied, record.goal = False, Goal(GoalKind.FOREVER)
        record.paused = False
        if not torrent.in_engine or torrent.refused:
            return
        torrent.trouble = None
        if trouble and trouble.kind is TroubleKind.MISSING:
            record.fetch_again()
            self._held.engine.recheck(record.id)
        self._held.engine.resume(record.id, record.writable)

    async def remove(self, names: list[str], with_data: bool) -> tuple[list[str], list[str]]:
        """Forget torrents: (ids, notes for the owner). Returns when they are gone. Raises RetryLater."""
        torrents = self._held.pick(names)
        notes = self._mark_removing(torrents, with_data)
        await self._held.keeper.store.put([torrent.record for torrent in torrents], durable=True)
        gone = [self._held.leave(torrent) for torrent in torrents]
        try:
            async with asyncio.timeout(60):
                notes += filter(None, await asyncio.gather(*gone))
        except TimeoutError as error:
            raise RetryLater("The torrents are still being removed; check again in a minute.") from error
        return [torrent.record.id for torrent in torrents], notes

    def _mark_removing(self, torrents: list[Torrent], with_data: bool) -> list[str]:
        """Note what is to go; why some data stays although it was to go."""
        going = {torrent.record.id for torrent in torrents}
        notes = []
        for torrent in torrents:
            keep = self._why_keep(torrent, going) if with_data else ""
            torrent.record.removing = "delete" if with_data and not keep else "keep"
            notes.append(keep)
        return [note for note in notes if note]

    def _why_keep(self, torrent: Torrent, going: set[str]) -> str:
        record = torrent.record
        if record.own:
            return f'The files of "{record.name}" are your own and stay where they are.'
        if not torrent.in_engine and record.pieces and record.folder:
            return f'The data of "{record.name}" is out of reach and was not deleted.'
        family = _family(record)
        stay = (other.record for other in self.all() if other.record.id not in going)
        user = next((other for other in stay if _family(other) & family), None)
        return f'The data of "{record.name}" stays: "{user.name}" is seeded from it too.' if user else ""

    async def recheck(self, names: list[str]) -> list[str]:
        """Hash the data of torrents again."""
        torrents = self._held.pick(names)
        for torrent in torrents:
            if not torrent.in_engine or torrent.refused:
                raise OwnerMustAct(f'"{torrent.record.name}" cannot be checked: {torrent.reason}')
            torrent.trouble = None
            self._held.engine.recheck(torrent.record.id)
            self._held.engine.resume(torrent.record.id, torrent.record.writable)
            self._held.changed(torrent)
        return [torrent.record.id for torrent in torrents]

    def reannounce(self, names: list[str]) -> list[str]:
        """Ask trackers and DHT for peers."""
        torrents = self._held.pick(names)
        for torrent in torrents:
            self._held.engine.reannounce(torrent.record.id)
        return [torrent.record.id for torrent in torrents]

    async def configure(
        self,
        name: str,
        *,
        label: str | None = None,
        priority: Priority | None = None,
        goal: Goal | None = None,
        upload_limit: int | None = None,
        download_limit: int | None = None,
    ) -> Torrent:
        """Set what is not None."""
        torrent = self._held.get(name)
        record = torrent.record
        up, down = _rate(upload_limit, record.upload_limit), _rate(download_limit, record.download_limit)
        record.label = record.label if label is None else _label(label)
        record.priority = priority or record.priority
        record.upload_limit, record.download_limit = up, down
        if goal is not None:
            self._set_goal(torrent, goal)
        self._held.engine.tune(record.id, record.priority, record.upload_limit, record.download_limit)
        self._held.dirty(torrent)
        await self.flush()
        return torrent

    def _set_goal(self, torrent: Torrent, goal: Goal) -> None:
        record = torrent.record
        record.goal = goal
        if record.satisfied and not self._duties.reached(torrent):
            record.satisfied = False
            if not record.paused:
                self._held.engine.resume(record.id, record.writable)

    # -------------------------------------------------------------------------------------- work in time

    async def work(self, beat: Callable[[], None]) -> None:
        """Write what changed and do what is due, forever; `beat` is called every round."""
        wake = self._held.keeper.wake
        while True:
            beat()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await wake.wait()
            wake.clear()
            self._duties.perform()
            await self._held.keeper.flush(self._held.torrents, totals=self._duties.totals_due())

    async def flush(self) -> None:
        """Write what an owner's command changed."""
        await self._held.keeper.flush(self._held.torrents, totals=False)

    async def stop(self) -> None:
        """Save all progress before the end."""
        for torrent in self._held.torrents.values():
            if torrent.fetching:
                self._listener.saving.add(torrent.record.id)
                self._held.engine.save(torrent.record.id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_S):
                await self._saved()
        await self._held.keeper.flush(self._held.torrents, totals=True)

    async def _saved(self) -> None:
        while self._listener.saving:
            await self._listener.answered.wait()
            self._listener.answered.clear()


def _family(record: Record) -> set[str]:
    """The torrents that may share its data."""
    return {record.id, record.twin} - {""}


def _rate(new: int | None, before: int) -> int:
    """A rate in bytes per second, as it was where no new one is given. Raises OwnerMustAct."""
    if new is None:
        return before
    if not 0 <= new < 2**31:
        raise OwnerMustAct(f"A rate of {new} bytes per second is not possible; 0 means unlimited.")
    return new


def _label(label: str) -> str:
    label = " ".join(label.split())
    if len(label) > LONGEST_LABEL or not label.isprintable():
        raise OwnerMustAct(f"A label has at most {LONGEST_LABEL} printable characters.")
    return label
