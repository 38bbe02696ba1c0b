"""Payload by the minute."""

from dataclasses import astuple, dataclass

from appliance.adapters.store.database import Database
from appliance.adapters.store.series import Series, SeriesTable
from appliance.core.clock import Clock
from appliance.core.units import UtcMs

MINUTE_MS = 60_000
KEEP_MINUTES = 32 * 24 * 60


@dataclass(frozen=True, slots=True)
class Payload:
    """Payload bytes."""

    up: int = 0
    down: int = 0

    def plus(self, later: "Payload") -> "Payload":
        """Both together."""
        return Payload(self.up + later.up, self.down + later.down)


_TABLE = SeriesTable(
    name="traffic",
    key="minute",
    columns=("up", "down"),
    span_ms=MINUTE_MS,
    keep=KEEP_MINUTES,
    make=Payload,
    values=astuple,
    adds_up=True,
)


class TrafficLog:
    """What was sent and received, for the page and for the month's cap."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._series = Series(database, clock, _TABLE)
        self._summed: tuple[tuple[int, int], Payload] | None = None
        """(first minute, minute after the last) and what was written of them, until more is."""

    def add(self, up: int, down: int) -> None:
        """Count payload bytes into the running minute."""
        if up or down:
            self._series.add(Payload(up, down))

    async def flush(self, *, all: bool = False) -> None:
        """Write the minutes that are over, and with `all` the running one. Raises RetryLater."""
        await self._series.flush(running=all)
        self._summed = None

    async def between(self, start: UtcMs, end: UtcMs) -> tuple[int, int]:
        """Bytes (up, down) of the minutes from `start` to before `end`, those not written yet too.

        Asked for again, the same span is not read anew until something was written.
        """
        first, after = start // MINUTE_MS, end // MINUTE_MS
        minutes = after - first
        if minutes <= 0:
            return 0, 0
        if self._summed is None or self._summed[0] != (first, after):
            (written,) = await self._series.written(first, 1, minutes)
            self._summed = ((first, after), written)
        (whole,) = self._series.with_unwritten([self._summed[1]], first, minutes)
        return whole.up, whole.down

    async def buckets(self, count: int, minutes: int) -> tuple[int, list[int], list[int]]:
        """(start as UtcMs, bytes up, bytes down) of the last `count` buckets of `minutes` minutes."""
        start, points = await self._series.last(count, minutes)
        return start, [one.up for one in points], [one.down for one in points]
