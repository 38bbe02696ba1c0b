"""What the box draws and costs, and one honest line on whether it pays for itself."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.units import BTT, MicroBtt, show_money, show_watts
from appliance.domain.governor.energy import (
    DriveActivity,
    DriveKind,
    PowerDraw,
    Tariff,
    account,
    cost_day,
    kind_of,
    power_of,
)

PI4 = "Raspberry Pi 4 Model B Rev 1.4"
TARIFF = Tariff(currency="EUR", price=300)
PLUG = PowerDraw(5_000, "plug")


def power(**told: Any) -> PowerDraw:
    usual: dict[str, Any] = {"measured_mw": None, "measured_by": "plug", "owner_w": 0, "board": PI4}
    return power_of(**(usual | {"x86": False, "load_milli": 0, "disks": ()} | told))


# --------------------------------------------------------------------------------------------- watts


def test_what_is_measured_counts_before_what_is_told_and_that_before_a_model() -> None:
    assert power(measured_mw=4_321, owner_w=9) == PowerDraw(4_321, "plug")
    assert power(owner_w=9) == PowerDraw(9_000, "told")
    assert power().source == "model"
    assert power(board="Nobody's board") == PowerDraw(None, "unknown")


def test_a_ups_may_feed_other_machines_so_that_its_owner_knows_better() -> None:
    assert power(measured_mw=60_000, measured_by="ups", owner_w=6) == PowerDraw(6_000, "told")
    assert power(measured_mw=60_000, measured_by="ups") == PowerDraw(60_000, "ups")


@pytest.mark.parametrize(
    ("board", "least", "most"),
    [
        ("Raspberry Pi Zero 2 W Rev 1.0", 500, 4_000),
        ("Raspberry Pi 3 Model B Rev 1.2", 1_500, 6_000),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", 2_000, 7_000),
        (PI4, 3_000, 8_000),
        ("Raspberry Pi 5 Model B Rev 1.0", 3_000, 11_000),
        ("Radxa ROCK 5B", 5_000, 14_000),
    ],
)
def test_every_board_takes_what_is_plausible_and_more_under_load(board: str, least: int, most: int) -> None:
    idle, busy = power(board=board).milliwatts, power(board=board, load_milli=1_000).milliwatts
    assert idle is not None
    assert busy is not None
    assert least <= idle < busy <= most


def test_the_3_b_plus_is_not_taken_for_a_3_b_nor_a_zero_2_for_a_zero() -> None:
    assert power(board="Raspberry Pi 3 Model B Plus Rev 1.3") != power(board="Raspberry Pi 3 Model B Rev 1.2")
    assert power(board="Raspberry Pi Zero 2 W Rev 1.0") != power(board="Raspberry Pi Zero W Rev 1.1")


def test_an_x86_machine_without_a_name_is_a_small_one() -> None:
    found = power(board="", x86=True).milliwatts
    assert found is not None
    assert 8_000 <= found <= 20_000


def test_drives_add_what_their_kind_takes_and_next_to_nothing_asleep() -> None:
    bare = power().milliwatts or 0
    large, asleep, card = (
        (power(disks=(disk,)).milliwatts or 0) - bare
        for disk in (
            DriveActivity(DriveKind.LARGE),
            DriveActivity(DriveKind.LARGE, asleep=True),
            DriveActivity(DriveKind.CARD),
        )
    )
    assert large > 4 * asleep > 0
    assert 0 < card < asleep


@given(st.integers(-5, 5_000) | st.none(), st.lists(st.sampled_from(list(DriveKind)), max_size=4))
def test_a_strange_load_stays_between_idle_and_busy(load: int | None, kinds: list[DriveKind]) -> None:
    disks = tuple(DriveActivity(kind) for kind in kinds)
    found = power(load_milli=load, disks=disks).milliwatts or 0
    assert (power(disks=disks).milliwatts or 0) <= found
    assert found <= (power(load_milli=1_000, disks=disks).milliwatts or 0)


def test_what_a_drive_is() -> None:
    assert kind_of("/dev/nvme0n1", rotational=False) is DriveKind.NVME
    assert kind_of("/dev/mmcblk0", rotational=False) is DriveKind.CARD
    assert kind_of("/dev/sda", rotational=False) is DriveKind.SSD
    assert kind_of("/dev/sda", rotational=True, inches_tenths=35) is DriveKind.LARGE
    assert kind_of("/dev/sda", rotational=True, inches_tenths=25) is DriveKind.SMALL
    assert kind_of("/dev/sda", rotational=None) is DriveKind.SMALL


# ---------------------------------------------------------------------------------------------- cost


def test_five_watts_at_30_cents_cost_3_6_cents_a_day() -> None:
    assert cost_day(5_000, TARIFF) == 36


def test_cheap_hours_are_charged_at_their_own_price() -> None:
    night = replace(TARIFF, cheap_price=100, cheap_minutes=480)
    assert cost_day(100_000, TARIFF) == 720
    assert cost_day(100_000, night) == 720 - 160
    assert cost_day(100_000, replace(night, cheap_price=0)) == 720, "0 is the same price"


@given(st.integers(0, 10**6), st.integers(0, 10**5), st.integers(0, 10**5), st.integers(0, 1_440))
def test_a_cost_lies_between_all_cheap_and_all_dear(watts: int, price: int, cheap: int, minutes: int) -> None:
    cost = cost_day(watts, Tariff(currency="EUR", price=price, cheap_price=cheap, cheap_minutes=minutes))
    ends = sorted(cost_day(watts, Tariff(currency="EUR", price=one)) for one in (price, cheap or price))
    assert ends[0] <= cost <= ends[1]


@pytest.mark.parametrize(
    ("thousandths", "shown"),
    [(0, "0.000"), (36, "0.036"), (99, "0.099"), (100, "0.10"), (1_255, "1.26"), (-36, "-0.036")],
)
def test_money_is_shown_with_the_digits_that_matter(thousandths: int, shown: str) -> None:
    assert show_money(thousandths, "EUR") == f"{shown} EUR"


def test_watts_are_shown_with_one_digit() -> None:
    assert (show_watts(5_249), show_watts(950), show_watts(49)) == ("5.2 W", "1.0 W", "0.0 W")


# -------------------------------------------------------------------------------------------- answer

PRICED = replace(TARIFF, btt_price=1_000)
"""A million BTT for 1 EUR: 36,000 BTT pay for a day of five watts."""


@pytest.mark.parametrize(
    ("shown", "tariff", "earned", "answer"),
    [
        (
            PowerDraw(None, "unknown"),
            PRICED,
            5 * BTT,
            "Running cost unknown. Set energy.watts, or energy.plug if the box is on a smart plug.",
        ),
        (
            PLUG,
            replace(PRICED, price=0),
            5 * BTT,
            "Running cost: 5.0 W. Set energy.price to your electricity price to see it in money.",
        ),
        (
            PLUG,
            TARIFF,
            36_000 * BTT,
            "It costs 0.036 EUR a day to run (5.0 W) and earned 36000 BTT in the last 24 hours. It pays for "
            "itself if a million BTT are worth at least 1.00 EUR; set energy.btt_price to compare.",
        ),
        (
            PLUG,
            PRICED,
            0,
            "It costs 0.036 EUR a day to run (5.0 W) and earned 0.000 EUR (0 BTT) in the last 24 hours.",
        ),
        (
            PLUG,
            TARIFF,
            0,
            "It costs 0.036 EUR a day to run (5.0 W) and earned nothing in the last 24 hours.",
        ),
        (
            PLUG,
            PRICED,
            100_000 * BTT,
            "It pays for itself. It costs 0.036 EUR a day to run (5.0 W) and earned 0.10 EUR (100000 BTT) in "
            "the last 24 hours.",
        ),
        (
            PLUG,
            PRICED,
            20_000 * BTT,
            "It costs 0.036 EUR a day to run (5.0 W) and earned 0.020 EUR (20000 BTT) in the last 24 hours.",
        ),
        (
            PowerDraw(5_000, "model"),
            PRICED,
            36_000 * BTT,
            "About break-even. It costs 0.036 EUR a day to run (about 5.0 W) and earned 0.036 EUR (36000 "
            "BTT) in the last 24 hours. Measure the power and set energy.watts to be sure.",
        ),
    ],
)
def test_is_this_box_worth_its_power(shown: PowerDraw, tariff: Tariff, earned: int, answer: str) -> None:
    assert account(shown, tariff, MicroBtt(earned)).sentence == answer


@given(
    st.none() | st.integers(1, 10**6),
    st.integers(0, 10**5),
    st.integers(0, 10**12),
    st.integers(-(10**18), 10**18),
)
def test_every_day_has_an_answer_in_one_line_that_is_right(
    watts: int | None, price: int, btt_price: int, earned: int
) -> None:
    tariff = Tariff(currency="EUR", price=price, btt_price=btt_price)
    told = account(PowerDraw(watts, "plug" if watts is not None else "unknown"), tariff, MicroBtt(earned))
    assert "\n" not in told.sentence
    assert told.sentence.endswith(".")
    assert (told.cost_day is None) == (watts is None or not price)
    assert (told.worth_day is None) == (not btt_price)
    if told.sentence.startswith("It pays for itself."):
        assert told.worth_day is not None
        assert told.cost_day is not None
        assert told.worth_day >= told.cost_day
    if told.sentence.startswith("It costs") and told.worth_day is not None:
        assert told.cost_day is not None
        assert told.worth_day < told.cost_day
