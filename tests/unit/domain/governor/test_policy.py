"""The policy as a whole: the strictest holds, it comes at once and goes slowly, and it is told why."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.config import GovernorConfig
from appliance.core.errors import OwnerMustAct
from appliance.core.units import BytesPerSecond, MonoNs, UtcMs
from appliance.domain.governor.hysteresis import BLIND_NS, Gate, Hysteresis, follow
from appliance.domain.governor.model import GovernorDecision, GovernorState, override, resumed
from appliance.domain.governor.payers import left_for_payers
from appliance.domain.governor.policy import SAFETY_RULES
from appliance.domain.governor.readings import Supply
from appliance.domain.governor.settings import GovernorSettings, settings_of
from appliance.domain.governor.throttle import ONE, Cut, ThrottleRule, strictest, throttled
from tests.simulation.noise import NOISES, changes
from tests.simulation.weather import most_in_an_hour
from tests.support.governed import UPLINK, WANTED, Governed, firmware, pressure, volume

MINUTE, HOUR = 60, 3_600
WEAK = firmware(under_voltage=True, under_voltage_before=True)
WELL = firmware(under_voltage_before=True)

shares = st.integers(0, ONE)
cuts = st.builds(
    Cut,
    upload_ppm=shares,
    upload=st.none() | st.integers(0, 10**9),
    download=st.none() | st.integers(0, 10**9),
    connections_ppm=shares,
    slots_ppm=shares,
    sending=st.booleans(),
    writing=st.booleans(),
    checking=st.booleans(),
    new_work=st.booleans(),
)


def rules(decision: GovernorDecision) -> list[ThrottleRule]:
    return [reason.rule for reason in decision.throttles]


# -------------------------------------------------------------------------------------- what is left


@given(st.lists(cuts, max_size=4), st.integers(0, 10**8), st.integers(1, 10**9))
def test_no_cut_ever_allows_more_than_was_wanted_or_than_a_single_one_allows(
    all_cuts: list[Cut], rate: int, base: int
) -> None:
    wanted = replace(WANTED, upload_rate=BytesPerSecond(rate), download_rate=BytesPerSecond(rate))
    left = throttled(wanted, strictest(all_cuts), base).checked()
    for limits in (wanted, *(throttled(wanted, cut, base) for cut in all_cuts)):
        for name in ("upload_rate", "download_rate"):
            bound = getattr(limits, name)
            assert not bound or 0 < getattr(left, name) <= bound
        assert left.connections <= limits.connections
        assert left.upload_slots <= limits.upload_slots
        for name in ("sending", "writing", "checking", "new_work"):
            assert getattr(left, name) <= getattr(limits, name)


def test_without_a_reason_nothing_is_throttled() -> None:
    box = Governed()
    decision = box.look(temperature_mc=60_000, firmware=WELL, supply=Supply.MAINS, io=pressure())
    assert decision.limits == WANTED
    assert (decision.throttles, decision.events, decision.changed) == ((), (), False)
    assert decision.upload_rate == 0


def test_a_share_is_taken_of_the_owners_limit_where_there_is_one_and_else_of_the_uplink() -> None:
    box = Governed()
    free = box.last(3 * MINUTE, firmware=WEAK)
    assert free.limits.upload_rate == UPLINK // 4
    limited = Governed(wanted=replace(WANTED, upload_rate=BytesPerSecond(100_000)))
    assert limited.last(3 * MINUTE, firmware=WEAK).limits.upload_rate == 25_000


def test_a_throttled_box_does_not_take_its_own_slowness_for_a_slow_line() -> None:
    box = Governed()
    first = box.last(3 * MINUTE, firmware=WEAK).limits
    for uplink in (UPLINK // 2, UPLINK // 4, UPLINK // 10):
        assert box.look(firmware=WEAK, moment={"uplink": uplink}).limits == first
    assert box.look(firmware=WEAK, moment={"uplink": 2 * UPLINK}).limits.upload_rate == UPLINK // 2


def test_of_two_rules_the_strictest_of_each_thing_holds() -> None:
    box = Governed()
    decision = box.look(
        temperature_mc=81_000, memory=pressure(some=200_000, full=100_000), ram_total=100, ram_available=50
    )
    assert set(rules(decision)) == {ThrottleRule.HEAT, ThrottleRule.MEMORY}
    assert decision.limits.upload_rate == UPLINK * 5 // 100
    assert decision.limits.connections == WANTED.connections // 4
    assert not decision.limits.writing


# ----------------------------------------------------------------------------------- when it changes


@given(st.lists(st.sampled_from([None, 0, 1, 2]), max_size=60), st.integers(1, 120))
def test_a_level_rises_at_once_and_falls_only_after_known_calm_minutes(
    wishes: list[int | None], every: int
) -> None:
    calm_ns, held, now = 600 * 10**9, Hysteresis(), 0
    seen: list[tuple[int, int | None]] = []
    for wish in wishes:
        now += every * 10**9
        before, held = held, follow(held, wish, Gate(now=MonoNs(now)), calm_ns=calm_ns)
        seen.append((now, wish))
        if wish is not None:
            assert held.level >= wish
        if held.level < before.level:
            recent = [w for at, w in seen if at > now - calm_ns]
            blind = [w for at, w in seen if at > now - BLIND_NS]
            assert all(w is not None and w <= held.level for w in recent) or not any(
                w is not None for w in blind
            )


@pytest.mark.parametrize("name", NOISES)
def test_noise_about_a_bound_changes_the_limits_at_most_six_times_an_hour(name: str) -> None:
    times = changes([name], 3, settings=GovernorSettings(), hours=6)
    assert times, "the noise is felt at all"
    assert most_in_an_hour(times) <= 6


@given(st.sets(st.sampled_from(list(NOISES)), min_size=1, max_size=3), st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_noise_in_up_to_three_readings_at_once_changes_the_limits_at_most_six_times_an_hour(
    names: set[str], seed: int
) -> None:
    assert most_in_an_hour(changes(sorted(names), seed, settings=GovernorSettings(), hours=3)) <= 6


def test_what_harms_is_throttled_at_once_however_often_the_limits_changed() -> None:
    box = Governed()
    for _ in range(40):
        box.look(io=pressure(some=900_000))
        box.look(io=pressure())
        box.look(after=601, io=pressure())
    assert len(box.state.changes) >= 3
    assert not box.look(firmware=WEAK).limits.writing
    assert not box.look(supply=Supply.LOW).limits.sending
    assert ThrottleRule.HEAT in rules(box.look(temperature_mc=80_000, supply=Supply.LOW))


@pytest.mark.parametrize(
    "trouble",
    [
        {"temperature_mc": 77_000},
        {"temperature_mc": 82_000},
        {"firmware": WEAK},
        {"io": pressure(some=900_000)},
        {"ram_total": 100, "ram_available": 2},
        {"volumes": (volume(0),)},
    ],
)
def test_what_cannot_be_read_throttles_nothing_and_ends_no_throttle_for_some_minutes(
    trouble: dict[str, Any],
) -> None:
    box = Governed()
    assert box.look().limits == WANTED
    before = box.look(**trouble).limits
    assert before != WANTED
    assert box.last(10 * MINUTE).limits == before
    assert box.last(2 * HOUR).limits == WANTED


# ------------------------------------------------------------------------------------------ telling


def test_reasons_change_only_when_a_throttle_begins_or_ends() -> None:
    box = Governed()
    box.look(temperature_mc=76_100)
    for degrees in (76_300, 75_900, 77_000, 76_600):
        box.look(temperature_mc=degrees)
    assert [(event.rule, event.begun) for event in box.events] == [(ThrottleRule.HEAT, True)]
    assert box.events[0].says == ("The processor has reached 76 °C; upload reduced until it is below 70 °C.")
    box.last(2 * HOUR, temperature_mc=50_000)
    assert [event.begun for event in box.events] == [True, False]
    assert box.events[1].since == box.events[0].since < box.at


def test_every_reason_is_told_with_its_beginning_while_it_holds() -> None:
    box = Governed()
    first = box.look(firmware=WEAK)
    (reason,) = first.throttles
    assert (reason.rule, reason.since) == (ThrottleRule.UNDER_VOLTAGE, box.at)
    assert "4.63 V" in reason.says
    assert "Replace the power supply" in reason.says
    assert box.look(firmware=WEAK).throttles == first.throttles


def test_the_line_of_others_is_put_over_the_limits_and_told_once() -> None:
    box = Governed()
    for cap in (500_000, 400_000, 700_000, 600_000):
        slow = {"latency_us": 65_000, "latency_base_us": 20_000}
        decision = box.look(moment={"uplink_cap": cap}, **slow)
        assert decision.upload_rate == cap
        assert decision.limits == WANTED
        assert not decision.changed
    assert [event.says for event in box.events] == [
        "Someone else is using the connection (round trips take 45 ms longer); upload reduced."
    ]
    assert box.look(moment={"uplink_cap": None}).upload_rate == 0
    assert rules(box.last(4 * MINUTE)) == [ThrottleRule.UPLINK]
    assert rules(box.last(2 * MINUTE)) == []


@given(st.integers(1, 10**9), st.integers(0, 100), st.integers(1, 10**9))
def test_payers_lose_nothing_before_the_free_share_is_used_up(usual: int, percent: int, now: int) -> None:
    paid = usual - usual * percent // 100
    left = left_for_payers(min(now, usual), usual, percent)
    assert 0 <= left <= min(paid, now)
    if min(now, usual) >= paid + 1024:
        assert left == paid


def test_payers_are_told_when_they_get_less_and_only_then() -> None:
    mild: dict[str, Any] = {"supply": Supply.BATTERY}
    selling = {"leased": True, "free_percent": 60}
    assert Governed().look(moment=selling, **mild).payers == ""
    assert Governed().look(moment=selling | {"leased": False}, firmware=WEAK).payers == ""
    said = Governed().look(moment=selling | {"free_percent": 20}, **mild).payers
    assert said == "The seller is limited to 976 KiB/s for all its buyers: it is running on battery."
    assert (
        Governed().look(moment=selling, supply=Supply.LOW).payers
        == "The seller has paused its uploads: it is running on battery."
    )


# ----------------------------------------------------------------------------------------- override


def test_an_override_leaves_only_what_keeps_from_harm_and_ends_by_itself() -> None:
    box = Governed()
    assert box.look(temperature_mc=77_000, io=pressure(some=900_000)).limits != WANTED
    box.state = override(box.state, 30, UtcMs(box.at), MonoNs(box.mono))
    free = box.look(temperature_mc=77_000, io=pressure(some=900_000), moment={"uplink_cap": 1_000})
    assert (free.limits, free.upload_rate, free.throttles, free.overridden) == (WANTED, 0, (), True)
    crowded = Governed()
    assert crowded.look(moment={"uplink_cap": 1_000}).throttles
    crowded.state = override(crowded.state, 30, UtcMs(crowded.at), MonoNs(crowded.mono))
    assert not crowded.look(moment={"uplink_cap": 1_000}).throttles
    hot = box.look(temperature_mc=81_000)
    assert hot.limits.upload_rate == UPLINK * 5 // 100
    assert hot.throttles[0].kept
    box = Governed(
        state=override(GovernorState(), 30, UtcMs(box.at), MonoNs(box.mono)), at=box.at, mono=box.mono
    )
    weak = box.last(5 * MINUTE, firmware=WEAK)
    assert (weak.limits.writing, weak.limits.upload_rate) == (False, 0)
    assert not box.look(supply=Supply.LOW).limits.sending
    assert not box.look(volumes=(volume(0),)).limits.writing
    later = box.last(26 * MINUTE, firmware=WEAK)
    assert not later.overridden
    assert later.limits.upload_rate


def test_an_override_ends_by_the_monotonic_clock_whatever_the_wall_says() -> None:
    box = Governed()
    box.state = override(box.state, 10, UtcMs(box.at), MonoNs(box.mono))
    box.at -= 10**10
    assert box.look(9 * MINUTE).overridden
    assert not box.look(2 * MINUTE).overridden
    box.state = override(box.state, 10, UtcMs(box.at), MonoNs(box.mono))
    assert not Governed(state=override(box.state, 0, UtcMs(box.at), MonoNs(box.mono))).look().overridden


def test_the_rules_that_an_override_does_not_switch_off_are_those_that_say_so() -> None:
    box = Governed(settings=GovernorSettings(month_cap=WANTED.connections))  # type: ignore[arg-type]
    bad: dict[str, Any] = {"temperature_mc": 90_000, "firmware": WEAK, "supply": Supply.LOW}
    bad |= {"volumes": (volume(0),)}
    bad |= {"io": pressure(some=900_000), "ram_total": 100, "ram_available": 1, "month_up": 10**12}
    decision = box.look(**bad)
    assert {reason.rule for reason in decision.throttles if reason.kept} == set(SAFETY_RULES)
    assert {reason.rule for reason in decision.throttles} > set(SAFETY_RULES)


# ------------------------------------------------------------------------------------------ restarts


def test_a_restart_forgets_nothing() -> None:
    box = Governed()
    bad: dict[str, Any] = {"temperature_mc": 77_000, "firmware": WEAK}
    bad |= {"volumes": (volume(0),), "io": pressure(900_000)}
    before = box.last(3 * MINUTE, **bad)
    box.state = override(box.state, 30, UtcMs(box.at), MonoNs(box.mono))
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(box.state), type=GovernorState) == box.state
    box.state = msgspec.msgpack.decode(
        msgspec.msgpack.encode(override(box.state, 0, UtcMs(box.at), MonoNs(0))), type=GovernorState
    )
    after = box.look(**bad)
    assert (after.limits, after.throttles, after.events) == (before.limits, before.throttles, ())


def test_after_a_boot_everything_is_as_long_ago_as_it_was() -> None:
    box = Governed()
    box.look(firmware=WEAK)
    box.last(9 * MINUTE, firmware=WELL)
    box.state = override(box.state, 30, UtcMs(box.at), MonoNs(box.mono))
    box.mono, box.at = 5 * 10**9, box.at + 5 * MINUTE * 1_000
    assert box.look(firmware=WELL).overridden
    box.last(24 * MINUTE, firmware=WELL)
    decision = box.look(2 * MINUTE, firmware=WELL)
    assert (decision.overridden, decision.limits) == (False, WANTED)


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**18))
def test_a_wall_clock_that_went_back_only_makes_a_throttle_last_longer(wall: int, mono: int) -> None:
    box = Governed()
    box.look(firmware=WEAK)
    box.look(firmware=WELL)
    calm = box.state.power.weak.calm
    moved = resumed(box.state, UtcMs(box.at + wall), MonoNs(mono))
    assert calm is not None
    assert moved.power.weak.calm is not None
    assert mono - moved.power.weak.calm == box.mono - calm + max(0, wall) * 10**6


# ------------------------------------------------------------------------------------------ settings


def test_the_configuration_is_checked_with_the_name_of_the_key() -> None:
    assert settings_of(GovernorConfig(), GovernorSettings().zone) == GovernorSettings()
    with pytest.raises(OwnerMustAct, match="heat_back"):
        settings_of(GovernorConfig(heat_ease=80, heat_hard=75), GovernorSettings().zone)
    with pytest.raises(OwnerMustAct, match=r'governor\.quiet_hours holds "22-6"'):
        settings_of(GovernorConfig(quiet_hours=("22-6",)), GovernorSettings().zone)
