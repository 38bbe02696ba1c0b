"""Hours, the month's cap, and the clocks that they depend on."""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.errors import OwnerMustAct
from appliance.core.units import GIB, Bytes, MonoNs, UtcMs
from appliance.domain.governor.cap import month_of, usable
from appliance.domain.governor.model import override
from appliance.domain.governor.settings import GovernorSettings
from appliance.domain.governor.spans import DAY_MIN, HourSpan, parse_spans, share_minutes
from appliance.domain.governor.throttle import ThrottleRule
from tests.support.governed import UPLINK, WANTED, Governed

BERLIN = ZoneInfo("Europe/Berlin")
HOUR = 3_600
CAP = Bytes(100 * GIB)
minutes = st.integers(0, DAY_MIN - 1)


def at(*when: int, fold: int = 0) -> int:
    """Milliseconds of a time in Berlin."""
    return int(datetime(*when, tzinfo=BERLIN, fold=fold).timestamp()) * 1_000  # type: ignore[misc,arg-type]


def box_at(*when: int, **told: object) -> Governed:
    """A governor in Berlin at that time, ten seconds before its first look."""
    box = Governed(settings=replace(GovernorSettings(zone=BERLIN), **told))  # type: ignore[arg-type]
    box.at = at(*when) - 10_000
    return box


# --------------------------------------------------------------------------------------------- hours


@given(minutes, minutes)
def test_a_span_and_its_reverse_share_the_day_between_them(start: int, end: int) -> None:
    if start == end:
        return
    one, other = HourSpan(start, end), HourSpan(end, start)
    assert all(one.holds(minute) != other.holds(minute) for minute in range(0, DAY_MIN, 7))
    assert share_minutes((one,)) + share_minutes((other,)) == DAY_MIN
    assert share_minutes((one, other)) == DAY_MIN


def test_times_are_read_as_people_write_them_or_refused_by_name() -> None:
    assert parse_spans("k", ["22:00-06:00", " 6:30 - 24:00 "]) == (HourSpan(1_320, 360), HourSpan(390, 1_440))
    for wrong in ("", "22-6", "22:00", "24:00-01:00", "22:60-23:00", "08:00-08:00", "1:00-25:00", "a" * 999):
        with pytest.raises(OwnerMustAct, match=r"governor\.cheap_hours"):
            parse_spans("governor.cheap_hours", [wrong])


def test_dear_hours_send_the_configured_share_and_cheap_ones_all() -> None:
    box = box_at(2026, 1, 10, 21, 59, cheap=parse_spans("k", ("22:00-06:00",)))
    dear = box.look()
    assert dear.limits.upload_rate == UPLINK // 4
    assert dear.throttles[0].says == (
        "Electricity is expensive right now; upload limited to 25 % until 22:00."
    )
    assert box.look(60).limits == WANTED
    assert box.look(8 * HOUR - 61).limits == WANTED
    assert box.look(61).limits.upload_rate == UPLINK // 4


def test_a_dear_share_of_nothing_sends_nothing() -> None:
    cheap = parse_spans("k", ("22:00-06:00",))
    assert not box_at(2026, 1, 10, 12, 0, cheap=cheap, dear_percent=0).look().limits.sending
    assert box_at(2026, 1, 10, 12, 0, cheap=cheap, dear_percent=100).look().limits == WANTED


def test_in_quiet_hours_nothing_is_fetched_or_checked_until_the_last_of_them_ends() -> None:
    box = box_at(2026, 1, 10, 23, 0, quiet=parse_spans("k", ("22:00-02:00", "01:00-07:30")))
    quiet = box.look()
    assert (quiet.limits.writing, quiet.limits.checking, quiet.limits.sending) == (False, False, True)
    resting = box_at(2026, 1, 10, 23, 0, quiet=parse_spans("k", ("22:00-02:00",)), spin_down=True).look()
    assert not resting.limits.sending, "a disk that is read does not stop turning"
    assert "until 07:30" in quiet.throttles[0].says
    assert box.look(8 * HOUR).limits.writing is False
    assert box.look(HOUR // 2).limits == WANTED


def test_hours_follow_the_wall_through_both_changes_of_the_clock() -> None:
    cheap = parse_spans("k", ("02:30-03:30",))
    spring = box_at(2026, 3, 29, 1, 0, cheap=cheap)
    seen = [spring.look(600).limits == WANTED for _ in range(18)]
    assert sum(seen) == 3, "02:30 to 03:00 does not come that night"
    autumn = box_at(2026, 10, 25, 1, 0, cheap=cheap)
    seen = [autumn.look(600).limits == WANTED for _ in range(30)]
    assert sum(seen) == 9, "02:30 to 03:00 comes twice"


def test_a_clock_that_was_never_set_tells_no_hour_and_no_month() -> None:
    box = box_at(2026, 1, 10, 12, 0, cheap=parse_spans("k", ("22:00-06:00",)), month_cap=CAP)
    box.at = 1_000
    assert box.look(month_up=CAP).limits == WANTED
    box.at = at(2026, 1, 10, 12, 0)
    spent = box.look(month_up=CAP).limits
    assert not spent.sending
    box.at = 1_000
    assert not box.look().limits.sending


# ----------------------------------------------------------------------------------------------- cap


@given(st.datetimes(datetime(2025, 1, 1), datetime(2030, 1, 1)), st.integers(1, 28))
def test_a_month_begins_at_midnight_of_its_day_and_has_all_its_days(when: datetime, first: int) -> None:
    now = UtcMs(int(when.replace(tzinfo=BERLIN).timestamp()) * 1_000)
    month = month_of(now, first, BERLIN)
    assert month.start <= now < month.end
    start, end = (datetime.fromtimestamp(edge // 1_000, BERLIN) for edge in (month.start, month.end))
    for edge in (start, end):
        assert (edge.day, edge.hour, edge.minute) == (first, 0, 0)
    assert month.days == (end.date() - start.date()).days
    assert 1 <= month.day <= month.days
    local = datetime.fromtimestamp(now // 1_000, BERLIN)
    assert start.date() + timedelta(days=month.day - 1) == local.date()
    assert 1 <= month.left_s <= 25 * HOUR


def test_a_day_that_loses_an_hour_has_23() -> None:
    assert month_of(UtcMs(at(2026, 3, 29, 0, 0)), 1, BERLIN).left_s == 23 * HOUR
    assert month_of(UtcMs(at(2026, 10, 25, 0, 0)), 1, BERLIN).left_s == 25 * HOUR


def test_a_cap_that_would_last_anyhow_throttles_nothing() -> None:
    box = box_at(2026, 6, 10, 12, 0, month_cap=Bytes(100_000 * GIB))
    assert box.look(month_up=GIB).limits == WANTED


def test_what_the_past_days_left_may_be_used_today() -> None:
    thrifty = box_at(2026, 6, 20, 12, 0, month_cap=CAP).look(month_up=50 * GIB)
    steady = box_at(2026, 6, 20, 12, 0, month_cap=CAP).look(month_up=usable(CAP) * 19 // 30)
    assert thrifty.limits.upload_rate > 3 * steady.limits.upload_rate
    assert steady.limits.upload_rate > usable(CAP) // 30 // 86_400, "demand has its hours"


def test_a_day_that_has_used_its_part_goes_on_in_a_trickle() -> None:
    box = box_at(2026, 6, 10, 12, 0, month_cap=CAP)
    trickle = box.look(month_up=usable(CAP) // 3 + GIB)
    assert 2_000 < trickle.limits.upload_rate <= usable(CAP) // (30 * 86_400 * 10)
    assert trickle.limits.sending
    assert box.look(12 * HOUR, month_up=usable(CAP) // 3 + GIB).limits.upload_rate > 10_000


@pytest.mark.parametrize(
    ("counts", "stopped"),
    [
        ("both", ("sending", "writing", "new_work")),
        ("upload", ("sending", "new_work")),
        ("download", ("writing",)),
    ],
)
def test_a_cap_that_is_used_up_stops_what_it_counts_until_the_next_month(
    counts: str, stopped: tuple[str, ...]
) -> None:
    used: dict[str, Any] = {"month_down": usable(CAP)} if counts == "download" else {"month_up": usable(CAP)}
    box = box_at(2026, 6, 29, 12, 0, month_cap=CAP, cap_counts=counts)
    spent = box.look(**used)
    names = ("sending", "writing", "new_work")
    assert tuple(name for name in names if not getattr(spent.limits, name)) == stopped
    assert "100 GiB is used up" in spent.throttles[0].says
    assert "until 1 July" in spent.throttles[0].says
    assert box.look(30 * HOUR, **used).limits == spent.limits
    assert box.look(7 * HOUR).limits.sending


def test_what_the_provider_does_not_count_throttles_nothing() -> None:
    down = box_at(2026, 6, 29, 12, 0, month_cap=CAP, cap_counts="upload").look(month_down=10 * CAP)
    assert down.limits.sending
    assert down.limits.download_rate == 0
    up = box_at(2026, 6, 29, 12, 0, month_cap=CAP, cap_counts="download").look(month_up=10 * CAP)
    assert up.limits.sending
    assert up.limits.upload_rate == 0
    assert up.limits.download_rate > 0


def test_downloads_are_slowed_down_only_near_the_end_of_the_month() -> None:
    box = box_at(2026, 6, 10, 12, 0, month_cap=CAP)
    assert box.look(month_down=50 * GIB).limits.download_rate == 0
    assert 0 < box.look(month_down=93 * GIB).limits.download_rate < 1_000_000


def test_an_owner_who_raises_the_cap_goes_on_at_once() -> None:
    box = box_at(2026, 6, 10, 12, 0, month_cap=CAP)
    assert not box.look(month_up=CAP).limits.sending
    box.settings = replace(box.settings, month_cap=Bytes(10 * CAP))
    assert box.look(month_up=CAP).limits.sending


def test_an_override_sends_what_is_left_of_the_month_and_not_more() -> None:
    box = box_at(2026, 6, 10, 12, 0, month_cap=CAP)
    box.state = override(box.state, 60, UtcMs(box.at), MonoNs(box.mono))
    assert box.look(month_up=usable(CAP) - 1).limits == WANTED
    assert not box.look(month_up=usable(CAP)).limits.sending


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 3 * UPLINK), min_size=30, max_size=90), st.sampled_from(["both", "upload"]))
def test_whatever_is_asked_for_the_month_stays_within_its_cap(demand: list[int], counts: str) -> None:
    cap = Bytes(300 * GIB)
    box = box_at(2026, 2, 1, 0, 0, month_cap=cap, cap_counts=counts)
    used, step = 0, 28 * 86_400 // (len(demand) * 40)
    for wanted in demand:
        for _ in range(40):
            limits = box.look(step, month_up=used, moment={"uplink": 3 * UPLINK}).limits
            rate = min(wanted, limits.upload_rate or wanted) if limits.sending else 0
            used += rate * step
    assert used * 104 // 100 <= cap
    assert box.changes <= 28 * 24


def test_the_rates_of_a_cap_change_once_an_hour_at_most() -> None:
    box = box_at(2026, 6, 10, 0, 0, month_cap=CAP)
    used, times = 3 * GIB, []
    for _ in range(24 * 60):
        before = box.changes
        rate = box.look(60, month_up=used).limits.upload_rate or UPLINK
        used += 60 * rate
        if box.changes > before:
            times.append(box.at // 1_000)
    assert 3 < len(times) < 25
    assert all(later - earlier >= HOUR for earlier, later in pairwise(times))
    assert [event.rule for event in box.events if event.begun] == [ThrottleRule.CAP], "it is told once a day"
