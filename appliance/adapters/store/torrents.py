"""Torrents on disk: a row, resume data and totals in the database, and a rebuild file outside of it.

The rebuild file holds the description and the record as they were when the torrent came in: enough to bring
it back, with a check of its data, when the database or the resume data is damaged.
"""

import asyncio
import contextlib
import logging
import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from appliance.adapters.store.database import Database
from appliance.adapters.store.files import set_aside, sync_file_system
from appliance.core.errors import RetryLater, SeedboxError
from appliance.core.files import sync_folder, write_durably
from appliance.domain.catalogue.record import Record

log = logging.getLogger(__name__)

_SUFFIX = ".torrentstate"


class _Rebuild(msgspec.Struct, frozen=True):
    """The content of a rebuild file, as MessagePack."""

    record: Record
    resume: bytes


class TorrentStore:
    """The catalogue's store."""

    def __init__(self, database: Database, folder: Path) -> None:
        """`folder` holds the rebuild files."""
        self._database = database
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.reports: list[str] = []
        """What was found damaged while loading, in plain words."""

    # ------------------------------------------------------------------------------------------- loading

    def load(self) -> dict[str, Record]:
        """All records, by id; torrents that only a rebuild file knows are brought back."""
        records = self._database.run_now(_records)
        on_disk = {path.stem for path in self._folder.glob(f"*{_SUFFIX}")}
        for id in sorted(on_disk - set(records)):
            if rebuilt := self._rebuild(id):
                self._database.run_now(lambda db, rebuilt=rebuilt: _put(db, rebuilt.record))  # type: ignore[misc]
                records[id] = rebuilt.record
                self.reports.append(f'"{rebuilt.record.name}" was brought back from its description.')
        return records

    def resumes(self, ids: Sequence[str]) -> dict[str, tuple[bytes, bool]]:
        """Resume data of torrents, and whether it can be trusted: if not, their data must be hashed.

        Damaged resume data is set aside. (b"", False) where nothing is left of it.
        """
        rows = self._database.run_now(lambda db: _resumes(db, ids))
        return {id: self._usable(id, rows.get(id)) for id in ids}

    def _usable(self, id: str, row: tuple[int, bytes] | None) -> tuple[bytes, bool]:
        if row is not None:
            crc, data = row
            if zlib.crc32(data) == crc:
                return data, True
            aside = self._folder / f"{id}.resume"
            aside.write_bytes(data)
            self.reports.append(f"Damaged resume data of {id[:8]} was set aside as {set_aside(aside)}.")
        rebuilt = self._rebuild(id)
        return (rebuilt.resume, False) if rebuilt else (b"", False)

    def _rebuild(self, id: str) -> _Rebuild | None:
        path = self._folder / f"{id}{_SUFFIX}"
        try:
            return msgspec.msgpack.decode(path.read_bytes(), type=_Rebuild)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, OSError) as error:
            with contextlib.suppress(OSError):
                self.reports.append(f"{set_aside(path)} was damaged ({error}): add that torrent again.")
            return None

    # ------------------------------------------------------------------------- the catalogue's RecordStore

    async def put(self, records: Sequence[Record], durable: bool) -> None:
        """Keep records."""
        copies = [msgspec.json.encode(record).decode() for record in records]
        ids = [record.id for record in records]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("UPDATE torrent SET record = ? WHERE id = ?", zip(copies, ids, strict=True))

        await self._database.run(work, durable=durable)

    async def add(self, record: Record, resume: bytes) -> None:
        """Keep a new torrent: the rebuild file first, then the row, so that no row is ever without one."""
        packed = msgspec.msgpack.encode(_Rebuild(record, resume))
        path = self._folder / f"{record.id}{_SUFFIX}"
        try:
            await asyncio.to_thread(write_durably, path, packed)
        except OSError as error:
            raise RetryLater(
                f"{path} cannot be written ({error.strerror}). Make room on its disk."
            ) from error
        text = msgspec.json.encode(record).decode()

        def work(db: sqlite3.Connection) -> None:
            db.execute(_UPSERT, (record.id, text))
            db.execute(_PUT_RESUME, (record.id, zlib.crc32(resume), resume))

        await self._database.run(work, durable=True)

    async def forget(self, id: str) -> None:
        """Drop a torrent: the rebuild file first, or it would come back at the next start."""

        def unlink() -> None:
            (self._folder / f"{id}{_SUFFIX}").unlink(missing_ok=True)
            sync_folder(self._folder)

        await asyncio.to_thread(unlink)
        await self._database.run(
            lambda db: db.execute("DELETE FROM torrent WHERE id = ?", (id,)), durable=True
        )

    async def put_resume(self, resumes: dict[str, bytes], folders: set[str]) -> None:
        """Let the content reach the disk before the resume data that vouches for it does."""
        await asyncio.to_thread(_sync_content, folders)

        def work(db: sqlite3.Connection) -> None:
            db.executemany(_PUT_RESUME, [(id, zlib.crc32(data), data) for id, data in resumes.items()])

        await self._database.run(work, durable=True)

    async def put_totals(self, totals: dict[str, tuple[int, int, int]]) -> None:
        """Keep totals, in one cheap commit."""
        rows = [(id, *total) for id, total in totals.items()]
        await self._database.run(lambda db: db.executemany(_PUT_TOTAL, rows))

    async def resume_of(self, id: str) -> bytes:
        """The last resume data of a torrent; empty where there is none."""
        rows = await self._database.run(lambda db: _resumes(db, [id]))
        return rows[id][1] if rows else b""


_UPSERT = (
    "INSERT INTO torrent (id, record) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record"
)
_PUT_RESUME = """
    INSERT INTO resume (number, crc, data) SELECT number, ?2, ?3 FROM torrent WHERE id = ?1
    ON CONFLICT (number) DO UPDATE SET crc = excluded.crc, data = excluded.data
"""
_PUT_TOTAL = """
    INSERT INTO total (number, uploaded, downloaded, seeding_s) SELECT number, ?2, ?3, ?4
    FROM torrent WHERE id = ?1
    ON CONFLICT (number) DO UPDATE
    SET uploaded = excluded.uploaded, downloaded = excluded.downloaded, seeding_s = excluded.seeding_s
"""


def _put(db: sqlite3.Connection, record: Record) -> None:
    db.execute(_UPSERT, (record.id, msgspec.json.encode(record).decode()))


def _records(db: sqlite3.Connection) -> dict[str, Record]:
    return dict(_decoded(db))


def _decoded(db: sqlite3.Connection) -> Iterator[tuple[str, Record]]:
    decoder = msgspec.json.Decoder(Record)
    rows = db.execute(
        "SELECT record, uploaded, downloaded, seeding_s FROM torrent LEFT JOIN total USING (number)"
    )
    for text, uploaded, downloaded, seeding_s in rows:
        try:
            record = decoder.decode(text)
        except (msgspec.DecodeError, SeedboxError) as error:
            # The rebuild file brings it back.
            log.error("a record was damaged (%s)", error)
            continue
        if uploaded is not None:
            record.uploaded, record.downloaded, record.seeding_s = uploaded, downloaded, seeding_s
        yield record.id, record


def _resumes(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, tuple[int, bytes]]:
    marks = ",".join("?" * len(ids))
    rows = db.execute(
        f"SELECT id, crc, data FROM torrent JOIN resume USING (number) WHERE id IN ({marks})",  # noqa: S608
        tuple(ids),
    )
    return {id: (crc, data) for id, crc, data in rows}


def _sync_content(folders: set[str]) -> None:
    seen: set[int] = set()
    for folder in map(Path, folders):
        try:
            device = folder.stat().st_dev
            if device not in seen:
                seen.add(device)
                sync_file_system(folder)
        except OSError as error:
            raise RetryLater(f"{folder} could not be written out ({error}).") from error
