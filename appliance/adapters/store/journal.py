"""Events for the owner: what happened, in plain words."""

import logging
import sqlite3
from collections import deque
from dataclasses import dataclass
from typing import Literal

from appliance.adapters.store.database import Database
from appliance.core.clock import Clock
from appliance.core.text import shown

log = logging.getLogger("seedbox.events")

MOST_EVENTS = 5_000
MOST_TEXT = 1_000
"""Characters of one event."""
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
        plain = shown(text.replace("\n", " "), MOST_TEXT)
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


def _last_event(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()[0])
