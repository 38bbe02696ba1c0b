"""Sensor readings: the current ones in words, and those over time as graphs."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from appliance.control.box import Span
from appliance.control.machine import (
    DiskReading,
    Firmware,
    History,
    Pressure,
    Readings,
    ReadingsAnswer,
    Supply,
)
from appliance.core.config import GovernorConfig
from appliance.core.units import plural, show_bytes, show_rate, show_span, show_watts
from appliance.entrypoints.web.decisions import Band
from appliance.entrypoints.web.graph import round_top, scale_top
from appliance.entrypoints.web.plot import Curve, Threshold, TimeAxis, ValueAxis, plot

UNKNOWN = "unknown"
_DISK_HEALTH = {None: "health unknown", True: "health OK", False: "failing: back up its data now"}
_ON_BATTERY = {
    Supply.BATTERY: ("power cut, running on battery", "warning"),
    Supply.LOW: ("power cut, battery almost empty", "error"),
}
_DEGREE = 1_000
_PERCENT = 10_000
_HIGH_LIMIT = 3
"""A limit this many times the highest upload explains nothing, and would flatten the graph."""


# ------------------------------------------------------------------------------------------- in words


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading."""

    name: str
    text: str
    state: str = ""
    """`warning` or `error` if something is wrong."""

    @property
    def unknown(self) -> bool:
        """Whether this could not be read."""
        return self.text == UNKNOWN


def rows(answer: ReadingsAnswer) -> list[Reading]:
    """All current readings; what cannot be read is shown as unknown."""
    now = answer.readings
    found = [
        Reading("Board", answer.board or UNKNOWN),
        _processor(now),
        _power(now.firmware),
        _mains(now),
        *(_disk(disk) for disk in now.disks),
        Reading("Memory", _memory(now)),
        Reading("Disk pressure", _pressure(now.io)),
        Reading("Memory pressure", _pressure(now.memory)),
        _link(now),
        Reading("Latency", _latency_now(now)),
        _month(now),
    ]
    return found if now.disks else [*found[:4], Reading("Disks", UNKNOWN), *found[4:]]


def _month(now: Readings) -> Reading:
    return Reading(
        "This month", f"{show_bytes(now.month_up)} uploaded, {show_bytes(now.month_down)} downloaded"
    )


def _processor(now: Readings) -> Reading:
    parts = [] if now.temperature_mc is None else [degrees(now.temperature_mc)]
    slowed = _slowed(now.firmware)
    if slowed:
        parts.append("slowed by the firmware (too hot, or power supply too weak)")
    if now.load_milli is not None:
        parts.append(f"load {now.load_milli // 1_000}.{now.load_milli % 1_000 // 10:02} per core")
    return Reading("Processor", ", ".join(parts) or UNKNOWN, "warning" if slowed else "")


def _power(firmware: Firmware | None) -> Reading:
    if firmware is None:
        return Reading("Power supply", UNKNOWN)
    if firmware.under_voltage:
        return Reading("Power supply", "too weak: replace it, or its cable", "error")
    if firmware.under_voltage_before:
        return Reading("Power supply", "OK now, but was too weak at some point since startup", "warning")
    return Reading("Power supply", "OK since startup")


def _slowed(firmware: Firmware | None) -> bool:
    return bool(firmware and (firmware.firmware_throttled or firmware.soft_temperature_limit))


def _mains(now: Readings) -> Reading:
    if now.supply is None:
        return Reading("Mains", UNKNOWN)
    charge = [] if now.battery_percent is None else [f"battery {now.battery_percent} % charged"]
    if now.supply is Supply.MAINS:
        return Reading("Mains", ", ".join(["OK", *charge]))
    left = [] if now.battery_s is None else [f"{show_span(now.battery_s)} left"]
    text, state = _ON_BATTERY[now.supply]
    return Reading("Mains", ", ".join([text, *charge, *left]), state)


def _disk(disk: DiskReading) -> Reading:
    parts = [_DISK_HEALTH[disk.healthy], *_temperature_and_wear(disk)]
    if disk.bad_sectors:
        parts.append(plural(disk.bad_sectors, "bad sector"))
    if disk.hours is not None:
        parts.append(f"{show_span(disk.hours * 3_600)} powered on")
    if disk.asleep:
        parts.append("asleep")
    text = f"{disk.model or 'unknown model'}: {', '.join(parts)}"
    return Reading(f"Disk {disk.device}", text, _disk_state(disk))


def _temperature_and_wear(disk: DiskReading) -> Iterator[str]:
    yield "temperature unknown" if disk.temperature_mc is None else degrees(disk.temperature_mc)
    yield "wear unknown" if disk.wear_percent is None else f"{disk.wear_percent} % worn"


def _disk_state(disk: DiskReading) -> str:
    if disk.healthy is False:
        return "error"
    return "warning" if disk.bad_sectors else ""


def _memory(now: Readings) -> str:
    if now.ram_available is None or now.ram_total is None:
        return UNKNOWN
    return f"{show_bytes(now.ram_available)} available of {show_bytes(now.ram_total)}"


def _pressure(pressure: Pressure | None) -> str:
    return UNKNOWN if pressure is None else f"{percent(pressure.some10)} of the last 10 seconds"


def _link(now: Readings) -> Reading:
    if now.link_up is None:
        return Reading("Network", UNKNOWN)
    if not now.link_up:
        return Reading("Network", "disconnected: check the cable", "error")
    return Reading("Network", f"{now.link_mbit} Mbit/s" if now.link_mbit else "connected, speed unknown")


def _latency_now(now: Readings) -> str:
    if now.latency_us is None:
        return UNKNOWN
    base = "" if now.latency_base_us is None else f" (idle: {millis(now.latency_base_us)})"
    return f"{millis(now.latency_us)}{base}"


# ------------------------------------------------------------------------------------------ as graphs


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One graph, with its latest values."""

    title: str
    svg: Markup
    keys: tuple[tuple[str, str, str], ...]
    """Colour, name and latest value of each line."""


def graphs(
    history: History, now: Readings, config: GovernorConfig, span: Span, bands: tuple[Band, ...]
) -> tuple[list[Graph], list[str]]:
    """The graphs that have readings, and the names of those that have none."""
    time = TimeAxis(start=history.start, step_s=history.step_s, count=len(history.up), span=span, bands=bands)
    found: list[Graph] = []
    missing: list[str] = []
    for title, lines, marks, scale in (
        _temperature(history, config),
        _upload(history),
        _latency(history, now, config),
        _stalls(history),
        _power_taken(history),
    ):
        read = [line for line in lines if line.read]
        if not any(line.kind != "limit" for line in read):
            missing.append(title.lower())
            continue
        missing += [f"{title.lower()} ({name})" for name in _unread(lines)]
        last = tuple((line.kind, line.name, _last(line, scale.form)) for line in read)
        found.append(Graph(title=title, svg=plot(title, read, marks, time, scale), keys=last))
    return found, missing


_Shown = tuple[str, list[Curve], list[Threshold], ValueAxis]


def _temperature(history: History, config: GovernorConfig) -> _Shown:
    lines = [
        Curve(name="Processor", values=history.temperature),
        Curve(name="Hottest disk", values=history.disk_temperature, kind="down"),
    ]
    ease, hard = config.heat_ease * _DEGREE, config.heat_hard * _DEGREE
    marks = [
        Threshold(value=ease, name=f"throttles at {degrees(ease)}"),
        Threshold(value=hard, name=f"throttles hard at {degrees(hard)}", hard=True),
    ]
    known = [value for line in lines for value in line.values if value is not None]
    tens = 10 * _DEGREE
    least = min([ease - 2 * tens, *known]) // tens * tens
    # Room above the highest mark for its name.
    most = -(-max([hard + tens // 2, *known]) // tens) * tens
    return "Temperature", lines, marks, ValueAxis(least=least, most=most, form=degrees)


def _unread(lines: Sequence[Curve]) -> list[str]:
    return [line.name.lower() for line in lines if not line.read and line.kind != "limit"]


def _upload(history: History) -> _Shown:
    sent = max(history.up, default=0)
    limits = [limit or None for limit in history.limit]
    shown = [limit for limit in limits if limit and (not sent or limit <= _HIGH_LIMIT * sent)]
    lines = [Curve(name="Rate", values=history.up), Curve(name="Limit", values=limits, kind="limit")]
    return "Upload", lines, [], ValueAxis(most=scale_top(max([1, sent, *shown])), form=rate)


def _latency(history: History, now: Readings, config: GovernorConfig) -> _Shown:
    line = Curve(name="Latency", values=history.latency)
    marks: list[Threshold] = []
    if config.courtesy and now.latency_base_us is not None:
        from_here = now.latency_base_us + config.courtesy_delay * 1_000
        marks.append(Threshold(value=from_here, name=f"upload reduced above {millis(from_here)}"))
    most = round_top(max([20_000, _most([line]), *(mark.value * 6 // 5 for mark in marks)]))
    return "Latency", [line], marks, ValueAxis(most=most, form=millis)


def _stalls(history: History) -> _Shown:
    lines = [
        Curve(name="Disk", values=history.io),
        Curve(name="Memory", values=history.memory, kind="down"),
    ]
    most = round_top(max(10 * _PERCENT, _most(lines)))
    return "Disk and memory pressure", lines, [], ValueAxis(most=most, form=percent)


def _power_taken(history: History) -> _Shown:
    line = Curve(name="Power", values=history.watts)
    return "Power", [line], [], ValueAxis(most=round_top(max(5_000, _most([line]))), form=show_watts)


def _most(lines: Sequence[Curve]) -> int:
    return max((value for line in lines for value in line.values if value is not None), default=0)


def _last(line: Curve, form: Callable[[int], str]) -> str:
    value = line.values[-1]
    return ("unlimited" if line.kind == "limit" else UNKNOWN) if value is None else form(value)


# ------------------------------------------------------------------------------------- how it is written


def degrees(temperature_mc: int) -> str:
    """Millidegrees for people: `62 °C`."""
    return f"{(temperature_mc + _DEGREE // 2) // _DEGREE} °C"


def percent(ppm: int) -> str:
    """Ppm for people: `12 %`, or `0.4 %` for little."""
    return f"{ppm // _PERCENT} %" if ppm >= 10 * _PERCENT or not ppm else f"{ppm / _PERCENT:.1f} %"


def millis(microseconds: int) -> str:
    """A latency for people: `23 ms`, or `4.2 ms` for a short one."""
    short = 0 < microseconds < 10_000
    return f"{microseconds / 1_000:.1f} ms" if short else f"{(microseconds + 500) // 1_000} ms"


def rate(bytes_a_second: int) -> str:
    """A rate for the edge of a graph, without needless zeros: `2 MiB/s`."""
    return re.sub(r"\.0+(?= )|(\.\d*[1-9])0+(?= )", r"\1", show_rate(bytes_a_second))
