"""Commands about the box's own body: readings, what eases it, power, drives, issues, and telling of them."""

import textwrap

import click

from appliance.control import machine as care
from appliance.control.box import Finding
from appliance.control.client import ControlClient
from appliance.core.units import MicroBtt, show_btt, show_bytes, show_rate, show_span
from appliance.domain.governor.readings import DiskReading, Firmware, Pressure, Readings
from appliance.entrypoints.cli.auction import Span
from appliance.entrypoints.cli.context import App, command
from appliance.entrypoints.cli.findings import shown
from appliance.entrypoints.cli.words import table, when

_UNKNOWN = "unknown"
_SOURCES = {
    "plug": "measured by the plug",
    "ups": "measured by the UPS",
    "told": "as you have told the box",
    "model": "by a model of the board",
    "unknown": "nobody knows",
}
_TELLING_S = 900.0
"""For a test to every address, each of which may take most of a minute."""


class SpanOrOff(Span):
    """As a span, or `off`."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Milliseconds, 0 for `off`."""
        return 0 if value == "off" else super().convert(value, param, ctx)


@click.command()
@click.option("--all", "mended", is_flag=True, help="Also those of the last 30 days that are mended.")
@command
def issues(app: App, mended: bool) -> None:
    """What is wrong with the box, and what to do about it."""
    told = app.box.call(care.ListIssues(mended=mended))
    open_ones = [one for one in told.issues if not one.mended]
    lines = [] if open_ones else [click.style("Nothing is wrong.", fg="green")]
    for one in open_ones:
        since = f"Since {when(one.first)[:16]}; last seen {when(one.last)[:16]}."
        lines += [*shown([Finding(one.check, one.severity, one.says, one.remedy)]), f"{'':11}{since}"]
    if over := [one for one in told.issues if one.mended]:
        rows = [[when(one.first)[:16], when(one.mended)[:16], one.says] for one in over]
        lines += ["", *table(["FROM", "MENDED", "WHAT IT WAS"], rows, wide=2)]
    app.answer(told, *lines)


@click.command()
@command
def readings(app: App) -> None:
    """What the box reads of itself now: heat, power, memory, line."""
    told = app.box.call(care.GetReadings())
    facts = [("Board", told.board or _UNKNOWN), *_facts(told.readings)]
    app.answer(told, *(f"{click.style(f'{name:<12}', bold=True)}{text}" for name, text in facts))


def _facts(now: Readings) -> list[tuple[str, str]]:
    supply = now.supply.value if now.supply else _UNKNOWN
    if now.battery_percent is not None:
        supply += f", battery at {now.battery_percent} %"
    if now.battery_s is not None:
        supply += f" for {show_span(now.battery_s)}"
    link = {None: _UNKNOWN, True: "up", False: "down"}[now.link_up]
    if now.link_mbit is not None:
        link += f", {now.link_mbit} Mbit/s"
    ram = _UNKNOWN
    if now.ram_available is not None and now.ram_total is not None:
        ram = f"{show_bytes(now.ram_available)} of {show_bytes(now.ram_total)} available"
    facts = [
        ("Processor", _degrees(now.temperature_mc)),
        ("Firmware", _firmware(now.firmware)),
        ("Supply", supply),
        ("Power", _watts(now.watts_mw)),
        ("Load", _UNKNOWN if now.load_milli is None else f"{now.load_milli / 1_000:.2f} a processor"),
        ("Memory", ram),
        ("Waits", ", ".join(f"{name} {_pressure(one)}" for name, one in _pressures(now))),
        ("Link", link),
        ("Round trip", _round_trip(now)),
        ("This month", f"{show_bytes(now.month_up)} up, {show_bytes(now.month_down)} down"),
        ("Now", f"{show_rate(now.up_rate)} up, {show_rate(now.down_rate)} down"),
    ]
    facts += [(one.device, _disk(one)) for one in now.disks]
    return facts


def _firmware(told: Firmware | None) -> str:
    if told is None:
        return _UNKNOWN
    flags = {
        "under-voltage": (told.under_voltage, told.under_voltage_before),
        "slowed": (told.firmware_throttled, told.firmware_throttled_before),
        "clock capped": (told.frequency_capped, told.frequency_capped_before),
        "warm": (told.soft_temperature_limit, told.soft_temperature_limit_before),
    }
    found = [
        word if now else f"{word} before, since it was started"
        for word, (now, before) in flags.items()
        if now or before
    ]
    # What the board does not tell is not known to be well.
    found += [f"{word} {_UNKNOWN}" for word, (now, _) in flags.items() if now is None]
    return ", ".join(found) or "nothing to complain of"


def _pressures(now: Readings) -> list[tuple[str, Pressure | None]]:
    return [("processor", now.cpu), ("disk", now.io), ("memory", now.memory)]


def _pressure(one: Pressure | None) -> str:
    return _UNKNOWN if one is None else f"{one.some10 / 10_000:.0f} %"


def _degrees(temperature_mc: int | None) -> str:
    return _UNKNOWN if temperature_mc is None else f"{temperature_mc / 1_000:.1f} °C"


def _watts(watts_mw: int | None) -> str:
    return _UNKNOWN if watts_mw is None else f"{watts_mw / 1_000:.1f} W"


def _round_trip(now: Readings) -> str:
    if now.latency_us is None:
        return _UNKNOWN
    idle = "" if now.latency_base_us is None else f", {now.latency_base_us / 1_000:.1f} ms at rest"
    return f"{now.latency_us / 1_000:.1f} ms{idle}"


def _disk(one: DiskReading) -> str:
    health = {None: "health unknown", True: "healthy", False: "says that it fails"}[one.healthy]
    parts = [one.model or "unknown model", health]
    if one.temperature_mc is not None:
        parts.append(_degrees(one.temperature_mc))
    if one.wear_percent is not None:
        parts.append(f"{one.wear_percent} % worn")
    if one.bad_sectors:
        parts.append(f"{one.bad_sectors} bad sectors")
    return ", ".join([*parts, *(["asleep"] if one.asleep else [])])


@click.group()
def governor() -> None:
    """What eases the box: heat, power, disks, memory, the home line, the month's data."""


@governor.command("show")
@command
def show_governor(app: App) -> None:
    """Why the box does less than it could, and what it may do now."""
    told = app.box.call(care.GetGovernor())
    app.answer(told, *_eases(told))


@governor.command()
@click.argument("span", type=SpanOrOff())
@command
def override(app: App, span: int) -> None:
    """Ease nothing for SPAN (such as 90m, 2h, 3d), but for what would do harm; `off`: ease again."""
    told = app.box.call(care.SetOverride(minutes=span // 60_000))
    app.answer(told, *_eases(told))


def _eases(told: care.GovernorAnswer) -> list[str]:
    lines = []
    for one in told.throttles:
        lines += textwrap.wrap(f"{one.says} (since {when(one.since)[:16]})", 100)
    if not lines:
        lines.append(click.style("Nothing eases the box.", fg="green"))
    if told.override_until:
        kept = f" Kept all the same: {', '.join(told.kept)}." if told.kept else ""
        lines.append(f"You have switched the easing off until {when(told.override_until)[:16]}.{kept}")
    rows = [
        [name, show(getattr(told.limits, key)), show(getattr(told.wanted, key))]
        for name, key, show in (
            ("Upload", "upload_rate", _rate),
            ("Download", "download_rate", _rate),
            ("Connections", "connections", str),
            ("Upload slots", "upload_slots", str),
            ("Downloads at once", "active_downloads", str),
            ("Data is fetched", "writing", _yes),
            ("Data is checked", "checking", _yes),
            ("New work is taken", "new_work", _yes),
        )
    ]
    return [*lines, "", *table(["", "NOW", "SET"], rows, wide=0)]


def _rate(rate: int) -> str:
    return show_rate(rate) if rate else "unlimited"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


@click.command()
@command
def energy(app: App) -> None:
    """Is this box worth its power?"""
    told = app.box.call(care.GetEnergy())

    def money(thousandths: int | None, else_: str) -> str:
        return else_ if thousandths is None else f"{thousandths / 1_000:.2f} {told.currency}"

    cost = money(told.cost_day, "unknown: set energy.price in seedbox.toml")
    worth = money(told.worth_day, "worth unknown: set energy.btt_price in seedbox.toml")
    earned = f"{show_btt(MicroBtt(told.earned_day))} BTT ({worth})"
    facts = [
        ("Takes", f"{_watts(told.watts_mw)} ({_SOURCES[told.source]})"),
        ("Costs", f"{cost} a day" if told.cost_day is not None else cost),
        ("Earned", f"{earned} in the last 24 hours"),
    ]
    lines = [f"{click.style(f'{name:<8}', bold=True)}{text}" for name, text in facts]
    app.answer(told, click.style(told.sentence, bold=True), *lines)


@click.command()
@command
def drives(app: App) -> None:
    """The drives that content lies on, and how they are."""
    told = app.box.call(care.ListVolumes())
    lines = []
    for one in told.volumes:
        main = " (the main folder)" if one.main and len(told.volumes) > 1 else ""
        room = (
            f"{show_bytes(one.free)} of {show_bytes(one.total)} free"
            if one.free is not None and one.total is not None
            else "room unknown"
        )
        device = f"{one.device or 'no device'}, {one.uuid or 'no UUID'}"
        lines += [
            click.style(one.path, bold=True) + main,
            click.style(f"  {one.says}", fg=None if one.present and not one.read_only else "red"),
            f"  {device}; {room}; {one.torrents} torrents",
        ]
    app.answer(told, *lines)


@click.group()
def notify() -> None:
    """Telling you elsewhere, by e-mail or webhook (addresses: see notify.file in seedbox.toml)."""


@notify.command()
@command
def test(app: App) -> None:
    """Send a test to every address, and say how it went."""
    with ControlClient(app.state.control_socket, timeout=_TELLING_S) as box:
        told = box.call(care.TryNotice())
    app.answer(told, *told.lines)


COMMANDS = (issues, readings, governor, energy, drives, notify)
