"""Any reading may be missing, on any machine: what shows them shows the others, and says what is unknown."""

from dataclasses import fields

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from appliance.control import machine as api
from appliance.core.config import GovernorConfig, LimitsConfig
from appliance.core.units import GIB, Bytes, UtcMs
from appliance.domain.governor.readings import (
    DiskReading,
    Firmware,
    Pressure,
    Readings,
    Supply,
)
from appliance.domain.volumes.volume import Volume
from appliance.entrypoints.cli.readings import reading_facts
from appliance.entrypoints.web.metrics import MachineMetrics
from appliance.entrypoints.web.readings import graphs, rows
from appliance.services.machine.limits import configured_limits

AT = UtcMs(1_790_000_000_000)
ONLY_VOLTAGE = Firmware(
    **{flag.name: False if "voltage" in flag.name else None for flag in fields(Firmware)}  # type: ignore[arg-type]
)
"""Of a Raspberry Pi whose kernel has `rpi_volt` alone."""

bytes_ = st.integers(0, 2**50)
shares = st.integers(0, 1_000_000)
temperatures = st.integers(-40_000, 150_000)


def maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | values


pressures = st.builds(Pressure, some10=shares, some60=shares, full10=shares, full60=shares)
firmwares = st.builds(
    Firmware,
    **{
        flag.name: st.booleans() if "voltage" in flag.name else maybe(st.booleans())
        for flag in fields(Firmware)
    },
)
volumes = st.builds(
    Volume,
    path=st.just("/content"),
    writable=maybe(st.booleans()),
    total=maybe(bytes_),
    free=maybe(bytes_),
    inodes_free_percent=maybe(st.integers(0, 100)),
)
disks = st.builds(
    DiskReading,
    device=st.sampled_from(["/dev/sda", "/dev/mmcblk0"]),
    model=st.sampled_from(["", "Maker 4000"]),
    healthy=maybe(st.booleans()),
    temperature_mc=maybe(temperatures),
    wear_percent=maybe(st.integers(0, 300)),
    bad_sectors=maybe(st.integers(0, 10**6)),
    hours=maybe(st.integers(0, 10**6)),
)
readings = st.builds(
    Readings,
    at=st.just(AT),
    temperature_mc=maybe(temperatures),
    firmware=maybe(firmwares),
    cpu=maybe(pressures),
    io=maybe(pressures),
    memory=maybe(pressures),
    load_milli=maybe(st.integers(0, 100_000)),
    ram_total=maybe(bytes_),
    ram_available=maybe(bytes_),
    volumes=st.lists(volumes, max_size=2).map(tuple),
    disks=st.lists(disks, max_size=2, unique_by=lambda disk: disk.device).map(tuple),
    supply=maybe(st.sampled_from(Supply)),
    battery_percent=maybe(st.integers(0, 100)),
    battery_s=maybe(st.integers(0, 10**6)),
    watts_mw=maybe(st.integers(0, 10**6)),
    link_up=maybe(st.booleans()),
    link_mbit=maybe(st.integers(0, 100_000)),
    latency_us=maybe(st.integers(0, 3_000_000)),
    latency_base_us=maybe(st.integers(0, 3_000_000)),
    month_up=bytes_,
    month_down=bytes_,
    up_rate=st.integers(0, 10**9),
    down_rate=st.integers(0, 10**9),
)
COUNT = 4
lines = st.lists(maybe(st.integers(0, 10**6)), min_size=COUNT, max_size=COUNT)
histories = st.builds(
    api.History,
    start=st.just(AT - COUNT * 60_000),
    step_s=st.just(60),
    temperature=lines,
    disk_temperature=lines,
    io=lines,
    memory=lines,
    latency=lines,
    watts=lines,
    up=st.lists(st.integers(0, 10**9), min_size=COUNT, max_size=COUNT),
    limit=lines,
    decisions=st.just([]),
)
energies = st.builds(
    api.EnergyAnswer,
    watts_mw=maybe(st.integers(0, 10**6)),
    source=st.sampled_from(["plug", "ups", "told", "model", "unknown"]),
    cost_day=maybe(st.integers(0, 10**6)),
    earned_day=st.integers(0, 10**12),
    worth_day=maybe(st.integers(0, 10**6)),
    currency=st.just("EUR"),
    sentence=st.just("It costs nothing."),
)
NO_ENERGY = api.EnergyAnswer(
    watts_mw=None,
    source="unknown",
    cost_day=None,
    earned_day=0,
    worth_day=None,
    currency="EUR",
    sentence="",
)
LIMITS = configured_limits(LimitsConfig(), Bytes(GIB))
GOVERNOR = api.GovernorAnswer(throttles=[], limits=LIMITS, wanted=LIMITS, override_until=0, kept=[])


@given(readings, energies)
@example(Readings(at=AT, firmware=ONLY_VOLTAGE), NO_ENERGY)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_metrics_are_rendered_whatever_is_unknown(now: Readings, energy: api.EnergyAnswer) -> None:
    registry = CollectorRegistry()
    registry.register(MachineMetrics(readings=now, governor=GOVERNOR, volumes=[], issues=[], energy=energy))
    text = generate_latest(registry).decode()
    assert ("seedbox_temperature_celsius " in text) is (now.temperature_mc is not None)
    assert ('flag="throttled",since="now"' in text) is (
        now.firmware is not None and now.firmware.firmware_throttled is not None
    )


@given(readings, histories, st.sampled_from(["", "Raspberry Pi 4 Model B Rev 1.4"]))
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_the_page_shows_every_reading_whatever_is_unknown(
    now: Readings, history: api.History, board: str
) -> None:
    shown = {row.name: row for row in rows(api.ReadingsAnswer(readings=now, board=board))}
    assert shown["Power supply"].unknown is (now.firmware is None)
    assert shown["Memory"].unknown is (now.ram_available is None or now.ram_total is None)
    assert shown["Latency"].unknown is (now.latency_us is None)
    found, missing = graphs(history, now, GovernorConfig(), "hour", ())
    assert len(found) + len([name for name in missing if "(" not in name]) == 5


@given(readings)
@example(Readings(at=AT, firmware=ONLY_VOLTAGE))
def test_the_command_line_shows_every_reading_whatever_is_unknown(now: Readings) -> None:
    shown = dict(reading_facts(now))
    assert ("unknown" in shown["Processor"]) is (now.temperature_mc is None)
    if now.firmware and now.firmware.firmware_throttled is None:
        assert "throttling unknown" in shown["Firmware"], "nobody has told, so it is not known to be well"
