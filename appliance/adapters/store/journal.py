"""Events for the owner, traffic over time, and small settings: the rest of what the box remembers."""

import logging
import sqlite3
from collections import deque
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import msgspec

from appliance.adapters.store.database import Database
from appliance.core.clock import Clock
from appliance.core.errors import RetryLater, SeedboxError
from appliance.core.units import UtcMs

log = logging.getLogger("seedbox.events")

T = TypeVar("T")

MOST_EVENTS = 5_000
KEEP_MINUTES = 32 * 24 * 60
_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}

Kind = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Happened:
    """One event."""

    id: int
    at: int
    """UtcMs."""
    kind: Kind
    text: str
    torrent: str


class EventJournal:
    """What happened, in plain words; it is logged at once, and written in batches."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._next = database.run_now(_last_event) + 1
        self._fresh: deque[Happened] = deque(maxlen=MOST_EVENTS)

    def info(self, text: str, torrent: str = "") -> None:
        """Something happened as it should."""
        self._add("info", text, torrent)

    def warning(self, text: str, torrent: str = "") -> None:
        """Something that the owner should know."""
        self._add("warning", text, torrent)

    def error(self, text: str, torrent: str = "") -> None:
        """Something that needs the owner."""
        self._add("error", text, torrent)

    def _add(self, kind: Kind, text: str, torrent: str) -> None:
        # A file's name that is not UTF-8 cannot be written, and would keep all later events from the disk.
        plain = text[:1_000].encode("utf-8", "replace").decode()
        log.log(_LEVELS[kind], "%s", plain, extra={"TORRENT": torrent} if torrent else {})
        self._fresh.append(Happened(self._next, self._clock.now(), kind, plain, torrent))
        self._next += 1

    async def flush(self) -> None:
        """Write what is new; a full disk leaves it for the next time."""
        fresh = list(self._fresh)
        if not fresh:
            return
        rows = [(event.id, event.at, event.kind, event.text, event.torrent) for event in fresh]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR IGNORE INTO event VALUES (?, ?, ?, ?, ?)", rows)
            db.execute("DELETE FROM event WHERE id <= ?", (fresh[-1].id - MOST_EVENTS,))

        await self._database.run(work)
        for _ in fresh:
            self._fresh.popleft()

    async def last(self, before: int, count: int) -> list[Happened]:
        """Up to `count` events older than the id `before` (0: the newest), newest first."""
        fresh = [event for event in reversed(self._fresh) if not before or event.id < before][:count]
        if len(fresh) == count:
            return fresh
        limit = fresh[-1].id if fresh else before or 2**62
        rows = await self._database.run(
            lambda db: db.execute(
                "SELECT id, at, kind, text, torrent FROM event WHERE id < ? ORDER BY id DESC LIMIT ?",
                (limit, count - len(fresh)),
            ).fetchall()
        )
        return fresh + [Happened(*row) for row in rows]


class TrafficLog:
    """Payload by the minute."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._minutes: dict[int, tuple[int, int]] = {}
        """Minutes that are not written yet, or not over."""
        self._summed: tuple[tuple[int, int], tuple[int, int]] | None = None
        """(first minute, minute after the last) and what was written of them, until more is."""

    def add(self, up: int, down: int) -> None:
        """Count payload bytes into the running minute."""
        if up or down:
            minute = self._clock.now() // 60_000
            before = self._minutes.get(minute, (0, 0))
            self._minutes[minute] = (before[0] + up, before[1] + down)

    async def flush(self, *, all: bool = False) -> None:
        """Write the minutes that are over, and with `all` the running one."""
        now = self._clock.now() // 60_000
        over = {minute: sums for minute, sums in self._minutes.items() if all or minute != now}
        if not over:
            return
        rows = [(minute, *sums) for minute, sums in over.items()]

        def work(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT INTO traffic VALUES (?, ?, ?) ON CONFLICT (minute) "
                "DO UPDATE SET up = up + excluded.up, down = down + excluded.down",
                rows,
            )
            # By the newest minute, not by the clock: one that jumps ahead must not wipe the month.
            db.execute(
                "DELETE FROM traffic WHERE minute IN "
                "(SELECT minute FROM traffic ORDER BY minute DESC LIMIT -1 OFFSET ?)",
                (KEEP_MINUTES,),
            )

        await self._database.run(work)
        self._summed = None
        for minute in over:
            del self._minutes[minute]

    async def between(self, start: UtcMs, end: UtcMs) -> tuple[int, int]:
        """Bytes (up, down) of the minutes from `start` to before `end`, those not written yet too.

        Asked for again, the same span is not read anew until something was written.
        """
        span = (start // 60_000, end // 60_000)
        if self._summed is None or self._summed[0] != span:
            written = await self._database.run(
                lambda db: db.execute(
                    "SELECT coalesce(sum(up), 0), coalesce(sum(down), 0) FROM traffic "
                    "WHERE minute >= ? AND minute < ?",
                    span,
                ).fetchone()
            )
            self._summed = (span, (written[0], written[1]))
        up, down = self._summed[1]
        for minute, (sent, received) in self._minutes.items():
            if span[0] <= minute < span[1]:
                up, down = up + sent, down + received
        return up, down

    async def buckets(self, count: int, minutes: int) -> tuple[int, list[int], list[int]]:
        """(start as UtcMs, bytes up, bytes down) of the last `count` buckets of `minutes` minutes."""
        last = self._clock.now() // 60_000 // minutes
        first = last - count + 1
        rows = await self._database.run(
            lambda db: db.execute(
                "SELECT minute / ?1, sum(up), sum(down) FROM traffic "
                "WHERE minute BETWEEN ?2 AND ?3 GROUP BY 1",
                (minutes, first * minutes, (last + 1) * minutes - 1),
            ).fetchall()
        )
        up, down = [0] * count, [0] * count
        unwritten = [(minute // minutes, *sums) for minute, sums in self._minutes.items()]
        for bucket, sent, received in [*rows, *unwritten]:
            if first <= bucket <= last:
                up[bucket - first] += sent
                down[bucket - first] += received
        return first * minutes * 60_000, up, down


class Settings:
    """Small values that the owner or the box sets while it runs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> bytes | None:
        """A value, or None."""
        row = self._database.run_now(
            lambda db: db.execute("SELECT value FROM setting WHERE key = ?", (key,)).fetchone()
        )
        return bytes(row[0]) if row else None

    def decoded(self, key: str, kind: type[T]) -> T | None:
        """A value that was encoded as MessagePack; None where there is none, or where it is damaged."""
        kept = self.get(key)
        try:
            return None if kept is None else msgspec.msgpack.decode(kept, type=kind)
        except (msgspec.DecodeError, SeedboxError) as error:
            log.warning("the setting %s was damaged (%s) and is forgotten", key, error)
            return None

    async def put(self, key: str, value: bytes, *, durable: bool = True) -> None:
        """Keep a value."""
        await self._database.run(
            lambda db: db.execute("INSERT OR REPLACE INTO setting VALUES (?, ?)", (key, value)),
            durable=durable,
        )


class Flushes(Protocol):
    """Something that is written in batches."""

    async def flush(self) -> None:
        """Write what is new. Raises RetryLater."""
        ...


async def try_flush(*parts: Flushes) -> None:
    """Write what can be written; a full disk is logged, and tried again at the next flush."""
    for part in parts:
        try:
            await part.flush()
        except RetryLater as error:
            log.warning("not saved yet: %s", error)


def _last_event(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()[0])
