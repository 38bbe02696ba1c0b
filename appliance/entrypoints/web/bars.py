"""Earned and spent, a pair of bars a day, as SVG."""

from collections.abc import Sequence
from datetime import date, timedelta

from markupsafe import Markup, escape

from appliance.control.money import Total
from appliance.core.units import MicroBtt, show_btt
from appliance.entrypoints.web.graph import round_top

WIDTH, HEIGHT = 720, 200
_LEFT, _RIGHT, _TOP, _BOTTOM = 100, 8, 14, 26


def bars(totals: Sequence[Total], today: str, days: int) -> Markup:
    """The days up to `today` (`2026-11-21`), the oldest first; a day without money is a gap."""
    known = {one.heading: one for one in totals}
    last = date.fromisoformat(today)
    names = [(last - timedelta(days=back)).isoformat() for back in reversed(range(days))]
    shown = [known.get(name, Total(heading=name, earned=0, spent=0)) for name in names]
    if not any(one.earned or one.spent for one in shown):
        return Markup('<p class="quiet">Nothing was earned or spent.</p>')
    top = round_top(max([4, *(max(one.earned, one.spent) for one in shown)]))
    width = (WIDTH - _LEFT - _RIGHT) / days
    parts = _grid(top) + _names(names, width)
    for index, one in enumerate(shown):
        for side, (kind, amount) in enumerate((("earned", one.earned), ("spent", one.spent))):
            if amount:
                high = max(1.0, (HEIGHT - _TOP - _BOTTOM) * amount / top)
                x = _LEFT + width * (index + 0.1 + 0.4 * side)
                said = escape(f"{one.heading}: {show_btt(MicroBtt(amount))} BTT {kind}")
                parts.append(
                    f'<rect class="{kind}" x="{x:.1f}" y="{HEIGHT - _BOTTOM - high:.1f}" '
                    f'width="{width * 0.4:.1f}" height="{high:.1f}"><title>{said}</title></rect>'
                )
    sums = (MicroBtt(sum(one.earned for one in shown)), MicroBtt(sum(one.spent for one in shown)))
    label = f"In {days} days {show_btt(sums[0])} BTT were earned and {show_btt(sums[1])} BTT spent."
    return Markup(  # noqa: S704  numbers and our own words
        f'<svg class="graph bars" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
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
        _, month, day = names[index].split("-")
        parts.append(
            f'<text class="scale" x="{x:.1f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{day}.{month}.</text>'
        )
    return parts
