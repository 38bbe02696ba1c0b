"""Readings over time as SVG: lines with gaps, thresholds, and throttling as numbered bands."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from markupsafe import Markup, escape

from appliance.control.box import Span
from appliance.entrypoints.web.decisions import Band, words

WIDTH, HEIGHT = 480, 200
"""Size of the drawing, small enough to keep its text readable on a phone."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 8, 38, 26
_LABEL = 22
"""Width of a band's number."""
_ROW, _MOST_ROWS = 15, 2
"""Height of a row of numbers."""
_TICKS = {"hour": (15, "%H:%M"), "day": (4 * 60, "%H:%M"), "month": (7 * 24 * 60, "%-d %b")}
"""Minutes between the times below a graph, counted from midnight, and their format."""

Value = int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One reading over time."""

    name: str
    values: Sequence[Value]
    """One per bucket; None leaves a gap in the line."""
    kind: Literal["up", "down", "limit"] = "up"
    """Its colour; a limit is drawn in steps."""

    @property
    def read(self) -> bool:
        """Whether anything was read."""
        return any(value is not None for value in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A threshold, drawn as a horizontal line."""

    value: int
    name: str
    hard: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeAxis:
    """The time that the graphs of a page cover, and when the box was throttled in it."""

    start: int
    """UtcMs."""
    step_s: int
    count: int
    """Buckets."""
    span: Span
    bands: tuple[Band, ...] = ()

    @property
    def end(self) -> int:
        """UtcMs."""
        return self.start + self.count * self.step_s * 1_000

    def x(self, at: float) -> float:
        """The place of a time (UtcMs), at the edge if it is outside."""
        share = (at - self.start) / max(1, self.end - self.start)
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * min(1.0, max(0.0, share))

    def bucket(self, index: float) -> float:
        """The place where a bucket begins, counted from 0; add 0.5 for its middle."""
        return self.x(self.start + index * self.step_s * 1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ValueAxis:
    """The values at the lower and the upper edge, and how to write one for people."""

    least: int = 0
    most: int
    form: Callable[[int], str]

    def y(self, value: float) -> float:
        """The place of a value, at the edge if it is outside."""
        share = (value - self.least) / max(1, self.most - self.least)
        return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - min(1.0, max(0.0, share)))


def plot(
    title: str, lines: Sequence[Curve], marks: Sequence[Threshold], time: TimeAxis, scale: ValueAxis
) -> Markup:
    """Draw the graph; screen readers get `title` and a summary."""
    numbers = _numbers(time.bands, time)
    top = _TOP - _ROW * (1 + max((row for _, _, row in numbers), default=-1)) - 8
    parts = [*_bands(time), *_grid(scale), *_ticks(time), *_strokes(marks, scale)]
    for line in lines:
        parts += _steps(line, time, scale) if line.kind == "limit" else _curve(line, time, scale)
    parts += [
        _text((x, _TOP - 4 - _ROW * row), "middle", str(number), "number") for number, x, row in numbers
    ]
    parts += _names(marks, scale)
    label, body = escape(summary(title, lines, time, scale)), "".join(parts)
    return Markup(  # noqa: S704  numbers and our own words, the label and the titles escaped
        f'<svg class="graph plot" viewBox="0 {top} {WIDTH} {HEIGHT - top}" role="img" '
        f'aria-label="{label}">{body}</svg>'
    )


def summary(title: str, lines: Sequence[Curve], time: TimeAxis, scale: ValueAxis) -> str:
    """The graph in words."""
    parts = [f"{title} over the last {time.span}."]
    for line in lines:
        known = [value for value in line.values if value is not None]
        if known:
            parts.append(f"{line.name}: latest {scale.form(known[-1])}, {_between(known, scale)}.")
    if time.bands:
        parts.append(f"Throttled {_times(len(time.bands))}, as listed below the graphs.")
    return " ".join(parts)


def _between(known: list[int], scale: ValueAxis) -> str:
    low, high = scale.form(min(known)), scale.form(max(known))
    return f"always {low}" if low == high else f"between {low} and {high}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def runs(values: Sequence[Value]) -> Iterator[tuple[int, list[int]]]:
    """The stretches without a gap, each with its first index."""
    run: list[int] = []
    for index, value in enumerate([*values, None]):
        if value is not None:
            run.append(value)
        elif run:
            yield index - len(run), run
            run = []


def _curve(line: Curve, time: TimeAxis, scale: ValueAxis) -> Iterator[str]:
    base = HEIGHT - _BOTTOM
    for first, run in runs(line.values):
        places = [(time.bucket(first + i + 0.5), scale.y(value)) for i, value in enumerate(run)]
        if len(run) == 1:
            # A line of one point would not be seen.
            places = [(time.bucket(first), places[0][1]), (time.bucket(first + 1), places[0][1])]
        points = _points(places)
        if line.kind == "up":
            ends = f"{places[-1][0]:.1f},{base} {places[0][0]:.1f},{base}"
            yield f'<polygon class="area" points="{points} {ends}"/>'
        yield f'<polyline class="{line.kind}" points="{points}"/>'


def _steps(line: Curve, time: TimeAxis, scale: ValueAxis) -> Iterator[str]:
    for first, run in runs(_up_to(scale.most, line.values)):
        places = []
        for i, value in enumerate(run):
            y = scale.y(value)
            places += [(time.bucket(first + i), y), (time.bucket(first + i + 1), y)]
        yield f'<polyline class="limit" points="{_points(places)}"/>'


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _strokes(marks: Sequence[Threshold], scale: ValueAxis) -> Iterator[str]:
    for mark in marks:
        y, kind = scale.y(mark.value), "hard" if mark.hard else "ease"
        yield _stroke(f"mark {kind}", (_LEFT, y), (WIDTH - _RIGHT, y))


def _up_to(most: int, values: Sequence[int | None]) -> list[int | None]:
    """The values, without those that would be drawn above the graph."""
    return [value if value is None or value <= most else None for value in values]


def _names(marks: Sequence[Threshold], scale: ValueAxis) -> Iterator[str]:
    """The names of the thresholds: the highest above its line, the others below, as they may be close."""
    highest = max((mark.value for mark in marks), default=0)
    for mark in marks:
        y, kind = scale.y(mark.value), "hard" if mark.hard else "ease"
        yield _text((_LEFT + 4, y - 4 if mark.value == highest else y + 13), "start", mark.name, kind)


def _numbers(bands: Sequence[Band], time: TimeAxis) -> list[tuple[int, float, int]]:
    """The numbers above the bands, as (number, place, row).

    A number that would cover a newer one moves up a row, and is left out if there is no room there either.
    """
    found: list[tuple[int, float, int]] = []
    for band in sorted(bands, key=lambda band: band.number):
        middle = (time.x(band.start) + time.x(band.end)) / 2
        middle = min(max(middle, _LEFT + _LABEL / 2), WIDTH - _RIGHT - _LABEL / 2)
        row = next((row for row in range(_MOST_ROWS) if _is_free(row, middle, found)), None)
        if row is not None:
            found.append((band.number, middle, row))
    return found


def _is_free(row: int, middle: float, taken: list[tuple[int, float, int]]) -> bool:
    return all(abs(middle - x) >= _LABEL for _, x, other in taken if other == row)


def _bands(time: TimeAxis) -> Iterator[str]:
    for band in time.bands:
        width = max(2.0, time.x(band.end) - time.x(band.start))
        left = min(time.x(band.start), WIDTH - _RIGHT - width)
        said = escape(f"{band.number}: {words(band, time.end)}: {band.says}")
        yield (
            f'<rect class="band" x="{left:.1f}" y="{_TOP}" width="{width:.1f}" '
            f'height="{HEIGHT - _TOP - _BOTTOM}"><title>{said}</title></rect>'
        )


def _grid(scale: ValueAxis) -> Iterator[str]:
    for part in (0, 1, 2):
        value = scale.least + (scale.most - scale.least) * part // 2
        y = scale.y(value)
        yield _stroke("grid", (_LEFT, y), (WIDTH - _RIGHT, y))
        yield _text((_LEFT - 6, y + 4), "end", scale.form(value))


def _ticks(time: TimeAxis) -> Iterator[str]:
    """Round times by the owner's clock, not by the buckets: full hours, and days at midnight."""
    minutes, form = _TICKS[time.span]
    at = datetime.fromtimestamp(time.start / 1_000).replace(hour=0, minute=0, second=0, microsecond=0)
    base = HEIGHT - _BOTTOM
    while (now := at.timestamp() * 1_000) <= time.end:
        if now >= time.start:
            x = time.x(now)
            yield _stroke("grid", (x, base), (x, base + 4))
            yield _text((x, HEIGHT - 6), "middle", at.strftime(form))
        at += timedelta(minutes=minutes)


def _stroke(kind: str, first: tuple[float, float], last: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = first, last
    return f'<line class="{kind}" x1="{x1:.1f}" x2="{x2:.1f}" y1="{y1:.1f}" y2="{y2:.1f}"/>'


def _text(at: tuple[float, float], anchor: str, said: str, kind: str = "") -> str:
    name = f"scale {kind}".strip()
    return (
        f'<text class="{name}" x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}">{escape(said)}</text>'
    )
