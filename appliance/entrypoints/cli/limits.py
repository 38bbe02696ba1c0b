"""Commands about the box's limits: rates, connections and upload slots."""

from typing import Any

import click
import msgspec

from appliance.control.box import (
    ConfigEntry,
    GetConfig,
    GetLimits,
    LimitsAnswer,
    LimitsChange,
    ResetLimits,
    SetLimits,
)
from appliance.entrypoints.cli.context import App, command
from appliance.entrypoints.cli.params import RATE
from appliance.entrypoints.cli.words import rate_limit, table

_AUTOMATIC = {"connections", "upload_slots"}
"""Limits that follow the size of the memory unless they are set."""


@click.group(invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
@click.pass_context
def limits(ctx: click.Context, as_json: bool) -> None:
    """Show and change rate limits, connections and upload slots."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(limits_show, as_json=as_json)


@limits.command("show")
@command
def limits_show(app: App) -> None:
    """Show the current limits, and where each comes from."""
    _show(app, app.box.call(GetLimits()))


@limits.command("set")
@click.option("--upload-rate", type=RATE, help="Such as 500KiB, 2MiB (per second) or unlimited.")
@click.option("--download-rate", type=RATE, help="Such as 500KiB, 2MiB (per second) or unlimited.")
@click.option("--connections", type=int, help="Maximum number of peer connections.")
@click.option("--upload-slots", type=int, help="Maximum number of peers to upload to at once.")
@click.option("--active-downloads", type=int, help="Maximum number of active downloads.")
@command
def limits_set(app: App, **changes: Any) -> None:
    """Change limits immediately; changes are kept after a restart."""
    if all(value is None for value in changes.values()):
        raise click.UsageError("Name a limit to change, such as --upload-rate 2MiB.")
    _show(app, app.box.call(SetLimits(change=LimitsChange(**changes))))


@limits.command("reset")
@command
def limits_reset(app: App) -> None:
    """Reset the limits to the configuration."""
    _show(app, app.box.call(ResetLimits()))


def _show(app: App, answer: LimitsAnswer) -> None:
    entries = [one for one in app.box.call(GetConfig()).entries if one.table == "limits"]
    app.answer(answer, *limit_lines(answer, entries))


def limit_lines(answer: LimitsAnswer, entries: list[ConfigEntry]) -> list[str]:
    """The limits in force, for people; `entries` are the limits in the configuration."""
    rows = [
        [name.replace("_", " ").capitalize(), _value(name, value), _origin(name, value, answer, entries)]
        for name, value in msgspec.to_builtins(answer.limits).items()
        if not isinstance(value, bool)  # the governor's own; `seedbox governor show` has them
    ]
    return table(["LIMIT", "VALUE", "FROM"], rows, wide=2)


def _value(name: str, value: int) -> str:
    return rate_limit(value) if name.endswith("_rate") else str(value)


def _origin(name: str, value: int, answer: LimitsAnswer, entries: list[ConfigEntry]) -> str:
    changed = answer.changed.set_fields()
    wanted = msgspec.to_builtins(answer.configured) | changed
    if value != wanted[name]:
        return "throttled (see: seedbox governor show)"
    if name in changed:
        return "you"
    if _in_file(name, entries):
        return "seedbox.toml"
    return "automatic (RAM)" if name in _AUTOMATIC else "default"


def _in_file(name: str, entries: list[ConfigEntry]) -> bool:
    return any(one.key == name and one.value != one.default for one in entries)


COMMANDS = (limits,)
