"""The rules of heat, power, pressure and room, each by itself."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from appliance.core.units import GIB, Bytes
from appliance.domain.governor.readings import Supply
from appliance.domain.governor.room import floor_of
from appliance.domain.governor.settings import GovernorSettings
from appliance.domain.governor.throttle import ThrottleRule
from appliance.domain.volumes.faults import Condition
from tests.support.governed import UPLINK, WANTED, Governed, firmware, pressure, volume

MINUTE = 60
WEAK = firmware(under_voltage=True, under_voltage_before=True)
WELL = firmware(under_voltage_before=True)

# ---------------------------------------------------------------------------------------------- heat


def test_below_75_degrees_nothing_is_throttled_and_from_75_on_less_is_sent() -> None:
    box = Governed()
    assert box.last(5 * MINUTE, temperature_mc=74_900).limits == WANTED
    hot = box.last(2 * MINUTE, temperature_mc=76_000)
    assert 0 < hot.limits.upload_rate < UPLINK
    assert not hot.limits.checking
    assert hot.limits.writing


def test_at_80_degrees_next_to_nothing_is_sent_at_once_and_the_box_says_why() -> None:
    box = Governed()
    assert box.look(temperature_mc=60_000).limits == WANTED
    hard = box.look(temperature_mc=80_000)
    assert hard.limits.upload_rate == UPLINK * 5 // 100
    switches = (hard.limits.sending, hard.limits.writing, hard.limits.checking, hard.limits.new_work)
    assert switches == (True, False, False, False)
    assert "80 °C" in hard.throttles[0].says
    assert hard.payers == ""
    assert box.last(4 * MINUTE, temperature_mc=79_000).limits == hard.limits


def test_after_the_hard_limit_the_upload_comes_back_in_steps() -> None:
    box = Governed()
    box.look(temperature_mc=81_000)
    rates = [box.look(30, temperature_mc=74_000, up_rate=UPLINK).limits.upload_rate for _ in range(400)]
    steps = list(dict.fromkeys(rates))
    assert steps == sorted(steps)
    assert len(steps) > 4
    assert all(later <= 4 * earlier for earlier, later in pairwise(steps))
    assert box.look(temperature_mc=74_000).throttles, "it ends only below 70 °C"
    assert box.last(90 * MINUTE, temperature_mc=69_000).limits == WANTED


def test_where_a_step_does_not_help_another_follows_after_some_minutes() -> None:
    box = Governed()
    first = box.look(temperature_mc=76_000).limits.upload_rate
    assert box.last(7 * MINUTE, temperature_mc=79_500, up_rate=first).limits.upload_rate == first
    second = box.last(3 * MINUTE, temperature_mc=79_500, up_rate=first).limits.upload_rate
    assert second < first


def test_a_step_is_taken_of_what_is_really_sent() -> None:
    box = Governed()
    idle = box.last(5 * MINUTE, temperature_mc=76_000, up_rate=UPLINK // 4)
    assert idle.limits.upload_rate < UPLINK // 4


def test_a_single_wrong_reading_below_the_hard_limit_moves_nothing() -> None:
    box = Governed()
    box.last(10 * MINUTE, temperature_mc=60_000)
    assert box.look(temperature_mc=79_900).limits == WANTED


@given(st.lists(st.integers(20_000, 110_000), min_size=1, max_size=80))
@example([75_000, *[20_000] * 10])
def test_whatever_the_temperature_the_box_sends_something_and_never_more_than_wanted(
    readings: list[int],
) -> None:
    box = Governed()
    for temperature in readings:
        rate = box.look(60, temperature_mc=temperature).limits.upload_rate
        assert rate == 0 or UPLINK * 5 // 100 <= rate < UPLINK
        assert temperature < 80_000 or rate == UPLINK * 5 // 100


# --------------------------------------------------------------------------------------------- power


def test_at_under_voltage_writes_stop_first_then_less_is_sent_and_writes_come_back_last() -> None:
    box = Governed()
    first = box.look(firmware=WEAK).limits
    assert (first.writing, first.checking, first.upload_rate) == (False, False, 0)
    rates = [box.look(firmware=WEAK).limits.upload_rate for _ in range(20)]
    assert list(dict.fromkeys(rates)) == [0, UPLINK // 2, UPLINK // 4]
    back = [box.look(firmware=WELL).limits for _ in range(500)]
    steps = list(dict.fromkeys((limits.upload_rate, limits.writing) for limits in back))
    assert steps == [(UPLINK // 4, False), (0, False), (0, True)]


def test_a_dip_between_two_readings_counts() -> None:
    box = Governed()
    box.look(firmware=firmware())
    assert not box.look(firmware=firmware(under_voltage_before=True)).limits.writing
    other = Governed()
    assert other.look(firmware=firmware(under_voltage_before=True)).limits == WANTED, "before the box began"


def test_on_battery_less_is_sent_and_nothing_written_until_mains_has_lasted() -> None:
    box = Governed()
    battery = box.look(supply=Supply.BATTERY, battery_percent=80)
    limits = battery.limits
    assert (limits.upload_rate, limits.writing, limits.checking) == (UPLINK // 2, False, False)
    assert "80 % left" in battery.throttles[0].says
    assert not battery.shut_down
    assert box.last(2 * MINUTE, supply=Supply.MAINS).limits == limits
    assert box.last(2 * MINUTE, supply=Supply.MAINS).limits == WANTED


@pytest.mark.parametrize(
    "low",
    [
        {"supply": Supply.LOW},
        {"supply": Supply.BATTERY, "battery_percent": 14},
        {"supply": Supply.BATTERY, "battery_s": 179},
    ],
)
def test_at_a_low_battery_nothing_is_sent_and_the_box_asks_to_be_shut_down(low: dict[str, Any]) -> None:
    box = Governed()
    decision = box.look(**low)
    assert decision.shut_down
    assert not decision.limits.sending
    assert decision.limits.upload_rate == 1, "0 would be unlimited"
    assert not box.look().shut_down, "never by an old reading"
    better = box.look(supply=Supply.BATTERY, battery_percent=40)
    assert (better.shut_down, better.limits.sending) == (False, False), "not before there is mains"


FULL: dict[str, Any] = {"supply": Supply.BATTERY, "battery_s": 0}


def test_no_seconds_left_beside_a_full_charge_are_believed_only_while_that_falls() -> None:
    box = Governed()
    assert not box.look(battery_percent=100, **FULL).shut_down
    assert not box.last(10 * MINUTE, battery_percent=100, **FULL).shut_down
    assert box.look(battery_percent=97, **FULL).shut_down
    other = Governed()
    other.look(battery_percent=100, **FULL)
    assert not other.look(battery_percent=97, **FULL).shut_down, "two readings a minute apart"
    assert Governed().look(battery_percent=49, **FULL).shut_down
    assert Governed().look(**FULL).shut_down, "its charge is not known"


def test_a_ups_that_falls_silent_on_its_battery_is_taken_for_empty_after_a_while() -> None:
    box = Governed()
    box.look(supply=Supply.BATTERY, battery_percent=40)
    assert not box.last(3 * MINUTE).shut_down
    decision = box.look()
    assert decision.shut_down
    assert "has not answered for 3 minutes" in decision.throttles[0].says
    assert box.last(30 * MINUTE).shut_down, "as long as it is silent"
    assert not box.look(supply=Supply.MAINS).shut_down
    assert not box.last(10 * MINUTE).shut_down, "it was on mains when it fell silent"


def test_after_a_boot_a_silent_ups_is_not_taken_for_empty() -> None:
    box = Governed()
    box.look(supply=Supply.BATTERY, battery_percent=40)
    box.look()
    box.mono = 0
    assert not box.last(10 * MINUTE).shut_down


def test_mains_is_never_low_whatever_its_battery_says() -> None:
    assert not Governed().look(supply=Supply.MAINS, battery_percent=3, battery_s=10).shut_down


# ------------------------------------------------------------------------------------------ pressure


def test_overloaded_disks_first_stop_checks_and_then_slow_the_upload() -> None:
    box = Governed()
    some = box.look(io=pressure(some=650_000)).limits
    assert (some.checking, some.upload_rate, some.new_work) == (False, 0, True)
    full = box.look(io=pressure(some=900_000, full=750_000)).limits
    assert (full.upload_rate, full.new_work) == (UPLINK * 6 // 10, False)
    assert full.upload_slots == WANTED.upload_slots // 2
    assert box.last(9 * MINUTE, io=pressure(some=100_000)).limits == full
    assert box.last(2 * MINUTE, io=pressure(some=100_000)).limits == WANTED


def test_a_pressure_that_has_only_fallen_a_little_keeps_its_throttle() -> None:
    box = Governed()
    box.look(io=pressure(some=650_000))
    assert box.last(30 * MINUTE, io=pressure(some=400_000)).throttles
    assert not box.last(30 * MINUTE, io=pressure(some=250_000)).throttles


def test_short_memory_closes_connections_by_pressure_or_by_what_is_left() -> None:
    half, quarter = WANTED.connections // 2, WANTED.connections // 4
    assert Governed().look(memory=pressure(some=120_000)).limits.connections == half
    assert Governed().look(memory=pressure(full=60_000)).limits.connections == quarter
    assert Governed().look(ram_total=GIB, ram_available=GIB // 12).limits.connections == half
    low = Governed().look(ram_total=GIB, ram_available=GIB * 5 // 99)
    assert low.limits.connections == quarter
    assert "5 % available" in low.throttles[0].says


# ---------------------------------------------------------------------------------------------- room


@given(st.integers(0, 2**50), st.integers(0, 2**50))
def test_the_floor_is_the_owners_and_at_least_5_percent_and_a_quarter_at_most(total: int, floor: int) -> None:
    least = floor_of(total, floor)
    assert least <= total // 4
    assert least >= min(floor, total // 4)
    assert least * 100 >= total * 5 - 100
    assert least in (floor, total * 5 // 100, total // 4)


def test_below_the_floor_nothing_is_fetched_until_there_is_a_quarter_more() -> None:
    box = Governed()
    assert box.look(volumes=(volume(2 * GIB),)).limits.writing
    full = box.look(volumes=(volume(2 * GIB - 1),))
    assert not full.limits.writing
    assert full.full == ("/srv",)
    assert "/srv is full (2.00 GiB left, 2.00 GiB reserved)" in full.throttles[0].says
    assert not box.last(10 * MINUTE, volumes=(volume(9 * GIB // 4),)).limits.writing
    assert not box.last(20, volumes=(volume(3 * GIB),)).limits.writing
    room = box.last(2 * MINUTE, volumes=(volume(3 * GIB),))
    assert (room.limits.writing, room.full) == (True, ())


def test_what_waits_is_told_the_reason_that_stops_it_and_no_other() -> None:
    box = Governed()
    drives = (volume(GIB, "/full"), volume(9 * GIB, "/roomy"))
    full = box.look(volumes=drives)
    assert full.throttles
    assert (full.no_writing, full.no_sending) == ("", ""), "the other drive takes it"
    weak = box.look(volumes=drives, firmware=WEAK)
    assert "power supply" in weak.no_writing


def test_a_full_drive_leaves_the_others_to_fetch_to() -> None:
    box = Governed()
    one = box.look(volumes=(volume(GIB, "/a"), volume(9 * GIB, "/b")))
    assert (one.limits.writing, one.full) == (True, ("/a",))
    both = box.look(volumes=(volume(GIB, "/a"), volume(GIB, "/b")))
    assert (both.limits.writing, set(both.full)) == (False, {"/a", "/b"})


def test_a_drive_that_is_away_or_silent_stays_as_it_was() -> None:
    box = Governed()
    box.look(volumes=(volume(GIB, "/a"), volume(9 * GIB, "/b")))
    gone = box.last(60 * MINUTE, volumes=(volume(None, "/a", condition=Condition.AWAY), volume(None, "/b")))
    assert "/a" in gone.full
    assert "/b" not in gone.full


def test_a_large_drive_keeps_5_percent_and_a_floor_of_nothing_is_possible() -> None:
    tib = 1024 * GIB
    big = volume(50 * GIB, total=tib)
    assert (
        Governed(settings=GovernorSettings(floor=Bytes(0))).look(volumes=(big,)).throttles[0].rule
        is ThrottleRule.ROOM
    )
    assert not Governed().look(volumes=(volume(52 * GIB, total=tib),)).throttles
