"""What the box remembers of its own machine: readings over time, and the governor's decisions."""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Literal

from appliance.adapters.store.database import Database
from appliance.adapters.store.series import Series, SeriesTable
from appliance.adapters.store.traffic import MINUTE_MS, TrafficLog
from appliance.core.clock import Clock
from appliance.core.units import UtcMs
from appliance.domain.governor.readings import Readings

BUCKET_MS = 300_000
KEEP_BUCKETS = 32 * 24 * 12
MOST_DECISIONS = 10_000
"""Enough for 32 days, even where the limits change a dozen times an hour."""

Span = Literal["hour", "day", "month"]
SPANS: Mapping[Span, tuple[int, int]] = {"hour": (12, 1), "day": (288, 1), "month": (360, 24)}
"""Span -> (points, buckets in each)."""


@dataclass(frozen=True, slots=True)
class _Reading:
    """Readings of five minutes, or of several times that; None: nothing was read."""

    temperature: int | None = None
    disk_temperature: int | None = None
    io: int | None = None
    memory: int | None = None
    latency: int = 0
    """Sum of `latencies` readings."""
    latencies: int = 0
    watts: int = 0
    wattages: int = 0
    upload: int | None = None
    """The least limit; 0: none."""

    def plus(self, later: "_Reading") -> "_Reading":
        """What both have read."""
        return _Reading(
            _most(self.temperature, later.temperature),
            _most(self.disk_temperature, later.disk_temperature),
            _most(self.io, later.io),
            _most(self.memory, later.memory),
            self.latency + later.latency,
            self.latencies + later.latencies,
            self.watts + later.watts,
            self.wattages + later.wattages,
            _least(self.upload, later.upload),
        )


def _most(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


def _least(one: int | None, other: int | None) -> int | None:
    """The lower limit; 0 is none, and so higher than any."""
    if not one:
        return one if other is None else other
    return min(one, other) if other else one


_TABLE = SeriesTable(
    name="reading",
    key="bucket",
    columns=(
        "temperature",
        "disk_temperature",
        "io",
        "memory",
        "latency",
        "latencies",
        "watts",
        "wattages",
        "upload",
    ),
    span_ms=BUCKET_MS,
    keep=KEEP_BUCKETS,
    make=_Reading,
    values=astuple,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Readings over time, oldest first, one a point of `step_s` seconds; None where nothing was read.

    Units and meaning are those of control/machine.py `History`.
    """

    start: int
    step_s: int
    temperature: list[int | None]
    disk_temperature: list[int | None]
    io: list[int | None]
    memory: list[int | None]
    latency: list[int | None]
    watts: list[int | None]
    up: list[int]
    limit: list[int | None]


class ReadingLog:
    """Readings over time; written in batches, as they are for looking at only."""

    def __init__(self, database: Database, clock: Clock, traffic: TrafficLog) -> None:
        self._clock = clock
        self._traffic = traffic
        self._series = Series(database, clock, _TABLE)

    def add(self, readings: Readings, watts_mw: int | None, upload_limit: int) -> None:
        """Take one reading.

        `watts_mw` is what the box takes, measured or by a model; `upload_limit` is the one in force, bytes a
        second, 0: none.
        """
        disks = [disk.temperature_mc for disk in readings.disks if disk.temperature_mc is not None]
        latency = readings.latency_us
        one = _Reading(
            readings.temperature_mc,
            max(disks, default=None),
            readings.io.some10 if readings.io else None,
            readings.memory.some10 if readings.memory else None,
            latency or 0,
            int(latency is not None),
            watts_mw or 0,
            int(watts_mw is not None),
            upload_limit,
        )
        self._series.add(one)

    async def flush(self) -> None:
        """Write what is new. Raises RetryLater; it is kept for the next time then."""
        await self._series.flush()

    async def history(self, span: Span) -> Past:
        """Readings of the last hour, day or month, up to this moment."""
        count, each = SPANS[span]
        _, up, _ = await self._traffic.buckets(count, each * BUCKET_MS // MINUTE_MS)
        start, points = await self._series.last(count, each)
        step_s = each * BUCKET_MS // 1_000
        # The last point is still filling: its mean is over the time that has passed of it.
        passed = (self._clock.now() - start) // 1_000 - (count - 1) * step_s
        spans = [step_s] * (count - 1) + [max(1, min(step_s, passed))]
        return Past(
            start=start,
            step_s=step_s,
            temperature=[point.temperature for point in points],
            disk_temperature=[point.disk_temperature for point in points],
            io=[point.io for point in points],
            memory=[point.memory for point in points],
            latency=[_mean(point.latency, point.latencies) for point in points],
            watts=[_mean(point.watts, point.wattages) for point in points],
            up=[sent // seconds for sent, seconds in zip(up, spans, strict=True)],
            limit=[point.upload for point in points],
        )


def _mean(total: int, count: int) -> int | None:
    return total // count if count else None


# ------------------------------------------------------------------------------------------- decisions


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A change of the limits by the governor."""

    id: int
    rule: str
    says: str
    at: UtcMs
    until: UtcMs
    """0: it still holds."""


class DecisionLog:
    """What the governor did, and why; written in batches."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """What held when the last process ended is taken to have ended with its last reading."""
        self._database = database
        self._clock = clock
        now = clock.now()
        self._next = database.run_now(lambda db: _close(db, now)) + 1
        self._holding: dict[str, DecisionRecord] = {}
        self._fresh: dict[int, DecisionRecord] = {}
        """Not written yet, as they are now."""

    def hold(self, eases: Iterable[tuple[str, str]]) -> None:
        """All (rule, sentence) that hold now; others have ended, and another sentence is another decision."""
        now = self._clock.now()
        current = dict(eases)
        for rule, one in list(self._holding.items()):
            if current.get(rule) != one.says:
                ended = DecisionRecord(one.id, one.rule, one.says, one.at, max(now, one.at))
                self._fresh[one.id] = ended
                del self._holding[rule]
        for rule, says in current.items():
            if rule not in self._holding:
                begun = DecisionRecord(self._next, rule, says, now, UtcMs(0))
                self._next += 1
                self._holding[rule] = self._fresh[begun.id] = begun

    async def flush(self) -> None:
        """Write what is new. Raises RetryLater; it is kept for the next time then."""
        fresh = dict(self._fresh)
        if not fresh:
            return
        rows = [(one.id, one.rule, one.says, one.at, one.until) for one in fresh.values()]

        def work(db: sqlite3.Connection) -> None:
            db.executemany("INSERT OR REPLACE INTO decision VALUES (?, ?, ?, ?, ?)", rows)
            db.execute("DELETE FROM decision WHERE id <= ?", (max(fresh) - MOST_DECISIONS,))

        await self._database.run(work)
        self._fresh = {id: one for id, one in self._fresh.items() if fresh.get(id) != one}

    async def since(self, start: UtcMs) -> list[DecisionRecord]:
        """All that held at some time since `start`, newest first."""
        rows = await self._database.run(
            lambda db: db.execute(
                "SELECT id, rule, says, at, until FROM decision WHERE until = 0 OR until >= ?", (start,)
            ).fetchall()
        )
        found = {row[0]: DecisionRecord(*row) for row in rows} | self._fresh
        return sorted(
            (one for one in found.values() if not one.until or one.until >= start),
            key=lambda one: -one.id,
        )


def _close(db: sqlite3.Connection, now: UtcMs) -> int:
    """End what no running governor holds; returns the last id."""
    newest = db.execute("SELECT max(bucket) FROM reading").fetchone()[0]
    seen = min(now, (newest + 1) * BUCKET_MS) if newest is not None else 0
    db.execute("UPDATE decision SET until = max(at, ?) WHERE until = 0", (seen,))
    return int(db.execute("SELECT coalesce(max(id), 0) FROM decision").fetchone()[0])
