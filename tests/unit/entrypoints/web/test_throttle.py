"""Guessing passwords gets slower and slower; who guesses does not lock the owner out."""

import threading
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.errors import RetryLater
from appliance.entrypoints.web.throttle import (
    ALL_TRIES,
    FREE_TRIES,
    LONGEST_WAIT_S,
    MOST_NEIGHBOURS,
    LoginThrottle,
    Turns,
    neighbour,
)
from tests.support.until import until


class Time:
    """A clock that is set by hand."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_few_slips_cost_nothing_and_then_every_one_doubles_the_wait() -> None:
    time = Time()
    throttle = LoginThrottle(time)
    assert [throttle.begin("a") for _ in range(FREE_TRIES)] == [0] * FREE_TRIES
    waits = []
    for _ in range(12):
        waits.append(throttle.begin("a"))
        time.now += waits[-1]
        assert throttle.begin("a") == 0
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == LONGEST_WAIT_S


def test_many_tries_at_once_are_no_way_around() -> None:
    throttle = LoginThrottle(Time())
    assert [throttle.begin("a") for _ in range(100)].count(0) == FREE_TRIES


def test_the_right_password_clears_the_slate() -> None:
    throttle = LoginThrottle(Time())
    for _ in range(FREE_TRIES):
        throttle.begin("a")
    assert throttle.begin("a")
    throttle.passed("a")
    assert throttle.begin("a") == 0


def test_a_try_that_came_to_no_answer_does_not_count_and_clears_nothing() -> None:
    throttle = LoginThrottle(Time())
    for _ in range(FREE_TRIES - 1):
        throttle.begin("a")
    for _ in range(3 * ALL_TRIES):
        assert throttle.begin("a") == 0
        throttle.take_back("a")
    assert throttle.begin("a") == 0
    assert throttle.begin("a") > 0
    assert throttle.begin("b") == 0


def test_many_neighbours_together_slow_everybody_a_little_and_memory_is_bounded() -> None:
    time = Time()
    throttle = LoginThrottle(time)
    for number in range(ALL_TRIES):
        throttle.begin(f"host{number}")
    assert 0 < throttle.begin("owner") <= 5
    assert throttle.begin("owner", "the owner's browser") == 0
    time.now += 5
    assert throttle.begin("owner") == 0
    for number in range(3 * MOST_NEIGHBOURS):
        time.now += 6
        throttle.begin(f"other{number}")
    assert len(throttle._failures) <= MOST_NEIGHBOURS


def test_a_known_browser_has_no_more_tries_than_others_and_is_held_up_by_nobody_else() -> None:
    throttle = LoginThrottle(Time())
    assert [throttle.begin("thief", "browser") for _ in range(20)].count(0) == FREE_TRIES
    assert throttle.begin("home", "browser") == 0
    throttle.passed("home", "browser")
    for _ in range(FREE_TRIES):
        throttle.begin("home")
    assert throttle.begin("home") > 0
    assert throttle.begin("home", "browser") == 0
    throttle.passed("home", "browser")
    assert throttle.begin("home") > 0


@pytest.mark.parametrize("since", [0, 7, 61, 599, 3_600])
def test_the_owner_gets_in_within_30_s_while_three_neighbours_guess_constantly(since: int) -> None:
    time = Time()
    throttle = LoginThrottle(time)

    def guess(seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            time.now += 0.5
            for stranger in ("a", "b", "c"):
                throttle.begin(stranger)

    guess(since)
    began = time.now
    while throttle.begin("owner"):
        guess(1)
    assert time.now - began <= 30


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["fail", "pass", "none"]), st.floats(0, 400)),
        max_size=200,
    )
)
def test_no_wait_is_negative_or_longer_than_the_longest(steps: list[tuple[str, str, float]]) -> None:
    time = Time()
    throttle = LoginThrottle(time)
    for who, what, seconds in steps:
        time.now += seconds
        wait = throttle.begin(who)
        assert 0 <= wait <= LONGEST_WAIT_S
        if wait == 0 and what == "pass":
            throttle.passed(who)
        if wait == 0 and what == "none":
            throttle.take_back(who)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2a01:4f8:1:2::1", "2a01:4f8:1:2:ffff::9", True),
        ("2a01:4f8:1:2::1", "2a01:4f8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", False),
        ("fd00::1", "fd00::2", False),
        (None, "nonsense", True),
    ],
)
def test_a_neighbour_is_an_address_or_the_network_that_one_host_may_fill(
    one: str | None, other: str, same: bool
) -> None:
    assert (neighbour(one) == neighbour(other)) is same


def test_one_works_at_a_time_a_few_wait_and_the_rest_is_refused_at_once() -> None:
    turns = Turns(most_waiting=2)
    working, most, lock = 0, 0, threading.Lock()

    def check() -> None:
        nonlocal working, most
        with turns.turn():
            with lock:
                working += 1
                most = max(most, working)
            with lock:
                working -= 1

    waiting = [threading.Thread(target=check) for _ in range(2)]
    with turns.turn():
        for thread in waiting:
            thread.start()
        until(lambda: turns._places._value == 0, "two that wait")
        with pytest.raises(RetryLater, match="Try again"), turns.turn():
            pass
    for thread in waiting:
        thread.join(30)
    assert most == 1
    with turns.turn():
        pass


def test_a_turn_that_does_not_come_is_given_up_and_leaves_no_place_taken() -> None:
    turns = Turns(most_waiting=2, wait_s=0.01)
    with turns.turn():
        for _ in range(10):
            with pytest.raises(RetryLater), turns.turn():
                pass
    with ExitStack() as held:
        held.enter_context(turns.turn())
