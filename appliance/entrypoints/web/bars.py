"""Earned and spent, a pair of bars per day, as SVG."""

from collections.abc import Sequence
from datetime import date, timedelta

from markupsafe import Markup, escape

from appliance.control.money import Total
from appliance.core.units import MicroBtt, plural, show_btt
from appliance.entrypoints.web.graph import round_top, short_day

WIDTH, HEIGHT = 720, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 100, 8, 14, 26


def bars(totals: Sequence[Total], today: str, days: int) -> Markup:
    """The chart of the days up to `today` (`2026-11-21`), oldest first; a day without money is a gap."""
    shown = _daily(totals, date.fromisoformat(today), days)
    earned, spent = [one.earned for one in shown], [one.spent for one in shown]
    if not any(earned + spent):
        return Markup('<p class="quiet">Nothing earned or spent.</p>')
    top = round_top(max(4, *earned, *spent))
    width = (WIDTH - _LEFT - _RIGHT) / days
    parts = _grid(top) + _names([one.heading for one in shown], width)
    for index, one in enumerate(shown):
        left = _LEFT + width * (index + 0.1)
        parts.append(_bar("earned", one.heading, one.earned, top, left, width * 0.4))
        parts.append(_bar("spent", one.heading, one.spent, top, left + width * 0.4, width * 0.4))
    gain, loss = show_btt(MicroBtt(sum(earned))), show_btt(MicroBtt(sum(spent)))
    label = escape(f"Earned {gain} BTT and spent {loss} BTT in the last {plural(days, 'day')}.")
    return Markup(  # noqa: S704  numbers and our own words
        f'<svg class="graph bars" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _daily(totals: Sequence[Total], last: date, days: int) -> list[Total]:
    """The totals of every day up to `last`, zero for days without money."""
    known = {one.heading: one for one in totals}
    names = [(last - timedelta(days=back)).isoformat() for back in reversed(range(days))]
    return [known.get(name, Total(heading=name, earned=0, spent=0)) for name in names]


def _bar(kind: str, day: str, amount: int, top: int, left: float, width: float) -> str:
    """One bar with its title; nothing for no money."""
    if not amount:
        return ""
    high = max(1.0, (HEIGHT - _TOP - _BOTTOM) * amount / top)
    title = escape(f"{day}: {show_btt(MicroBtt(amount))} BTT {kind}")
    return (
        f'<rect class="{kind}" x="{left:.1f}" y="{HEIGHT - _BOTTOM - high:.1f}" '
        f'width="{width:.1f}" height="{high:.1f}"><title>{title}</title></rect>'
    )


def _grid(top: int) -> list[str]:
    parts = []
    for quarter in (0, 2, 4):
        y = _TOP + (HEIGHT - _TOP - _BOTTOM) * (1 - quarter / 4)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        text = show_btt(MicroBtt(top * quarter // 4))
        parts.append(f'<text class="scale" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return parts


def _names(names: Sequence[str], width: float) -> list[str]:
    parts = []
    for mark in range(5):
        index = round((len(names) - 1) * mark / 4)
        x = _LEFT + width * (index + 0.5)
        anchor = "start" if mark == 0 else "end" if mark == 4 else "middle"
        name = short_day(date.fromisoformat(names[index]))
        parts.append(f'<text class="scale" x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{name}</text>')
    return parts
