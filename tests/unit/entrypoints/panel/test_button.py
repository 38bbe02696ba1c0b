"""The button: what a hand, a bouncing contact, and a sofa make of it."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.core.units import MonoNs
from appliance.entrypoints.panel.button import (
    RESET_NS,
    SHORT_NS,
    SHUT_DOWN_NS,
    STEADY_NS,
    STUCK_NS,
    UNSEEN_NS,
    Action,
    Button,
    held,
    sampled,
)

MS = 1_000_000
LOOK = 20 * MS
patient = settings(deadline=None)
START = 5 * 10**9
"""Machines are up for a while before the panel runs."""


def play(spans: Iterable[tuple[bool, int]], look: int = LOOK) -> list[Action]:
    """What comes of a contact that is (closed, for so many ms), one span after the other."""
    button, now, actions = Button(), START, []
    ends = START
    for closed, lasts in spans:
        ends += lasts * MS
        while now < ends:
            button, action = sampled(button, closed, MonoNs(now))
            if action:
                actions.append(action)
            now += look
    return actions


def pressed(ms: int) -> list[Action]:
    """What comes of one clean press."""
    return play([(False, 500), (True, ms), (False, 500)])


@pytest.mark.parametrize(
    ("ms", "wanted"),
    [
        (100, [Action.SHOW_YOURSELF]),
        (900, [Action.SHOW_YOURSELF]),
        (1_100, []),
        (2_900, []),
        (3_100, [Action.SHUT_DOWN]),
        (9_900, [Action.SHUT_DOWN]),
        (10_100, [Action.RESET]),
        (29_900, [Action.RESET]),
        (30_100, []),
        (3_600_000, []),
    ],
)
def test_how_long_it_was_held_says_what_is_wanted(ms: int, wanted: list[Action]) -> None:
    assert pressed(ms) == wanted


def test_nothing_happens_before_it_is_let_go() -> None:
    assert play([(False, 500), (True, 29_000)]) == []


@pytest.mark.parametrize("ms", [200, 3_500, 12_000, 600_000])
def test_a_button_that_is_held_while_the_box_starts_does_nothing(ms: int) -> None:
    assert play([(True, ms), (False, 500)]) == []


def test_a_button_held_at_the_start_works_as_soon_as_it_was_let_go() -> None:
    assert play([(True, 12_000), (False, 200), (True, 200), (False, 200)]) == [Action.SHOW_YOURSELF]


def test_a_hold_during_which_nobody_looked_is_none() -> None:
    """A box that stood still for three seconds cannot tell one long press from two short ones."""
    button, actions = Button(), []
    looks = [0, 40, 80, 120, 160, 200]
    late = [ms + 200 + UNSEEN_NS // MS + 3_000 for ms in looks]
    for ms, closed in [*((one, one >= 100) for one in looks), *((one, one < late[3]) for one in late)]:
        button, action = sampled(button, closed, MonoNs(START + ms * MS))
        actions.append(action)
    assert not any(actions)


def test_a_contact_that_is_lost_for_a_moment_does_not_end_the_hold() -> None:
    lost = [(False, 500), (True, 4_000), (False, 15), (True, 6_500), (False, 500)]
    assert play(lost, look=5 * MS) == [Action.RESET]


def test_what_is_held_is_known_while_it_is_held_and_nothing_when_it_is_stuck() -> None:
    button = Button()
    for ms in range(0, 60_000, 20):
        now = MonoNs(START + ms * MS)
        button, _ = sampled(button, ms >= 500, now)
        hold = held(button, now)
        if ms < 530 or ms - 500 >= STUCK_NS // MS:
            assert hold == 0
        elif ms > 560:
            assert hold == (ms - 500) * MS


bounce = (
    st.lists(st.integers(1, 12), max_size=10)
    .map(lambda ms: ms[: len(ms) // 2 * 2])
    .filter(lambda ms: sum(ms) < STEADY_NS // MS)
)
"""An even number of changes, too short in all to be meant."""


@patient
@given(bounce, st.integers(100, 40_000), bounce, st.sampled_from([2, 5, 10, 20]))
def test_bouncing_changes_nothing_of_what_is_wanted(
    before: list[int], ms: int, after: list[int], look: int
) -> None:
    closing = [(index % 2 == 0, lasts) for index, lasts in enumerate(before)]
    opening = [(index % 2 == 1, lasts) for index, lasts in enumerate(after)]
    margin = sum(before) + sum(after) + 2 * STEADY_NS // MS + 2 * look
    near = any(abs(ms - edge // MS) <= margin for edge in (SHORT_NS, SHUT_DOWN_NS, RESET_NS, STUCK_NS))
    got = play([(False, 500), *closing, (True, ms), *opening, (False, 500)], look * MS)
    if near:
        assert len(got) <= 1
    else:
        assert got == pressed(ms)


@patient
@given(st.lists(st.tuples(st.booleans(), st.integers(1, STEADY_NS // MS - 2)), max_size=200))
def test_a_contact_that_never_rests_does_nothing(spans: list[tuple[bool, int]]) -> None:
    alternating = [(index % 2 == 0, ms) for index, (_, ms) in enumerate(spans)]
    assert play([(False, 500), *alternating], 2 * MS) == []


runs = st.tuples(st.booleans(), st.integers(1, 14_000), st.sampled_from([0, 0, 0, 400, 700]))


@patient
@given(st.lists(runs, max_size=12))
def test_a_hold_counts_only_where_the_contact_was_seen_closed_all_the_time(
    steps: list[tuple[bool, int, int]],
) -> None:
    """Presses, bounces and stalls in any order; after each run of looks (closed, ms) a gap of some ms."""
    button, now = Button(), START
    looks: list[tuple[int, bool]] = []
    for closed, ms, gap in steps:
        ends = now + ms * MS
        while now < ends:
            button, action = sampled(button, closed, MonoNs(now))
            looks.append((now, closed))
            if action in (Action.RESET, Action.SHUT_DOWN):
                least = RESET_NS if action is Action.RESET else SHUT_DOWN_NS
                trail = [(at, one) for at, one in looks if button.since - least <= at <= button.since]
                assert all(later[0] - one[0] <= UNSEEN_NS for one, later in pairwise(trail))
                assert _longest_open(trail[:-1]) < STEADY_NS
            now += LOOK
        now += gap * MS


def _longest_open(trail: list[tuple[int, bool]]) -> int:
    """The longest time in which every look saw the contact open."""
    longest, since = 0, None
    for at, closed in trail:
        since = None if closed else at if since is None else since
        longest = max(longest, at - since if since is not None else 0)
    return longest
