"""Figures over time: one row of a table for each span of time, written in batches, kept for a month."""

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar

from appliance.adapters.store.database import Database
from appliance.core.clock import Clock
from appliance.core.units import UtcMs


class Summable(Protocol):
    """What is known of one span of time."""

    def plus(self, later: Self) -> Self:
        """Both together."""
        ...


P = TypeVar("P", bound=Summable)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesTable(Generic[P]):
    """A table whose first column is the number of the span since 1970, and its others the figures."""

    name: str
    key: str
    """The first column."""
    columns: tuple[str, ...]
    span_ms: int
    keep: int
    """The most rows."""
    make: Callable[..., P]
    """Figures, from the values of all columns; without any: of a span in which nothing was."""
    values: Callable[[P], tuple[int | None, ...]]
    """The other way."""
    adds_up: bool = False
    """Every column adds up: SQLite can do it, and reads a month in milliseconds."""


class Series(Generic[P]):
    """One table, and what is not written yet; asked for while it is written, nothing is missed or doubled."""

    def __init__(self, database: Database, clock: Clock, table: SeriesTable[P]) -> None:
        self._database, self._clock, self._table = database, clock, table
        self._fresh: dict[int, P] = {}
        self._writing: dict[int, P] = {}
        self._busy = asyncio.Lock()

    def add(self, figures: P) -> None:
        """Count figures into the running span."""
        _merge(self._fresh, {self._running(): figures})

    async def flush(
        self, *, running: bool = True, also: Callable[[sqlite3.Connection], None] | None = None
    ) -> None:
        """Write what is new, the running span too or without it, and what is `also` to be written with it.

        Raises RetryLater; what was not written is kept for the next time then.
        """
        async with self._busy:
            now = self._running()
            writing = {at: one for at, one in self._fresh.items() if running or at != now}
            if not writing and also is None:
                return
            self._writing = writing
            self._fresh = {at: one for at, one in self._fresh.items() if at not in writing}
            try:
                await self._database.run(lambda db: self._write(db, writing, also))
            except BaseException:
                later, self._fresh = self._fresh, writing
                _merge(self._fresh, later)
                raise
            finally:
                self._writing = {}

    async def last(self, count: int, each: int) -> tuple[UtcMs, list[P]]:
        """(start, figures) of the last `count` times `each` spans, the running one among them, in order."""
        first = (self._running() // each - count + 1) * each
        written = await self.written(first, count, each)
        return UtcMs(first * self._table.span_ms), self.with_unwritten(written, first, each)

    async def written(self, first: int, count: int, each: int) -> list[P]:
        """What is written of `count` times `each` spans, from the span `first` on."""
        rows = await self._database.run(
            lambda db: db.execute(
                self._query(), {"first": first, "each": each, "last": first + count * each - 1}
            ).fetchall()
        )
        points = [self._table.make() for _ in range(count)]
        for at, *values in rows:
            points[at] = points[at].plus(self._table.make(*values))
        return points

    def with_unwritten(self, points: list[P], first: int, each: int) -> list[P]:
        """The same points with what is not written yet; to be asked for after the rows were read."""
        whole = list(points)
        for fresh in (self._writing, self._fresh):
            for span, figures in fresh.items():
                if 0 <= (at := (span - first) // each) < len(whole):
                    whole[at] = whole[at].plus(figures)
        return whole

    def _running(self) -> int:
        return self._clock.now() // self._table.span_ms

    def _query(self) -> str:
        table = self._table
        shown = [f"sum({column})" if table.adds_up else column for column in table.columns]
        query = (
            f"SELECT ({table.key} - :first) / :each, {', '.join(shown)} FROM {table.name} "  # noqa: S608
            f"WHERE {table.key} BETWEEN :first AND :last"
        )
        return f"{query} GROUP BY 1" if table.adds_up else f"{query} ORDER BY {table.key}"

    def _write(
        self,
        db: sqlite3.Connection,
        fresh: Mapping[int, P],
        also: Callable[[sqlite3.Connection], None] | None,
    ) -> None:
        table = self._table
        known = f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {table.key} = ?"  # noqa: S608
        marks = ", ".join("?" * (len(table.columns) + 1))
        for at, figures in fresh.items():
            row: tuple[Any, ...] | None = db.execute(known, (at,)).fetchone()
            whole = table.make(*row).plus(figures) if row else figures
            db.execute(f"INSERT OR REPLACE INTO {table.name} VALUES ({marks})", (at, *table.values(whole)))  # noqa: S608
        # By the newest row, not by the clock: one that jumps ahead must not wipe the month.
        db.execute(
            f"DELETE FROM {table.name} WHERE {table.key} IN "  # noqa: S608
            f"(SELECT {table.key} FROM {table.name} ORDER BY {table.key} DESC LIMIT -1 OFFSET ?)",
            (table.keep,),
        )
        if also is not None:
            also(db)


def _merge(into: dict[int, P], later: Mapping[int, P]) -> None:
    for at, figures in later.items():
        into[at] = into[at].plus(figures) if at in into else figures
