"""What people type: rates, goals, names of torrents; and what they read: tables and times."""

import re
import shutil
import time
from collections.abc import Sequence

import click
from click.shell_completion import CompletionItem

from appliance.control.client import ControlClient
from appliance.control.torrents import Goal, GoalKind, ListTorrents, State, TorrentRow
from appliance.core.errors import NotFound, OwnerMustAct, SeedboxError
from appliance.core.state import StateFolder, default_state
from appliance.core.units import KIB, MIB, show_bytes, show_rate
from appliance.entrypoints.cli.context import App

_UNITS = {"": 1, "b": 1, "k": KIB, "kb": KIB, "kib": KIB, "m": MIB, "mb": MIB, "mib": MIB}
COLOURS = {
    State.SEEDING: "green",
    State.DOWNLOADING: "cyan",
    State.CHECKING: "blue",
    State.ADDING: "blue",
    State.MISSING_DATA: "yellow",
    State.THROTTLED: "yellow",
    State.FAILED: "red",
}


class Rate(click.ParamType[int]):
    """`500KiB`, `2MiB`, `0` or `unlimited`: bytes per second."""

    name = "rate"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes per second."""
        if isinstance(value, int):
            return value
        text = str(value).strip().lower().removesuffix("/s")
        if text in ("unlimited", "none", "off"):
            return 0
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text)
        if not found or found.group(2) not in _UNITS:
            self.fail(f'"{value}" is no rate; write 500KiB, 2MiB or unlimited (per second).', param, ctx)
        return round(float(found.group(1)) * _UNITS[found.group(2)])


class GoalParam(click.ParamType[Goal]):
    """`forever`, `ratio:2.0` or `time:30d`."""

    name = "goal"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Goal:
        """A goal."""
        if isinstance(value, Goal):
            return value
        text = str(value).strip().lower()
        try:
            if text == "forever":
                return Goal()
            if found := re.fullmatch(r"ratio:(\d+(?:\.\d+)?)", text):
                return Goal(GoalKind.RATIO, ratio_percent=round(float(found.group(1)) * 100))
            if found := re.fullmatch(r"time:(\d+)([hd])", text):
                return Goal(GoalKind.TIME, hours=int(found.group(1)) * (24 if found.group(2) == "d" else 1))
        except OwnerMustAct as error:
            self.fail(str(error), param, ctx)
        return self.fail(f'"{value}" is no goal; write forever, ratio:2.0 or time:30d.', param, ctx)


class TorrentName(click.ParamType[str]):
    """An id, the beginning of one, or a part of the name that only one torrent has."""

    name = "torrent"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Ids and names that begin so; nothing where no daemon answers."""
        # While a shell completes, no command runs, and so there is no App yet.
        state = StateFolder((ctx.find_root().params.get("state") or default_state()).absolute())
        try:
            with ControlClient(state.control_socket, timeout=2) as box:
                rows = box.call(ListTorrents(text=incomplete, count=100)).rows
        except SeedboxError:
            return []
        return [CompletionItem(row.id[:12], help=row.name) for row in rows]


RATE, GOAL, TORRENT = Rate(), GoalParam(), TorrentName()


def find(app: App, name: str) -> str:
    """The id of the torrent that is meant. Raises NotFound, OwnerMustAct with the candidates."""
    if re.fullmatch(r"[0-9a-fA-F]{40}", name):
        return name.lower()
    page = app.box.call(ListTorrents(text=name, count=20))
    exact = [row for row in page.rows if row.name == name]
    if len(exact) == 1 or page.matched == 1:
        return (exact or page.rows)[0].id
    if not page.matched:
        raise NotFound(f'No torrent here is called "{name}", or has an id that begins so. See: seedbox list')
    shown = ", ".join(f"{row.id[:8]} ({row.name})" for row in page.rows[:5])
    raise OwnerMustAct(f'"{name}" fits {page.matched} torrents: {shown}. Give more of the name, or the id.')


def find_all(app: App, names: Sequence[str]) -> list[str]:
    """The ids of several; `all` means every torrent."""
    return ["all"] if tuple(names) == ("all",) else [find(app, name) for name in names]


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, wide: int, right: str = "") -> list[str]:
    """Lines of a table that fits the terminal: the column `wide` gives way. `right`: columns set right."""
    widths = [max(len(row[index]) for row in [head, *rows]) for index in range(len(head))]
    room = shutil.get_terminal_size((100, 24)).columns - sum(widths) + widths[wide] - 2 * (len(head) - 1)
    widths[wide] = max(12, min(widths[wide], room))
    lines = []
    for number, row in enumerate([head, *rows]):
        cells = [
            _fit(cell, width, right=str(index) in right)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        line = "  ".join(cells).rstrip()
        lines.append(click.style(line, bold=True) if number == 0 else line)
    return lines


def _fit(cell: str, width: int, *, right: bool) -> str:
    text = cell if len(cell) <= width else cell[: width - 1] + "…"
    return text.rjust(width) if right else text.ljust(width)


def torrent_table(rows: Sequence[TorrentRow]) -> list[str]:
    """The list of torrents, for people."""
    cells = [
        [
            row.id[:8],
            row.name,
            row.state.value,
            f"{row.progress / 10_000:.0f} %",
            show_bytes(row.size),
            show_rate(row.up_rate) if row.up_rate else "-",
            show_rate(row.down_rate) if row.down_rate else "-",
            ratio(row),
        ]
        for row in rows
    ]
    lines = table(
        ["ID", "NAME", "STATE", "DONE", "SIZE", "UP", "DOWN", "RATIO"], cells, wide=1, right="34567"
    )
    coloured = [lines[0]]
    for line, row in zip(lines[1:], rows, strict=True):
        word = row.state.value
        coloured.append(line.replace(f" {word}", " " + click.style(word, fg=COLOURS.get(row.state)), 1))
    return coloured


def ratio(row: TorrentRow) -> str:
    """Payload sent for each byte of the torrent."""
    return f"{row.uploaded / row.size:.2f}" if row.size else "-"


def when(at: int) -> str:
    """A time for people, in their own zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at / 1_000))
