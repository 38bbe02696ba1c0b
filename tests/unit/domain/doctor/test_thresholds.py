"""The doctor and the governor never disagree about a threshold: the one warns where the other throttles."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.core.units import GIB, MIB, Bytes
from appliance.domain.doctor.checks import examine
from appliance.domain.doctor.facts import Facts
from appliance.domain.doctor.model import Verdict
from appliance.domain.doctor.sensors import examine_sensors
from appliance.domain.governor.model import GovernorDecision
from appliance.domain.governor.readings import Readings, Supply
from appliance.domain.governor.settings import GovernorSettings
from appliance.domain.governor.throttle import ThrottleRule
from tests.support.governed import START, Governed, firmware, volume
from tests.unit.domain.doctor.test_checks import MACHINE, VOLUME

DRIVE = 1_000 * GIB


@st.composite
def owners(draw: st.DrawFn) -> GovernorSettings:
    """Settings as an owner may choose them."""
    back, ease, hard = sorted(draw(st.sets(st.integers(35, 105), min_size=3, max_size=3)))
    return GovernorSettings(
        heat_back=back * 1_000,
        heat_ease=ease * 1_000,
        heat_hard=hard * 1_000,
        floor=Bytes(draw(st.integers(0, 2_000)) * GIB),
    )


def rules(decision: GovernorDecision) -> set[ThrottleRule]:
    return {one.rule for one in decision.throttles}


def verdict(check: str, settings: GovernorSettings, **facts: object) -> Verdict:
    machine = replace(MACHINE, **facts)  # type: ignore[arg-type]
    return {one.check: one.verdict for one in examine(Facts(machine), settings)}[check]


@given(owners(), st.integers(20_000, 120_000))
def test_it_is_warm_where_heat_throttles_and_too_hot_where_the_hard_limit_holds(
    settings: GovernorSettings, temperature: int
) -> None:
    decision = Governed(settings=settings).look(temperature_mc=temperature)
    said = verdict("temperature", settings, temperature_mc=temperature)
    assert (said is not Verdict.OK) is (ThrottleRule.HEAT in rules(decision))
    assert (said is Verdict.ERROR) is (not decision.limits.new_work)


@given(owners(), st.integers(0, 2**44), st.floats(0, 1))
@example(GovernorSettings(floor=Bytes(0)), 500 * MIB, 0.3)
@example(GovernorSettings(floor=Bytes(200 * GIB)), DRIVE, 0.19)
def test_a_drive_has_too_little_room_where_nothing_more_is_downloaded_to_it(
    settings: GovernorSettings, total: int, part: float
) -> None:
    free = int(total * part)
    decision = Governed(settings=settings).look(volumes=(volume(free, total=total),))
    drive = replace(VOLUME, total=total, free=free)
    for check, facts in (("content-room", {"content": drive}), ("state-room", {"state": drive})):
        assert (verdict(check, settings, **facts) is not Verdict.OK) is bool(decision.full), check


@given(st.integers(0, 64 * GIB), st.integers(1, 64 * GIB))
def test_memory_is_low_where_connections_are_closed_for_it(available: int, total: int) -> None:
    decision = Governed().look(ram_available=available, ram_total=total)
    said = verdict("memory", GovernorSettings(), ram_available=available, ram_total=total)
    assert (said is Verdict.WARNING) is (ThrottleRule.MEMORY in rules(decision))


def test_what_no_sensor_reports_is_unknown_and_not_left_out() -> None:
    said = {one.check: one.verdict for one in examine_sensors(Readings(at=START))}
    assert said == dict.fromkeys(("power-supply", "mains", "link"), Verdict.UNKNOWN)


@pytest.mark.parametrize("name", ["ups", "plug"])
@pytest.mark.parametrize(
    ("silent", "said"),
    [(0, Verdict.OK), (120, Verdict.UNKNOWN), (300, Verdict.WARNING), (9_999, Verdict.WARNING)],
)
def test_a_ups_or_a_plug_that_does_not_answer_is_an_issue(name: str, silent: int, said: Verdict) -> None:
    told: dict[str, Any] = {f"{name}_silent_s": silent}
    readings = Readings(at=START, **told)
    assert {one.check: one.verdict for one in examine_sensors(readings)}[name] is said


@given(
    st.sampled_from(list(Supply)),
    st.none() | st.integers(0, 100),
    st.none() | st.integers(0, 10_000),
    st.booleans(),
)
def test_power_is_an_error_where_the_box_shuts_down_or_writes_nothing_for_it(
    supply: Supply, percent: int | None, seconds: int | None, weak: bool
) -> None:
    power: dict[str, Any] = {"supply": supply, "battery_percent": percent, "battery_s": seconds}
    flags = firmware(under_voltage=weak, under_voltage_before=weak)
    decision = Governed().look(firmware=flags, **power)
    readings = Readings(at=START, firmware=flags, **power)
    said = {one.check: one.verdict for one in examine_sensors(readings)}
    assert (said["mains"] is Verdict.ERROR) is decision.shut_down
    assert (said["mains"] is not Verdict.OK) is (ThrottleRule.UPS in rules(decision))
    assert (said["power-supply"] is Verdict.ERROR) is (ThrottleRule.UNDER_VOLTAGE in rules(decision))
