"""The catalogue's outside, written for tests: engine, disk, store and journal in memory."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance.core.errors import RetryLater
from appliance.core.units import GIB
from appliance.domain.catalogue.description import Description, Parsed
from appliance.domain.catalogue.model import Priority
from appliance.domain.catalogue.ports import (
    Checked,
    Described,
    EnginePhase,
    Gone,
    Placement,
    ResumeSaved,
    Snapshot,
    Stopped,
    TorrentEvent,
    TorrentUpdated,
    TroubleKind,
)
from appliance.domain.catalogue.record import Record

SIZE = 1_000


@dataclass
class FakeDisk:
    """Top-level files by `folder/name`, each with the number of right bytes in it."""

    files: dict[str, int] = field(default_factory=dict)
    free_bytes: int = 100 * GIB
    writes: int = 0
    """Stands in for the time of change."""

    def put(self, path: str, right: int = SIZE) -> None:
        """Somebody puts a file there."""
        self.writes += 1
        self.files[path] = right

    def mark(self, folder: Path, name: str) -> tuple[int, int] | None:
        """Size and time of change."""
        right = self.files.get(f"{folder}/{name}")
        return None if right is None else (right, self.writes)

    def free(self, folder: Path) -> int | None:
        """What was set."""
        return self.free_bytes

    def prune(self, folder: Path) -> None:
        """Folders are not pretended."""


@dataclass
class InEngine:
    """A torrent of the fake engine."""

    placement: Placement
    path: str
    phase: EnginePhase
    paused: bool
    writable: bool
    done: int = 0
    numbers: dict[str, object] = field(default_factory=dict)
    """What `snapshot` has set."""


class FakeEngine:
    """Keeps the rules of the real one: answers come later, and only what is writable is written."""

    def __init__(self, disk: FakeDisk) -> None:
        self.disk = disk
        self.torrents: dict[str, InEngine] = {}
        self.merged: list[str] = []
        """Ids of those that were offered the trackers and peers of another description."""
        self._events: list[TorrentEvent] = []

    def start(self, on_event: Callable[[TorrentEvent], None]) -> None:
        """Events go to `on_event`, when they are delivered."""
        self._emit = on_event

    def deliver(self) -> None:
        """Let the catalogue hear all that happened, and what comes of that."""
        while self._events:
            self._emit(self._events.pop(0))

    def add(self, id: str, resume: bytes, placement: Placement) -> None:
        """The fake's resume data is the top-level name, and a `+` where it vouches for all of the data."""
        assert id not in self.torrents, "added twice"
        name = resume.decode().removesuffix("+")
        path = f"{placement.folder}/{placement.rename_root or name}" if name else ""
        one = InEngine(placement, path, EnginePhase.METADATA, placement.paused, placement.writable)
        self.torrents[id] = one
        if name:
            self._check(id, one, trusted=resume.endswith(b"+") and not placement.assume_nothing)
        self._tell(id)

    def begin(self, id: str, resume: bytes, placement: Placement) -> None:
        """Nothing is slow here."""
        self.add(id, resume, placement)

    async def begun(self) -> dict[str, str]:
        """All are in."""
        return {}

    def _check(self, id: str, one: InEngine, *, trusted: bool) -> None:
        right = self.disk.files.get(one.path, 0)
        one.done = SIZE if trusted and one.path in self.disk.files else right
        one.phase = EnginePhase.COMPLETE if one.done == SIZE else EnginePhase.DOWNLOADING
        self._tell(id)
        self._events.append(Checked(id))

    def _tell(self, id: str) -> None:
        one = self.torrents[id]
        told = dict.fromkeys(Snapshot.__slots__, 0) | {
            "phase": one.phase,
            "paused": one.paused,
            "size": SIZE,
            "done": one.done,
            "progress": one.done * 1_000,
            "unsaved": one.phase is EnginePhase.DOWNLOADING,
        }
        self._events.append(TorrentUpdated(id, Snapshot(**(told | one.numbers))))  # type: ignore[arg-type]

    def remove(self, id: str, with_data: bool) -> None:
        """Forget; the data goes too if asked to."""
        one = self.torrents.pop(id, None)
        if one and with_data:
            self.disk.files.pop(one.path, None)
        self._events.append(Gone(id))

    def pause(self, id: str) -> None:
        """Stop."""
        if one := self.torrents.get(id):
            one.paused = True
            self._tell(id)

    def resume(self, id: str, writable: bool) -> None:
        """Go on."""
        if one := self.torrents.get(id):
            one.paused, one.writable = False, writable
            self._tell(id)

    def accept(self, id: str) -> None:
        """What was described is wanted from now on."""
        assert self.torrents[id].phase is not EnginePhase.METADATA, "the engine does not know it yet"
        self._tell(id)

    def recheck(self, id: str) -> None:
        """Count the right bytes again."""
        if one := self.torrents.get(id):
            self._check(id, one, trusted=False)

    def reannounce(self, id: str) -> None:
        """Nobody listens."""

    def tune(self, id: str, priority: Priority, upload_limit: int, download_limit: int) -> None:
        """Keep what was set."""
        if one := self.torrents.get(id):
            one.placement = replace(
                one.placement, priority=priority, upload_limit=upload_limit, download_limit=download_limit
            )

    def merge(self, id: str, resume: bytes) -> int:
        """Nothing is new."""
        self.merged.append(id)
        return 0

    def save(self, id: str) -> None:
        """Resume data vouches for what is complete."""
        one = self.torrents.get(id)
        whole = one is not None and one.phase is EnginePhase.COMPLETE
        name = one.path.rpartition("/")[2] if one else ""
        self._events.append(ResumeSaved(id, f"{name}{'+' if whole else ''}".encode() if name else None))

    # ------------------------------------------------------------------------- what tests let happen

    def fetch(self, id: str) -> None:
        """Peers send all that is missing; a torrent that may not be written takes nothing."""
        one = self.torrents[id]
        if one.writable and not one.paused and one.phase is EnginePhase.DOWNLOADING:
            one.done, one.phase = SIZE, EnginePhase.COMPLETE
            self.disk.put(one.path)
            self._tell(id)

    def fail(self, id: str, kind: TroubleKind, file: str = "") -> None:
        """An error stops it."""
        one = self.torrents[id]
        one.paused = True
        self._events.append(Stopped(id, kind, file or one.path, "it failed"))

    def describe(self, id: str, said: Parsed | None, refusal: str = "") -> None:
        """Peers send the description of a magnet link."""
        one = self.torrents[id]
        self._events.append(Described(id, said, refusal))
        if said:
            one.path = f"{one.placement.folder}/{said.description.name}"
            self._check(id, one, trusted=False)

    def snapshot(self, id: str, **numbers: object) -> None:
        """Tell numbers of one's own."""
        self.torrents[id].numbers |= numbers
        self._tell(id)


class MemoryStore:
    """A store that gives way to others in every write, and may be full."""

    def __init__(self) -> None:
        self.full = False
        self.records: dict[str, Record] = {}
        self.kept_resumes: dict[str, bytes] = {}
        self.totals: dict[str, tuple[int, int, int]] = {}
        self.forgotten: list[str] = []

    async def _write(self) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        if self.full:
            raise RetryLater("The disk is full. Make room.")

    async def put(self, records: Sequence[Record], durable: bool) -> None:
        """Keep records that are known."""
        now = {record.id: replace(record) for record in records}
        await self._write()
        self.records |= {id: record for id, record in now.items() if id in self.records}

    async def add(self, record: Record, resume: bytes) -> None:
        """Keep a new one."""
        now = replace(record)
        await self._write()
        self.records[record.id], self.kept_resumes[record.id] = now, resume

    async def forget(self, id: str) -> None:
        """Drop one."""
        await self._write()
        self.forgotten.append(id)
        for kept in (self.records, self.kept_resumes, self.totals):
            kept.pop(id, None)

    async def put_resume(self, resumes: dict[str, bytes], folders: set[str]) -> None:
        """Keep resume data."""
        await self._write()
        self.kept_resumes |= {id: data for id, data in resumes.items() if id in self.records}

    async def put_totals(self, totals: dict[str, tuple[int, int, int]]) -> None:
        """Keep totals."""
        await self._write()
        self.totals |= {id: total for id, total in totals.items() if id in self.records}

    async def resume_of(self, id: str) -> bytes:
        """The last resume data."""
        return self.kept_resumes.get(id, b"")

    def load(self) -> dict[str, Record]:
        """All records, with their totals."""
        loaded = {}
        for id, record in self.records.items():
            up, down, seconds = self.totals.get(id, (record.uploaded, record.downloaded, record.seeding_s))
            loaded[id] = replace(record, uploaded=up, downloaded=down, seeding_s=seconds)
        return loaded

    def resumes(self, ids: Sequence[str]) -> dict[str, tuple[bytes, bool]]:
        """Resume data, and whether it can be trusted."""
        return {id: (self.kept_resumes.get(id, b""), id in self.kept_resumes) for id in ids}


class ListJournal:
    """Events as a list of (kind, text)."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []

    def info(self, text: str, torrent: str = "") -> None:
        """As it should be."""
        self.events.append(("info", text))

    def warning(self, text: str, torrent: str = "") -> None:
        """To be known."""
        self.events.append(("warning", text))

    def error(self, text: str, torrent: str = "") -> None:
        """Needs the owner."""
        self.events.append(("error", text))


def parsed(number: int = 1, name: str = "", layout: str = "", **fields: object) -> Parsed:
    """A torrent of one file, as the fake engine takes it."""
    name = name or f"film{number}"
    id = f"{number:040x}"
    told: dict[str, object] = {
        "name": name,
        "v1": id,
        "v2": "",
        "size": SIZE,
        "files": 1,
        "pieces": 10,
        "layout": layout or f"L{number}",
    }
    return Parsed(Description(**(told | fields)), name.encode())  # type: ignore[arg-type]
