"""Readings as graphs: gaps stay gaps, decisions are where they were, and nothing leaves the drawing."""

import re
import time
from collections.abc import Iterator
from datetime import datetime
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.control.machine import History, PastThrottle
from appliance.core.config import GovernorConfig
from appliance.core.units import UtcMs
from appliance.domain.governor.readings import Readings
from appliance.domain.governor.throttle import ThrottleRule
from appliance.entrypoints.web.decisions import RULES, Band, bands, rule_name, words
from appliance.entrypoints.web.health import until_morning
from appliance.entrypoints.web.plot import (
    HEIGHT,
    WIDTH,
    Curve,
    Threshold,
    TimeAxis,
    ValueAxis,
    plot,
    runs,
    summary,
)
from appliance.entrypoints.web.readings import degrees, graphs, millis, percent, rate

BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86_400_000
values = st.lists(st.none() | st.integers(0, 2**40), min_size=1, max_size=80)


@pytest.fixture(autouse=True)
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A clock that is changed twice a year."""
    monkeypatch.setenv("TZ", BERLIN.key)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def at(day: int, hour: int, minute: int = 0, month: int = 11) -> int:
    """UtcMs of the owner's time in 2026."""
    return round(datetime(2026, month, day, hour, minute, tzinfo=BERLIN).timestamp() * 1_000)


DAY_OF = (at(20, 18), at(21, 18))


def decided(rule: str, first: int, until: int = 0, says: str = "It was hot.") -> PastThrottle:
    return PastThrottle(at=first, until=until, rule=rule, says=says)


def day(count: int = 288, found: tuple[Band, ...] = ()) -> TimeAxis:
    """The day up to 18:00."""
    return TimeAxis(start=at(20, 18), step_s=86_400 // count, count=count, span="day", bands=found)


# ------------------------------------------------------------------------------------------ decisions


def test_the_newest_decision_is_number_one() -> None:
    found = bands([decided("heat", at(21, 15), at(21, 16)), decided("io", at(21, 12), at(21, 13))], *DAY_OF)
    assert [(band.number, band.rule) for band in found] == [(1, "heat"), (2, "io")]


def test_what_held_outside_of_the_graph_is_not_in_it() -> None:
    early = decided("heat", at(20, 10), at(20, 18))
    late = decided("heat", at(21, 18), at(21, 19))
    over = decided("tariff", at(20, 10), at(20, 19))
    assert [band.rule for band in bands([late, early, over], *DAY_OF)] == ["tariff"]


def test_decisions_that_cannot_be_told_apart_are_one_with_the_words_of_the_longest() -> None:
    flaps = [
        decided("courtesy", at(21, 15, minute), at(21, 15, minute + 2 + minute // 10), f"{minute}")
        for minute in (0, 10, 20, 30)
    ]
    (band,) = bands(flaps, *DAY_OF)
    assert (band.decisions, band.says, band.start, band.end) == (4, "30", at(21, 15), at(21, 15, 35))


def test_long_decisions_stay_apart_although_one_follows_the_other_at_once() -> None:
    steps = [decided("heat", at(21, 12), at(21, 14)), decided("heat", at(21, 14), at(21, 16))]
    assert len(bands(steps, *DAY_OF)) == 2


def test_short_decisions_of_different_rules_stay_apart() -> None:
    both = [decided("heat", at(21, 12), at(21, 12, 2)), decided("io", at(21, 12, 3), at(21, 12, 5))]
    assert len(bands(both, *DAY_OF)) == 2


def test_a_decision_that_holds_lasts_to_the_end_and_is_said_to_hold() -> None:
    (band,) = bands([decided("heat", at(21, 17))], *DAY_OF)
    assert band.holds
    assert band.end == at(21, 18)
    assert words(band, at(21, 18)) == "since 17:00 heat"


@pytest.mark.parametrize(
    ("first", "until", "said"),
    [
        (at(21, 15), at(21, 15, 40), "15:00–15:40 weak power supply"),
        (at(20, 19), at(20, 20), "20 Nov 19:00–20:00 weak power supply"),
        (at(20, 23), at(21, 1), "20 Nov 23:00 – 01:00 weak power supply"),
        (at(20, 19), 0, "since 20 Nov 19:00 weak power supply"),
    ],
)
def test_a_day_is_named_where_it_is_not_today(first: int, until: int, said: str) -> None:
    (band,) = bands([decided("under-voltage", first, until)], *DAY_OF)
    assert words(band, at(21, 18)) == said


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(-DAY, DAY), st.integers(1, DAY), st.booleans()),
        max_size=40,
    )
)
def test_no_decision_is_lost_and_none_is_counted_twice(told: list[tuple[str, int, int, bool]]) -> None:
    start, end = DAY_OF
    decisions = [
        decided(rule, start + first, 0 if holds else start + first + length)
        for rule, first, length, holds in told
    ]
    held = [one for one in decisions if one.at < end and (one.until or end) > start]
    found = bands(decisions, start, end)
    assert sum(band.decisions for band in found) == len(held)
    assert [band.number for band in found] == list(range(1, len(found) + 1))
    for one in held:
        covers = [
            band
            for band in found
            if band.rule == one.rule and band.start <= one.at and (one.until or end) <= band.end
        ]
        assert covers, one


# --------------------------------------------------------------------------------------------- graphs


@given(values)
def test_a_gap_stays_a_gap(read: list[int | None]) -> None:
    again: list[int | None] = [None] * len(read)
    for first, run in runs(read):
        assert run
        assert first == 0 or read[first - 1] is None
        again[first : first + len(run)] = run
    assert again == read


@given(
    values,
    values,
    st.lists(st.tuples(st.integers(-DAY, DAY), st.integers(1, DAY)), max_size=12),
    st.sampled_from(["hour", "day", "month"]),
)
def test_whatever_was_read_the_drawing_is_whole_and_keeps_to_its_frame(
    one: list[int | None], other: list[int | None], times: list[tuple[int, int]], span: str
) -> None:
    count = len(one)
    step_s = {"hour": 3_600, "day": 86_400, "month": 30 * 86_400}[span] // count
    start = DAY_OF[0]
    found = bands(
        [decided("<&>", start + first, start + first + length, '"<b>') for first, length in times],
        start,
        start + count * step_s * 1_000,
    )
    drawn = plot(
        "<Title>",
        [Curve(name="a", values=one), Curve(name="b", values=(other * count)[:count], kind="limit")],
        [Threshold(value=10, name="<ease>")],
        TimeAxis(start=start, step_s=step_s, count=count, span=span, bands=found),  # type: ignore[arg-type]
        ValueAxis(most=2**39, form=str),
    )
    tree = ElementTree.fromstring(drawn)
    assert tree.get("aria-label", "").startswith("<Title> over the last")
    top = int(tree.get("viewBox", "").split()[1])
    assert len(tree.findall("rect")) == len(found)
    for element in tree:
        for name, least, most in (("x", 0, WIDTH), ("x1", 0, WIDTH), ("y", top, HEIGHT), ("y2", top, HEIGHT)):
            assert least <= float(element.get(name, least)) <= most, ElementTree.tostring(element)
        for x, y in re.findall(r"([-\d.]+),([-\d.]+)", element.get("points", "")):
            assert 0 <= float(x) <= WIDTH
            assert top <= float(y) <= HEIGHT


def test_a_band_lies_where_its_time_lies() -> None:
    """The afternoon from 12:00 to 18:00 is the last quarter of a day that ends at 18:00."""
    frame = day(found=bands([decided("heat", at(21, 12))], *DAY_OF))
    drawn = ElementTree.fromstring(plot("T", [], [], frame, ValueAxis(most=1, form=str)))
    (rect,) = drawn.findall("rect")
    left, width = float(rect.get("x", 0)), float(rect.get("width", 0))
    whole = frame.x(frame.end) - frame.x(frame.start)
    assert left == pytest.approx(frame.x(frame.start) + whole * 3 / 4, abs=0.1)
    assert width == pytest.approx(whole / 4, abs=0.1)


def test_of_numbers_that_would_lie_on_each_other_the_newest_are_shown() -> None:
    many = [decided(rule, at(21, 12, minute), at(21, 12, minute + 1)) for minute, rule in enumerate("abcdef")]
    drawn = ElementTree.fromstring(
        plot("T", [], [], day(found=bands(many, *DAY_OF)), ValueAxis(most=1, form=str))
    )
    numbers = [text.text for text in drawn.findall("text") if "number" in text.get("class", "")]
    assert numbers == ["1", "2"]
    assert len(drawn.findall("rect")) == 6


def test_a_single_reading_between_two_gaps_is_seen() -> None:
    frame = day(3)
    drawn = ElementTree.fromstring(
        plot("T", [Curve(name="a", values=[None, 5, None])], [], frame, ValueAxis(most=10, form=str))
    )
    (line,) = drawn.findall("polyline")
    places = re.findall(r"([\d.]+),", line.get("points", ""))
    assert [float(x) for x in places] == pytest.approx([frame.bucket(1), frame.bucket(2)], abs=0.1)


def test_a_limit_far_above_what_was_sent_is_not_drawn_at_the_edge_as_if_it_were_there() -> None:
    drawn = plot(
        "T", [Curve(name="a", values=[50, 5, 50], kind="limit")], [], day(3), ValueAxis(most=10, form=str)
    )
    assert len(ElementTree.fromstring(drawn).findall("polyline")) == 1


@pytest.mark.parametrize(
    ("span", "start", "seconds", "said"),
    [
        ("hour", at(21, 16, 37), 3_600, ["16:45", "17:00", "17:15", "17:30"]),
        ("day", at(20, 18), 86_400, ["20:00", "00:00", "04:00", "08:00", "12:00", "16:00"]),
        # The night of the 25th of October has an hour more.
        ("day", at(24, 18, month=10), 90_000, ["20:00", "00:00", "04:00", "08:00", "12:00", "16:00"]),
        ("month", at(20, 18, month=10), 30 * 86_400, ["27 Oct", "3 Nov", "10 Nov", "17 Nov"]),
    ],
)
def test_times_below_a_graph_are_round_on_the_owners_clock(
    span: str, start: int, seconds: int, said: list[str]
) -> None:
    frame = TimeAxis(start=start, step_s=seconds // 60, count=60, span=span)  # type: ignore[arg-type]
    drawn = ElementTree.fromstring(plot("T", [], [], frame, ValueAxis(most=1, form=lambda value: "")))
    assert [text.text for text in drawn.findall("text") if text.text] == said


def test_a_box_that_has_just_begun_has_no_graph_and_no_fault() -> None:
    names = (*("temperature", "disk_temperature", "io", "memory", "latency", "watts"), *("up", "limit"))
    nothing: dict[str, list[int]] = {name: [] for name in names}
    told = History(start=at(21, 18), step_s=300, decisions=[], **nothing)  # type: ignore[arg-type]
    found, missing = graphs(told, Readings(at=UtcMs(at(21, 18))), GovernorConfig(), "day", ())
    assert not found
    assert missing == ["temperature", "upload", "latency", "disk and memory pressure", "power"]


def test_the_summary_says_the_last_value_and_the_range() -> None:
    line = Curve(name="Processor", values=[48_000, None, 77_000, 62_000, None])
    said = summary("Temperature", [line], day(5), ValueAxis(most=90_000, form=degrees))
    assert said == "Temperature over the last day. Processor: latest 62 °C, between 48 °C and 77 °C."


# ---------------------------------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("now", "minutes", "called"),
    [
        (datetime(2026, 11, 21, 17, 30), 810, "until tomorrow morning"),
        (datetime(2026, 11, 21, 7), 1_440, "until tomorrow morning"),
        (datetime(2026, 11, 22, 2, 0, 30), 300, "until 07:00 this morning"),
        (datetime(2026, 11, 22, 6, 59, 59), 1, "until 07:00 this morning"),
        # The clocks are put back, and forward, in these nights.
        (datetime(2026, 10, 24, 22), 600, "until tomorrow morning"),
        (datetime(2026, 3, 28, 22), 480, "until tomorrow morning"),
    ],
)
def test_until_the_morning_is_until_seven_by_the_owners_clock(
    now: datetime, minutes: int, called: str
) -> None:
    assert until_morning(now) == (minutes, called)


def test_values_are_written_for_people() -> None:
    assert [degrees(value) for value in (76_499, 76_500, -4_200)] == ["76 °C", "77 °C", "-4 °C"]
    assert [percent(value) for value in (0, 4_000, 420_000, 1_000_000)] == ["0 %", "0.4 %", "42 %", "100 %"]
    assert [millis(value) for value in (0, 4_200, 23_700)] == ["0 ms", "4.2 ms", "24 ms"]
    assert [rate(value) for value in (0, 512_000, 1_048_576, 2_621_440)] == [
        "0 B/s",
        "500 KiB/s",
        "1 MiB/s",
        "2.5 MiB/s",
    ]


def test_every_rule_has_a_name_for_its_owner_and_an_unknown_one_its_own() -> None:
    assert set(RULES) == set(ThrottleRule)
    assert rule_name("under-voltage") == "weak power supply"
    assert rule_name("of a newer daemon") == "of a newer daemon"
