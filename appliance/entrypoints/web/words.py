"""Names and numbers as the pages show them: the Jinja filters."""

import time
from collections.abc import Iterator
from urllib.parse import quote

from flask import Flask

from appliance.control.torrents import Goal, GoalKind, TorrentDetail, TorrentRow, TorrentState
from appliance.core.units import MicroBtt, plural, show_btt, show_bytes, show_price, show_rate, show_span

_WHOLE_PPM = 1_000_000
STATES: dict[str, str] = {
    TorrentState.ADDING: "fetching metadata",
    TorrentState.CHECKING: "checking",
    TorrentState.DOWNLOADING: "downloading",
    TorrentState.SEEDING: "seeding",
    TorrentState.PAUSED: "paused",
    TorrentState.THROTTLED: "held back",
    TorrentState.MISSING_DATA: "missing data",
    TorrentState.FAILED: "error",
}


def add_filters(app: Flask) -> None:
    """Let the templates of `app` write numbers and states for people."""
    app.jinja_env.filters.update(
        bytes=show_bytes,
        rate=show_rate,
        btt=btt,
        digits=show_btt,
        price=show_price,
        span=show_span,
        plural=plural,
        percent=percent,
        ratio=ratio,
        state=state,
        goal=goal,
        when=when,
        ago=ago,
    )


def state(name: str) -> str:
    """The state of a torrent in words; one of a newer daemon stays as it is, without its hyphens."""
    return STATES.get(name, name.replace("-", " "))


def goal(wanted: Goal) -> str:
    """How long a torrent is seeded: `until ratio 2`, `for 30 days`."""
    if wanted.kind is GoalKind.RATIO:
        return f"until ratio {wanted.ratio_percent / 100:g}"
    if wanted.kind is GoalKind.FOREVER:
        return "forever"
    whole_days = wanted.hours % 24 == 0
    return f"for {plural(wanted.hours // 24, 'day') if whole_days else plural(wanted.hours, 'hour')}"


def btt(amount: MicroBtt) -> str:
    """An amount exactly, with thousands separated: `1,178.567778`."""
    whole, point, part = show_btt(amount).partition(".")
    sign, digits = whole[: whole.startswith("-")], whole.removeprefix("-")
    return f"{sign}{int(digits):,}{point}{part}"


def percent(ppm: int) -> str:
    """Progress in percent; only what is whole is `0` or `100`."""
    return f"{ppm // 1_000 / 10:.1f}" if 0 < ppm < _WHOLE_PPM else str(ppm // 10_000)


def ratio(row: TorrentRow) -> str:
    """Uploaded bytes per byte of the torrent; a dash while its size is unknown."""
    return f"{row.uploaded / row.size:.2f}" if row.size else "–"


def when(at: int) -> str:
    """A time (UtcMs) by the box's clock: `2026-11-21 17:30`."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at / 1_000))


def ago(at: int, now: int) -> str:
    """How long before `now` a time was (both UtcMs): `3 min ago`."""
    return f"{show_span(max(0, now - at) // 1_000)} ago"


def magnet_link(detail: TorrentDetail) -> str:
    """The torrent's magnet link (BEP 9, BEP 52), made from its info-hashes while the engine has none.

    A private one has none: only its file names the tracker that knows its peers.
    """
    if detail.private:
        return ""
    if detail.magnet:
        return detail.magnet
    trackers = [f"tr={quote(one.url, safe='')}" for one in detail.trackers]
    named = f"dn={quote(detail.row.name, safe='')}"
    return "magnet:?" + "&".join([*_topics(detail), named, *trackers])


def _topics(detail: TorrentDetail) -> Iterator[str]:
    if detail.v1:
        yield f"xt=urn:btih:{detail.v1}"
    if detail.v2:
        yield f"xt=urn:btmh:1220{detail.v2}"
