"""The box's readings of itself, for people."""

from appliance.core.units import plural, show_bytes, show_rate, show_span, show_watts
from appliance.domain.governor.readings import DiskReading, Firmware, Pressure, Readings

UNKNOWN = "unknown"


def reading_facts(now: Readings) -> list[tuple[str, str]]:
    """Every reading with its name and unit; what cannot be read is `unknown`."""
    return [
        ("Processor", _degrees(now.temperature_mc)),
        ("Firmware", _firmware(now.firmware)),
        ("Power supply", _supply(now)),
        ("Power use", watts(now.watts_mw)),
        ("Load", _load(now.load_milli)),
        ("Memory", _memory(now)),
        ("CPU pressure", _pressure(now.cpu)),
        ("Disk pressure", _pressure(now.io)),
        ("Memory pressure", _pressure(now.memory)),
        ("Link", _link(now)),
        ("Round trip", _round_trip(now)),
        ("This month", f"{show_bytes(now.month_up)} up, {show_bytes(now.month_down)} down"),
        ("Now", f"{show_rate(now.up_rate)} up, {show_rate(now.down_rate)} down"),
        *((one.device, _disk(one)) for one in now.disks),
    ]


def watts(watts_mw: int | None) -> str:
    """Power for people: `5.2 W`."""
    return UNKNOWN if watts_mw is None else show_watts(watts_mw)


def _firmware(reading: Firmware | None) -> str:
    if reading is None:
        return UNKNOWN
    flags = [
        ("under-voltage", reading.under_voltage, reading.under_voltage_before),
        ("throttling", reading.firmware_throttled, reading.firmware_throttled_before),
        ("frequency cap", reading.frequency_capped, reading.frequency_capped_before),
        ("soft temperature limit", reading.soft_temperature_limit, reading.soft_temperature_limit_before),
    ]
    return ", ".join(text for flag in flags for text in _flag(*flag)) or "OK"


def _flag(name: str, now: bool | None, before: bool | None) -> list[str]:
    """What a flag of the firmware says; a flag that the board does not report is not known to be off."""
    texts = [
        (name, bool(now)),
        (f"{name} earlier (since start-up)", bool(before) and not now),
        (f"{name} {UNKNOWN}", now is None),
    ]
    return [text for text, true in texts if true]


def _supply(now: Readings) -> str:
    parts = [now.supply.value if now.supply else UNKNOWN]
    if now.battery_percent is not None:
        parts.append(f"battery at {now.battery_percent} %")
    if now.battery_s is not None:
        parts.append(f"{show_span(now.battery_s)} left")
    return ", ".join(parts)


def _load(load_milli: int | None) -> str:
    return UNKNOWN if load_milli is None else f"{load_milli / 1_000:.2f} per CPU core"


def _memory(now: Readings) -> str:
    if now.ram_available is None or now.ram_total is None:
        return UNKNOWN
    return f"{show_bytes(now.ram_available)} of {show_bytes(now.ram_total)} available"


def _link(now: Readings) -> str:
    state = {None: UNKNOWN, True: "up", False: "down"}[now.link_up]
    return state if now.link_mbit is None else f"{state}, {now.link_mbit} Mbit/s"


def _pressure(one: Pressure | None) -> str:
    return UNKNOWN if one is None else f"{one.some10 / 10_000:.0f} %"


def _degrees(temperature_mc: int | None) -> str:
    return UNKNOWN if temperature_mc is None else f"{temperature_mc / 1_000:.1f} °C"


def _round_trip(now: Readings) -> str:
    if now.latency_us is None:
        return UNKNOWN
    idle = "" if now.latency_base_us is None else f", {now.latency_base_us / 1_000:.1f} ms idle"
    return f"{now.latency_us / 1_000:.1f} ms{idle}"


def _disk(one: DiskReading) -> str:
    health = {None: "health unknown", True: "healthy", False: "failing"}[one.healthy]
    return ", ".join([one.model or "unknown model", health, *_disk_details(one)])


def _disk_details(one: DiskReading) -> list[str]:
    details = [
        (_degrees(one.temperature_mc), one.temperature_mc is not None),
        (f"{one.wear_percent} % worn", one.wear_percent is not None),
        (plural(one.bad_sectors or 0, "bad sector"), bool(one.bad_sectors)),
        ("asleep", bool(one.asleep)),
    ]
    return [text for text, known in details if known]
