"""What people type: rates, goals, prices, amounts, durations, and names of torrents."""

import re
from collections.abc import Callable, Sequence

import click
from click.shell_completion import CompletionItem

from appliance.control.client import ControlClient
from appliance.control.torrents import Goal, GoalKind, ListTorrents, TorrentPage
from appliance.core.errors import NotFound, OwnerMustAct, SeedboxError
from appliance.core.state import StateFolder, default_state
from appliance.core.units import KIB, MIB, parse_btt, parse_price
from appliance.entrypoints.cli.context import App

_BYTES = {"": 1, "b": 1, "k": KIB, "kb": KIB, "kib": KIB, "m": MIB, "mb": MIB, "mib": MIB}
_HOUR_MS = 3_600_000
_DURATIONS_MS = {"m": 60_000, "h": _HOUR_MS, "d": 24 * _HOUR_MS}


class Number(click.ParamType[int]):
    """A whole number that is typed in a form of its own, such as `2MiB`."""

    def __init__(self, name: str, parse: Callable[[str], int]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number; ends the command with a usage error where `value` is not one."""
        try:
            return value if isinstance(value, int) else self._parse(str(value).strip())
        except OwnerMustAct as error:
            return self.fail(str(error), param, ctx)


def parse_rate(text: str) -> int:
    """`500KiB`, `2MiB`, `0` or `unlimited` in bytes per second; 0 is unlimited. Raises OwnerMustAct."""
    word = text.lower().removesuffix("/s")
    if word in ("unlimited", "none", "off"):
        return 0
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", word)
    if not found or found[2] not in _BYTES:
        raise OwnerMustAct(f'"{text}" is not a valid rate. Use 500KiB, 2MiB (per second) or unlimited.')
    return round(float(found[1]) * _BYTES[found[2]])


def parse_duration(text: str) -> int:
    """`90m`, `2h` or `3d` in milliseconds. Raises OwnerMustAct."""
    found = re.fullmatch(r"(\d{1,5})([mhd])", text.lower())
    if not found or not int(found[1]):
        raise OwnerMustAct(f'"{text}" is not a valid duration. Use 90m, 2h or 3d.')
    return int(found[1]) * _DURATIONS_MS[found[2]]


def parse_duration_or_off(text: str) -> int:
    """A duration in milliseconds, or 0 for `off`. Raises OwnerMustAct."""
    return 0 if text == "off" else parse_duration(text)


def parse_goal(text: str) -> Goal:
    """`forever`, `ratio:2.0` or `time:30d`. Raises OwnerMustAct."""
    word = text.strip().lower()
    if word == "forever":
        return Goal()
    if found := re.fullmatch(r"ratio:(\d+(?:\.\d+)?)", word):
        return Goal(GoalKind.RATIO, ratio_percent=round(float(found[1]) * 100))
    if found := re.fullmatch(r"time:(\d+)([hd])", word):
        return Goal(GoalKind.TIME, hours=int(found[1]) * _DURATIONS_MS[found[2]] // _HOUR_MS)
    raise OwnerMustAct(f'"{text}" is not a valid goal. Use forever, ratio:2.0 or time:30d.')


class GoalParam(click.ParamType[Goal]):
    """`forever`, `ratio:2.0` or `time:30d`."""

    name = "goal"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Goal:
        """The goal; ends the command with a usage error where `value` is not one."""
        try:
            return value if isinstance(value, Goal) else parse_goal(str(value))
        except OwnerMustAct as error:
            return self.fail(str(error), param, ctx)


class TorrentName(click.ParamType[str]):
    """An id, the start of one, or a part of the name that only one torrent has."""

    name = "torrent"

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Ids and names that begin with what is typed; nothing if the daemon does not answer."""
        # While a shell completes, no command runs, and so there is no App yet.
        state = StateFolder((ctx.find_root().params.get("state") or default_state()).absolute())
        try:
            with ControlClient(state.control_socket, timeout=2) as box:
                rows = box.call(ListTorrents(text=incomplete, count=100)).rows
        except SeedboxError:
            return []
        return [CompletionItem(row.id[:12], help=row.name) for row in rows]


RATE = Number("rate", parse_rate)
PRICE = Number("btt/gib", parse_price)
AMOUNT = Number("btt", parse_btt)
DURATION = Number("duration", parse_duration)
DURATION_OR_OFF = Number("duration", parse_duration_or_off)
GOAL, TORRENT = GoalParam(), TorrentName()


def find(app: App, name: str) -> str:
    """The id of the torrent that is meant. Raises NotFound, OwnerMustAct with the candidates."""
    if re.fullmatch(r"[0-9a-fA-F]{40}", name):
        return name.lower()
    page = app.box.call(ListTorrents(text=name, count=20))
    exact = [row for row in page.rows if row.name == name]
    if len(exact) == 1:
        return exact[0].id
    if page.matched == 1:
        return page.rows[0].id
    raise _not_one(name, page)


def _not_one(name: str, page: TorrentPage) -> SeedboxError:
    if not page.matched:
        return NotFound(f'No torrent matches "{name}", by name or by the start of its id. See: seedbox list')
    shown = ", ".join(f"{row.id[:8]} ({row.name})" for row in page.rows[:5])
    return OwnerMustAct(
        f'"{name}" matches {page.matched} torrents: {shown}. Type more of the name, or the id.'
    )


def find_all(app: App, names: Sequence[str]) -> list[str]:
    """The ids of several torrents; `all` means every torrent."""
    return ["all"] if tuple(names) == ("all",) else [find(app, name) for name in names]
