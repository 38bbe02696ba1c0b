"""What people read: tables, facts, times, rates and states."""

import shutil
import time
from collections.abc import Sequence

import click

from appliance.control.torrents import TorrentRow, TorrentState
from appliance.core.units import MicroBtt, MicroBttPerMib, show_btt, show_bytes, show_price, show_rate

COLOURS = {
    TorrentState.SEEDING: "green",
    TorrentState.DOWNLOADING: "cyan",
    TorrentState.CHECKING: "blue",
    TorrentState.ADDING: "blue",
    TorrentState.MISSING_DATA: "yellow",
    TorrentState.THROTTLED: "yellow",
    TorrentState.FAILED: "red",
}
_STATES = {
    TorrentState.ADDING.value: "fetching metadata",
    TorrentState.THROTTLED.value: "held back",
    TorrentState.MISSING_DATA.value: "missing data",
}


def state_name(state: str) -> str:
    """A torrent's state for people."""
    return _STATES.get(state, state)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, wide: int, right: str = "") -> list[str]:
    """Lines of a table that fits the terminal: the column `wide` gives way. `right`: columns set right."""
    widths = [max(len(row[index]) for row in [head, *rows]) for index in range(len(head))]
    room = shutil.get_terminal_size((100, 24)).columns - sum(widths) + widths[wide] - 2 * (len(head) - 1)
    widths[wide] = max(12, min(widths[wide], room))
    first, *others = [_line(row, widths, right) for row in [head, *rows]]
    return [click.style(first, bold=True), *others]


def _line(row: Sequence[str], widths: Sequence[int], right: str) -> str:
    cells = [
        _fit(cell, width, right=str(index) in right)
        for index, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def _fit(cell: str, width: int, *, right: bool) -> str:
    text = cell if len(cell) <= width else cell[: width - 1] + "…"
    return text.rjust(width) if right else text.ljust(width)


def facts(pairs: Sequence[tuple[str, str]]) -> list[str]:
    """A line for each fact, its name in bold; facts without a text are left out."""
    shown = [(name, text) for name, text in pairs if text]
    width = max((len(name) for name, _ in shown), default=0) + 2
    return [f"{click.style(f'{name:<{width}}', bold=True)}{text}" for name, text in shown]


def torrent_table(rows: Sequence[TorrentRow]) -> list[str]:
    """The list of torrents, for people."""
    head = ["ID", "NAME", "STATE", "DONE", "SIZE", "UP", "DOWN", "RATIO"]
    first, *lines = table(head, [_cells(row) for row in rows], wide=1, right="34567")
    return [first, *(_coloured(line, row.state) for line, row in zip(lines, rows, strict=True))]


def _cells(row: TorrentRow) -> list[str]:
    return [
        row.id[:8],
        row.name,
        state_name(row.state),
        percent(row.progress),
        show_bytes(row.size),
        show_rate(row.up_rate) if row.up_rate else "-",
        show_rate(row.down_rate) if row.down_rate else "-",
        ratio(row),
    ]


def _coloured(line: str, state: TorrentState) -> str:
    name = state_name(state)
    return line.replace(f"  {name}", "  " + click.style(name, fg=COLOURS.get(state)), 1)


def ratio(row: TorrentRow) -> str:
    """Payload sent for each byte of the torrent."""
    return f"{row.uploaded / row.size:.2f}" if row.size else "-"


def percent(ppm: int) -> str:
    """A share for people: `42 %`."""
    return f"{ppm / 10_000:.0f} %"


def when(at: int) -> str:
    """A time for people, in their own time zone, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at / 1_000))


def minute(at: int) -> str:
    """A time for people, in their own time zone, to the minute."""
    return when(at)[:16]


def rate_limit(limit: int) -> str:
    """A limit in bytes per second for people; 0 is `unlimited`."""
    return show_rate(limit) if limit else "unlimited"


def btt(amount: int) -> str:
    """Whole µBTT in BTT, without the unit."""
    return show_btt(MicroBtt(amount))


def price(amount: int) -> str:
    """Whole µBTT/MiB in BTT/GiB, without the unit."""
    return show_price(MicroBttPerMib(amount))
