"""Commands about the machine: issues, readings, the governor, energy, drives, and notifications."""

import textwrap
from collections.abc import Callable

import click

from appliance.control import machine as api
from appliance.control.box import Finding
from appliance.control.client import ControlClient
from appliance.core.units import plural, show_bytes, show_money
from appliance.domain.governor.limits import Limits
from appliance.domain.governor.throttle import ThrottleRule
from appliance.entrypoints.cli.context import App, command
from appliance.entrypoints.cli.findings import shown
from appliance.entrypoints.cli.params import DURATION_OR_OFF
from appliance.entrypoints.cli.readings import UNKNOWN, reading_facts, watts
from appliance.entrypoints.cli.words import btt, facts, minute, rate_limit, table

_SOURCES = {
    "plug": "measured by the plug",
    "ups": "measured by the UPS",
    "told": "set in seedbox.toml",
    "model": "estimated from the board",
    "unknown": "not measured",
}
_TEST_TIMEOUT_S = 900.0
"""For a test to every address, each of which may take most of a minute."""


@click.command()
@click.option("--all", "mended", is_flag=True, help="Include issues resolved in the last 30 days.")
@command
def issues(app: App, mended: bool) -> None:
    """List current issues and how to fix them."""
    answer = app.box.call(api.ListIssues(mended=mended))
    app.answer(answer, *issue_lines(answer.issues))


def issue_lines(issues: list[api.IssueAnswer]) -> list[str]:
    """Open issues, then those that are resolved, for people."""
    current = [line for one in issues if not one.mended for line in _issue(one)]
    return [*(current or [click.style("No issues.", fg="green")]), *_resolved(issues)]


def _issue(one: api.IssueAnswer) -> list[str]:
    seen = "unknown since" if one.unknown_since else "last seen"
    since = f"Since {minute(one.first)}; {seen} {minute(one.last)}."
    return [*shown([Finding(one.check, one.severity, one.says, one.remedy)]), f"{'':11}{since}"]


def _resolved(issues: list[api.IssueAnswer]) -> list[str]:
    rows = [[minute(one.first), minute(one.mended), one.says] for one in issues if one.mended]
    return ["", *table(["FROM", "RESOLVED", "ISSUE"], rows, wide=2)] if rows else []


@click.command()
@command
def readings(app: App) -> None:
    """Show temperature, power, memory and network readings."""
    answer = app.box.call(api.GetReadings())
    pairs = [("Board", answer.board or UNKNOWN), *reading_facts(answer.readings)]
    app.answer(answer, *facts(pairs))


@click.group()
def governor() -> None:
    """Show and override throttling.

    The box does less when it is hot, its power, memory or disks are short, others need the connection, or
    the data allowance runs low.
    """


@governor.command("show")
@command
def show_governor(app: App) -> None:
    """Show why the box is throttled, and the limits in force."""
    answer = app.box.call(api.GetGovernor())
    app.answer(answer, *governor_lines(answer))


@governor.command()
@click.argument("duration", type=DURATION_OR_OFF)
@command
def override(app: App, duration: int) -> None:
    """Lift throttling for DURATION; safety limits stay on.

    DURATION is 90m, 2h or 3d, for example; `off` ends the override.
    """
    answer = app.box.call(api.SetOverride(minutes=duration // 60_000))
    app.answer(answer, *governor_lines(answer))


def governor_lines(answer: api.GovernorAnswer) -> list[str]:
    """What the governor does, for people."""
    lines = [*(line for one in answer.throttles for line in _throttle(one)), *_override(answer)]
    return [
        *(lines or [click.style("Not throttled.", fg="green")]),
        "",
        *table(["", "NOW", "NORMAL"], _limit_rows(answer.limits, answer.wanted), wide=0),
    ]


def _throttle(one: api.ThrottleAnswer) -> list[str]:
    return textwrap.wrap(f"{one.says} (since {minute(one.since)})", 100)


def _override(answer: api.GovernorAnswer) -> list[str]:
    if not answer.override_until:
        return []
    active = ", ".join(ThrottleRule(rule).label for rule in answer.kept)
    lifted = f"Throttling is lifted until {minute(answer.override_until)}."
    return textwrap.wrap(f"{lifted} Still active: {active}.", 100) if active else [lifted]


_LIMIT_ROWS: tuple[tuple[str, Callable[[Limits], str]], ...] = (
    ("Upload limit", lambda limits: rate_limit(limits.upload_rate)),
    ("Download limit", lambda limits: rate_limit(limits.download_rate)),
    ("Connections", lambda limits: str(limits.connections)),
    ("Upload slots", lambda limits: str(limits.upload_slots)),
    ("Active downloads", lambda limits: str(limits.active_downloads)),
    ("Uploading", lambda limits: _yes(limits.sending)),
    ("Downloading", lambda limits: _yes(limits.writing)),
    ("Checking data", lambda limits: _yes(limits.checking)),
    ("Accepting new work", lambda limits: _yes(limits.new_work)),
)


def _limit_rows(now: Limits, wanted: Limits) -> list[list[str]]:
    return [[name, show(now), show(wanted)] for name, show in _LIMIT_ROWS]


def _yes(value: bool) -> str:
    return "yes" if value else "no"


@click.command()
@command
def energy(app: App) -> None:
    """Show power consumption, its cost, and what the box earns."""
    answer = app.box.call(api.GetEnergy())
    app.answer(answer, *energy_lines(answer))


def energy_lines(answer: api.EnergyAnswer) -> list[str]:
    """What the box costs and earns, for people."""
    pairs = [
        ("Power use", f"{watts(answer.watts_mw)} ({_SOURCES[answer.source]})"),
        ("Cost", _cost(answer)),
        ("Earned", f"{btt(answer.earned_day)} BTT ({_worth(answer)}) in the last 24 hours"),
    ]
    return [click.style(answer.sentence, bold=True), *facts(pairs)]


def _cost(answer: api.EnergyAnswer) -> str:
    if answer.cost_day is None:
        return "unknown: set energy.price in seedbox.toml"
    return f"{_money(answer.cost_day, answer)} per day"


def _worth(answer: api.EnergyAnswer) -> str:
    if answer.worth_day is None:
        return "value unknown: set energy.btt_price in seedbox.toml"
    return _money(answer.worth_day, answer)


def _money(thousandths: int, answer: api.EnergyAnswer) -> str:
    return show_money(thousandths, answer.currency)


@click.command()
@command
def drives(app: App) -> None:
    """List the drives that hold content, and their condition."""
    answer = app.box.call(api.ListVolumes())
    app.answer(answer, *(line for one in answer.volumes for line in drive_lines(one, len(answer.volumes))))


def _device(one: api.VolumeAnswer) -> str:
    return f"{one.device or 'no device'}, {one.uuid or 'no UUID'}"


def drive_lines(one: api.VolumeAnswer, count: int) -> list[str]:
    """A drive of `count`, for people."""
    main = " (main folder)" if one.main and count > 1 else ""
    colour = None if one.present and not one.read_only else "red"
    return [
        click.style(one.path, bold=True) + main,
        click.style(f"  {one.says}", fg=colour),
        f"  {_device(one)}; {_space(one)}; {plural(one.torrents, 'torrent')}",
    ]


def _space(one: api.VolumeAnswer) -> str:
    if one.free is None or one.total is None:
        return "free space unknown"
    return f"{show_bytes(one.free)} free of {show_bytes(one.total)}"


@click.group()
def notify() -> None:
    """Send notifications by e-mail or webhook.

    Addresses: see notify.file in seedbox.toml.
    """


@notify.command()
@command
def test(app: App) -> None:
    """Send a test to every address, and report the results."""
    with ControlClient(app.state.control_socket, timeout=_TEST_TIMEOUT_S) as box:
        answer = box.call(api.TryNotice())
    app.answer(answer, *answer.lines)


COMMANDS = (issues, readings, governor, energy, drives, notify)
