"""Days of weather: the cap and the temperature are kept, and little is lost by it."""

from dataclasses import replace
from datetime import datetime

import pytest

from appliance.core.units import GIB, Bytes
from appliance.domain.governor.settings import Counts
from tests.simulation.weather import (
    ZONE,
    World,
    attic,
    capped,
    everything,
    heat_wave,
    most_in_an_hour,
    simulate,
    tariff,
)

DAYS = 6


def days(world: World, count: int = DAYS) -> World:
    return replace(world, days=count)


def test_the_same_seed_is_the_same_summer() -> None:
    one, other = simulate(days(attic(), 2)), simulate(days(attic(), 2))
    assert one == other
    assert simulate(days(attic(2), 2)) != one


def test_a_heat_wave_is_lived_through_below_the_hard_limit() -> None:
    one = simulate(days(heat_wave()))
    assert one.temperature_kept
    assert one.hottest <= 80
    assert one.hot_s > 48 * 3_600, "it was hot indeed"
    # Two degrees below the hard limit, for the sake of the sensor, are a sixth of the upload all the time.
    assert one.share >= 0.85
    assert one.restless <= 6


def test_hot_afternoons_cost_little() -> None:
    one = simulate(days(attic(), 20))
    assert one.hot_s > 24 * 3_600
    assert one.temperature_kept
    assert one.share >= 0.95


def test_without_the_governor_the_same_days_are_too_hot() -> None:
    off = replace(heat_wave().settings, heat_ease=200_000, heat_hard=210_000)
    judged = simulate(days(replace(heat_wave(), settings=off)))
    assert judged.hottest > 82


def test_a_board_that_is_hot_by_itself_is_left_next_to_nothing_to_send() -> None:
    one = simulate(days(replace(attic(), hot=60.0), 2))
    assert one.hottest > 80, "no governor can help that"
    assert one.sent <= one.achievable * 1.1


@pytest.mark.parametrize("counts", ["upload", "both"])
def test_a_cap_is_kept_and_used(counts: Counts) -> None:
    settings = replace(capped().settings, month_cap=Bytes(2_000 * GIB), cap_counts=counts, cap_day=10)
    one = simulate(replace(capped(), settings=settings, days=30, step_s=300))
    assert one.cap_kept
    (counted, cap), *_ = one.months
    assert counted >= cap * 95 // 100
    assert one.share >= 0.9


def test_dear_hours_cost_no_more_than_their_share() -> None:
    assert simulate(days(tariff(), 3)).share >= 0.9


def test_heat_cap_and_tariff_together_over_the_end_of_summer_time() -> None:
    world = replace(everything(), start=datetime(2026, 10, 10, tzinfo=ZONE), days=31, step_s=300)
    one = simulate(world)
    assert one.cap_kept
    assert one.temperature_kept
    assert one.share >= 0.9
    assert one.restless <= 6


def test_changes_are_counted_in_the_worst_hour() -> None:
    assert most_in_an_hour([]) == 0
    assert most_in_an_hour([0, 3_600, 7_200]) == 1
    assert most_in_an_hour([0, 1_000, 3_599, 3_600, 4_000]) == 4
