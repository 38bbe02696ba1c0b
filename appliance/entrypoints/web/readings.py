"""The box's own body for its owner: what is read now, in words, and what was read, as graphs."""

import re
from collections.abc import Callable, Sequence
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
from appliance.core.config import Governor
from appliance.core.units import show_bytes, show_rate, show_span, show_watts
from appliance.entrypoints.web.decisions import Band
from appliance.entrypoints.web.graph import round_top, scale_top
from appliance.entrypoints.web.plot import Line, Mark, Scale, Time, plot

UNKNOWN = "unknown"
_DEGREE = 1_000
_PERCENT = 10_000
_HIGH_LIMIT = 3
"""A limit that is so many times what was sent explains nothing, and would flatten the graph."""


# ------------------------------------------------------------------------------------------- in words


@dataclass(frozen=True, slots=True)
class Row:
    """One reading."""

    name: str
    text: str
    state: str = ""
    """`warning` or `error` where it is not as it should be."""

    @property
    def unknown(self) -> bool:
        """Whether nobody knows."""
        return self.text == UNKNOWN


def rows(answer: ReadingsAnswer) -> list[Row]:
    """All readings; what is not known is said to be unknown."""
    now = answer.readings
    found = [
        Row("Board", answer.board or UNKNOWN),
        _processor(now),
        _power(now.firmware),
        _mains(now),
        *(_disk(disk) for disk in now.disks),
        Row("Memory", _memory(now)),
        Row("Waiting for disks", _pressure(now.io)),
        Row("Waiting for memory", _pressure(now.memory)),
        _link(now),
        Row("Round trip", _round_trip(now)),
        Row("This month", f"{show_bytes(now.month_up)} sent, {show_bytes(now.month_down)} fetched"),
    ]
    return found if now.disks else [*found[:4], Row("Disks", UNKNOWN), *found[4:]]


def _processor(now: Readings) -> Row:
    parts = [] if now.temperature_mc is None else [degrees(now.temperature_mc)]
    slowed = now.firmware and (now.firmware.firmware_throttled or now.firmware.soft_temperature_limit)
    if slowed:
        parts.append("slowed down by the board's firmware, as it is too hot or its power is too weak")
    if now.load_milli is not None:
        parts.append(f"load {now.load_milli // 1_000}.{now.load_milli % 1_000 // 10:02} for each core")
    return Row("Processor", ", ".join(parts) or UNKNOWN, "warning" if slowed else "")


def _power(told: Firmware | None) -> Row:
    if told is None:
        return Row("Power supply", UNKNOWN)
    if told.under_voltage:
        return Row("Power supply", "too weak right now: change it, or its cable", "error")
    if told.under_voltage_before:
        return Row(
            "Power supply", "enough now, but too weak at some time since the box was started", "warning"
        )
    return Row("Power supply", "enough, ever since the box was started")


def _mains(now: Readings) -> Row:
    if now.supply is None:
        return Row("Mains", UNKNOWN)
    left = [] if now.battery_percent is None else [f"{now.battery_percent} % charged"]
    if now.supply is Supply.MAINS:
        return Row("Mains", ", ".join(["there", *(f"battery {text}" for text in left)]))
    if now.battery_s is not None:
        left.append(f"good for {show_span(now.battery_s)}")
    low = now.supply is Supply.LOW
    return Row(
        "Mains",
        ", ".join(["away; the battery is almost empty" if low else "away; runs on the battery", *left]),
        "error" if low else "warning",
    )


def _disk(disk: DiskReading) -> Row:
    health = {None: "health unknown", True: "healthy, it says", False: "failing, it says: copy what is on it"}
    parts = [health[disk.healthy]]
    parts.append("temperature unknown" if disk.temperature_mc is None else degrees(disk.temperature_mc))
    parts.append("wear unknown" if disk.wear_percent is None else f"{disk.wear_percent} % of its life used")
    if disk.bad_sectors:
        parts.append(f"{disk.bad_sectors} bad sector{'s' if disk.bad_sectors > 1 else ''}")
    if disk.hours is not None:
        parts.append(f"ran {show_span(disk.hours * 3_600)}")
    if disk.asleep:
        parts.append("asleep")
    state = "error" if disk.healthy is False else "warning" if disk.bad_sectors else ""
    return Row(f"Disk {disk.device}", f"{disk.model or 'Model unknown'}: {', '.join(parts)}", state)


def _memory(now: Readings) -> str:
    if now.ram_available is None or now.ram_total is None:
        return UNKNOWN
    return f"{show_bytes(now.ram_available)} free of {show_bytes(now.ram_total)}"


def _pressure(told: Pressure | None) -> str:
    return UNKNOWN if told is None else f"{percent(told.some10)} of the last 10 seconds"


def _link(now: Readings) -> Row:
    if now.link_up is None:
        return Row("Network", UNKNOWN)
    if not now.link_up:
        return Row("Network", "no connection: look at the cable", "error")
    return Row("Network", f"{now.link_mbit} Mbit/s" if now.link_mbit else "connected, speed unknown")


def _round_trip(now: Readings) -> str:
    if now.latency_us is None:
        return UNKNOWN
    base = "" if now.latency_base_us is None else f", {millis(now.latency_base_us)} at the best"
    return f"{millis(now.latency_us)}{base}"


# ------------------------------------------------------------------------------------------ as graphs


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One graph, with what it shows now."""

    title: str
    svg: Markup
    keys: tuple[tuple[str, str, str], ...]
    """Colour, name and last value of each line."""


def graphs(
    told: History, now: Readings, keys: Governor, span: Span, bands: tuple[Band, ...]
) -> tuple[list[Graph], list[str]]:
    """All that something was read for, and the names of what nothing was read for."""
    time = Time(start=told.start, step_s=told.step_s, count=len(told.up), span=span, bands=bands)
    found: list[Graph] = []
    missing: list[str] = []
    for title, lines, marks, scale in (
        _temperature(told, keys),
        _upload(told),
        _latency(told, now, keys),
        _stalls(told),
        _power_taken(told),
    ):
        read = [line for line in lines if line.read]
        if not any(line.kind != "limit" for line in read):
            missing.append(title.lower())
            continue
        gone = [line.name.lower() for line in lines if not line.read and line.kind != "limit"]
        missing += [f"{title.lower()} ({name})" for name in gone]
        last = tuple((line.kind, line.name, _last(line, scale.form)) for line in read)
        found.append(Graph(title=title, svg=plot(title, read, marks, time, scale), keys=last))
    return found, missing


_Shown = tuple[str, list[Line], list[Mark], Scale]


def _temperature(told: History, keys: Governor) -> _Shown:
    lines = [
        Line(name="Processor", values=told.temperature),
        Line(name="Hottest disk", values=told.disk_temperature, kind="down"),
    ]
    ease, hard = keys.heat_ease * _DEGREE, keys.heat_hard * _DEGREE
    marks = [
        Mark(value=ease, name=f"eases from {degrees(ease)}"),
        Mark(value=hard, name=f"hard from {degrees(hard)}", hard=True),
    ]
    known = [value for line in lines for value in line.values if value is not None]
    tens = 10 * _DEGREE
    least = min([ease - 2 * tens, *known]) // tens * tens
    # Room above the highest mark for its words.
    most = -(-max([hard + tens // 2, *known]) // tens) * tens
    return "Temperature", lines, marks, Scale(least=least, most=most, form=degrees)


def _upload(told: History) -> _Shown:
    sent = max(told.up, default=0)
    limits = [limit or None for limit in told.limit]
    shown = [limit for limit in limits if limit and (not sent or limit <= _HIGH_LIMIT * sent)]
    lines = [Line(name="Sent", values=told.up), Line(name="Limit", values=limits, kind="limit")]
    return "Upload", lines, [], Scale(most=scale_top(max([1, sent, *shown])), form=rate)


def _latency(told: History, now: Readings, keys: Governor) -> _Shown:
    line = Line(name="Round trip", values=told.latency)
    marks: list[Mark] = []
    if keys.courtesy and now.latency_base_us is not None:
        from_here = now.latency_base_us + keys.courtesy_delay * 1_000
        marks.append(Mark(value=from_here, name=f"sends slower from {millis(from_here)}"))
    most = round_top(max([20_000, _most([line]), *(mark.value * 6 // 5 for mark in marks)]))
    return "Round trip", [line], marks, Scale(most=most, form=millis)


def _stalls(told: History) -> _Shown:
    lines = [
        Line(name="Disk pressure", values=told.io),
        Line(name="Memory pressure", values=told.memory, kind="down"),
    ]
    most = round_top(max(10 * _PERCENT, _most(lines)))
    return "Waiting for disk and memory", lines, [], Scale(most=most, form=percent)


def _power_taken(told: History) -> _Shown:
    line = Line(name="Power", values=told.watts)
    return "Power", [line], [], Scale(most=round_top(max(5_000, _most([line]))), form=show_watts)


def _most(lines: Sequence[Line]) -> int:
    return max((value for line in lines for value in line.values if value is not None), default=0)


def _last(line: Line, form: Callable[[int], str]) -> str:
    value = line.values[-1]
    return ("none" if line.kind == "limit" else UNKNOWN) if value is None else form(value)


# ------------------------------------------------------------------------------------- how it is written


def degrees(temperature_mc: int) -> str:
    """Millidegrees for people: `62 °C`."""
    return f"{(temperature_mc + _DEGREE // 2) // _DEGREE} °C"


def percent(ppm: int) -> str:
    """Ppm for people: `12 %`, and `0.4 %` where it is little."""
    return f"{ppm // _PERCENT} %" if ppm >= 10 * _PERCENT or not ppm else f"{ppm / _PERCENT:.1f} %"


def millis(microseconds: int) -> str:
    """A round trip for people: `23 ms`, and `4.2 ms` where it is short."""
    short = 0 < microseconds < 10_000
    return f"{microseconds / 1_000:.1f} ms" if short else f"{(microseconds + 500) // 1_000} ms"


def rate(bytes_a_second: int) -> str:
    """A round rate for the edge of a graph: `2 MiB/s`."""
    return re.sub(r"\.0+(?= )|(\.\d*[1-9])0+(?= )", r"\1", show_rate(bytes_a_second))
