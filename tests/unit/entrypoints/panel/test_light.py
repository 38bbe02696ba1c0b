"""What the light says, and how."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.units import MonoNs
from appliance.entrypoints.panel.button import RESET_NS, SHUT_DOWN_NS, STUCK_NS, Button
from appliance.entrypoints.panel.light import (
    SILENT_NS,
    START_NS,
    DaemonState,
    Feedback,
    Show,
    choose,
    pattern,
    shine,
)

S = 10**9
REST = Button(contact=False, armed=True)


def film(show: Show, seconds: int) -> list[tuple[int, int]]:
    """(brightness, nanoseconds) of each step, as it is played from the beginning."""
    at, steps = 0, []
    while at < seconds * S:
        level, wait = shine(show, at)
        wait = min(seconds * S - at, wait if wait is not None else seconds * S)
        steps.append((level, wait))
        at += wait
    return steps


def flashes(show: Show, seconds: int) -> int:
    """How often it goes on."""
    return sum(level > 0 for level, _ in film(show, seconds))


def test_well_is_steady_and_costs_no_wake_up() -> None:
    assert shine(Show.WELL, 0) == (100, None)
    assert shine(Show.WELL, 10**15) == (100, None)


def test_what_needs_the_owner_blinks_faster_than_what_takes_time() -> None:
    assert flashes(Show.BUSY, 8) == 4
    assert flashes(Show.NEEDS_YOU, 8) == 32
    assert flashes(Show.SILENT, 8) == 8


def test_breathing_goes_up_and_down_in_few_steps() -> None:
    levels = [level for level, _ in film(Show.SOLD_OUT, 3)]
    top = levels.index(100)
    assert levels[: top + 1] == sorted(levels[: top + 1])
    assert levels[top : levels.index(0)] == sorted(levels[top : levels.index(0)], reverse=True)
    assert len(levels) <= 24
    assert min(wait for _, wait in film(Show.SOLD_OUT, 3)) >= S // 10


def test_the_countdown_gets_faster_until_its_end_and_then_stays_lit() -> None:
    seconds = (RESET_NS - SHUT_DOWN_NS) // S
    each = [0] * seconds
    at = 0
    for level, wait in film(Show.COUNTDOWN, seconds):
        if level and wait < S:
            each[min(at // S, seconds - 1)] += 1
        at += wait
    assert each == sorted(each)
    assert each[0] == 1
    assert each[-1] >= seconds
    assert shine(Show.COUNTDOWN, seconds * S) == (100, None)


def test_every_pattern_looks_like_no_other() -> None:
    alike = {Show.WELL, Show.LET_GO}  # Only a hand that has just seen the countdown sees LET_GO.
    seen = {tuple(film(show, 10)) for show in Show if show not in alike}
    assert len(seen) == len(Show) - len(alike)


@given(st.sampled_from(Show), st.integers(0, 10**13))
def test_the_time_until_the_next_change_is_kept(show: Show, at: int) -> None:
    level, wait = shine(show, at)
    assert 0 <= level <= 100
    if wait is None:
        assert not pattern(show).again
        return
    assert wait > 0
    assert shine(show, at + wait - 1)[0] == level
    assert shine(show, at + wait)[1] != 0


def chosen(
    at: int, heard: DaemonState | None = None, button: Button = REST, answered: Feedback | None = None
) -> Show:
    return choose(MonoNs(0), heard, button, answered, MonoNs(at))[0]


def test_a_daemon_that_starts_is_busy_and_one_that_never_does_is_silent() -> None:
    assert chosen(START_NS - 1) is Show.BUSY
    assert chosen(START_NS) is Show.SILENT


@pytest.mark.parametrize("show", [Show.WELL, Show.BUSY, Show.NEEDS_YOU, Show.SOLD_OUT])
def test_what_the_daemon_said_holds_until_it_has_been_silent_for_some_seconds(show: Show) -> None:
    heard = DaemonState(show, MonoNs(S))
    assert chosen(S + SILENT_NS - 1, heard) is show
    assert chosen(S + SILENT_NS, heard) is Show.SILENT


def test_the_hand_on_the_button_comes_before_all_else() -> None:
    heard, answered = (
        DaemonState(Show.NEEDS_YOU, MonoNs(0)),
        Feedback(Show.PRESSED, MonoNs(0), MonoNs(10**12)),
    )
    button = Button(contact=True, pressed=MonoNs(0))
    for at, show in (
        (SHUT_DOWN_NS - 1, Show.PRESSED),
        (SHUT_DOWN_NS, Show.COUNTDOWN),
        (RESET_NS - 1, Show.COUNTDOWN),
        (RESET_NS, Show.LET_GO),
        (STUCK_NS, Show.PRESSED),
    ):
        assert chosen(at, heard, button, answered) is show
    assert choose(MonoNs(0), heard, button, answered, MonoNs(5 * S))[1] == SHUT_DOWN_NS
