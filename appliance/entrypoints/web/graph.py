"""Graphs as SVG, drawn on the box, so that the browser needs no script and no library."""

import time
from collections.abc import Callable, Sequence
from datetime import date

from markupsafe import Markup, escape

from appliance.control.box import Traffic
from appliance.core.units import show_rate

WIDTH, HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 100, 8, 14, 26
_STEPS = (1, 2, 5)


def graph(traffic: Traffic, span: str) -> Markup:
    """The traffic graph: both rates over time, with a readable scale."""
    top = scale_top(max([*traffic.up, *traffic.down, 1]))
    parts = [*_grid(top, show_rate), *_times(traffic.start, traffic.step_s, len(traffic.up), span)]
    parts += [_area(traffic.up, top), _line(traffic.down, top, "down"), _line(traffic.up, top, "up")]
    latest = f"Now {show_rate(traffic.up[-1])} up, {show_rate(traffic.down[-1])} down." if traffic.up else ""
    highest = f"Highest: {show_rate(max(traffic.up, default=0))} up."
    label = escape(f"Traffic over the last {span}. {latest} {highest}")
    body = "".join(parts)
    return Markup(  # noqa: S704  numbers and our own words, the label escaped
        f'<svg class="graph" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{body}</svg>'
    )


def scale_top(value: int) -> int:
    """A round number of bytes per second, at or a little above `value`."""
    unit = 1024
    while unit * 1000 < value:
        unit *= 1024
    size = 1
    while True:
        for step in _STEPS:
            if unit * step * size >= value:
                return unit * step * size
        size *= 10


def _x(index: int, count: int) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * index / max(1, count - 1)


def _y(value: float, top: int) -> float:
    return _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - min(1.0, value / top))


def _points(values: Sequence[int], top: int) -> str:
    return " ".join(f"{_x(i, len(values)):.1f},{_y(value, top):.1f}" for i, value in enumerate(values))


def _line(values: Sequence[int], top: int, kind: str) -> str:
    return f'<polyline class="{kind}" points="{_points(values, top)}"/>'


def _area(values: Sequence[int], top: int) -> str:
    base = HEIGHT - _BOTTOM
    ends = f"{_x(len(values) - 1, len(values)):.1f},{base} {_LEFT},{base}"
    return f'<polygon class="area" points="{_points(values, top)} {ends}"/>'


def _grid(top: int, form: Callable[[int], str]) -> list[str]:
    parts = []
    for quarter in range(0, 5, 2):
        y = _y(top * quarter / 4, top)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        text = form(top * quarter // 4) if quarter else "0"
        parts.append(f'<text class="scale" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return parts


def _times(start: int, step_s: int, count: int, span: str) -> list[str]:
    form = {"hour": "%H:%M", "day": "%H:%M", "month": "%-d %b"}[span]
    parts = []
    for mark in range(5):
        index = round((count - 1) * mark / 4)
        at = time.localtime(start / 1000 + index * step_s)
        anchor = "start" if mark == 0 else "end" if mark == 4 else "middle"
        x, y = _x(index, count), HEIGHT - 6
        parts.append(
            f'<text class="scale" x="{x:.1f}" y="{y}" text-anchor="{anchor}">{time.strftime(form, at)}</text>'
        )
    return parts


def chart(
    values: Sequence[int], start: int, step_s: int, span: str, label: str, form: Callable[[int], str]
) -> Markup:
    """Amounts over time as bars, or a short note where there are none; `form` writes an amount for people."""
    if not any(values):
        return Markup('<p class="quiet">No data yet.</p>')
    top = round_top(max([*values, 4]))
    parts = [*_grid(top, form), *_times(start, step_s, len(values), span)]
    width = (WIDTH - _LEFT - _RIGHT) / max(1, len(values))
    base = HEIGHT - _BOTTOM
    for index, value in enumerate(values):
        if value:
            y = min(base - 1.0, _y(value, top))
            x = _LEFT + width * (index + 0.1)
            parts.append(
                f'<rect class="earned" x="{x:.1f}" y="{y:.1f}" width="{width * 0.8:.1f}" '
                f'height="{base - y:.1f}"><title>{escape(form(value))}</title></rect>'
            )
    body = "".join(parts)
    return Markup(  # noqa: S704  numbers and our own words, the label escaped
        f'<svg class="graph" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(label)}">{body}</svg>'
    )


def round_top(value: int) -> int:
    """The smallest of 1, 2 or 5 times a power of ten that is at least `value`."""
    size = 1
    while True:
        for step in _STEPS:
            if step * size >= value:
                return step * size
        size *= 10


def short_day(day: date) -> str:
    """A day below a graph: `3 Nov`."""
    return day.strftime("%-d %b")


def pieces(buckets: Sequence[int]) -> Markup:
    """The pieces that the box has, as one stripe: the darker, the more of a bucket."""
    bars = "".join(
        f'<rect x="{index}" y="0" width="1" height="10" class="piece p{share // 25}"/>'
        for index, share in enumerate(buckets)
        if share
    )
    return Markup(  # noqa: S704  numbers only
        f'<svg class="pieces" viewBox="0 0 {max(1, len(buckets))} 10" preserveAspectRatio="none" role="img" '
        f'aria-label="Pieces the box has">{bars}</svg>'
    )
