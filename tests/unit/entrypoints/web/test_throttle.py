"""Guessing passwords gets slower and slower; who guesses does not lock the owner out."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.entrypoints.web.throttle import (
    ALL_TRIES,
    FREE_TRIES,
    LONGEST_WAIT_S,
    MOST_ADDRESSES,
    LoginThrottle,
)


class Time:
    """A clock that is set by hand."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_few_slips_cost_nothing_and_then_every_one_doubles_the_wait() -> None:
    time = Time()
    throttle = LoginThrottle(time)
    for _ in range(FREE_TRIES - 1):
        throttle.failed("a")
        assert throttle.wait_s("a") == 0
    waits = []
    for _ in range(12):
        throttle.failed("a")
        waits.append(throttle.wait_s("a"))
        assert throttle.wait_s("b") == 0
    assert waits[:4] == [2, 4, 8, 16]
    assert waits[-1] == LONGEST_WAIT_S
    time.now += LONGEST_WAIT_S
    assert throttle.wait_s("a") == 0


def test_the_right_password_clears_the_slate() -> None:
    throttle = LoginThrottle(Time())
    for _ in range(FREE_TRIES + 1):
        throttle.failed("a")
    throttle.passed("a")
    assert throttle.wait_s("a") == 0


def test_many_addresses_together_slow_everybody_a_little_and_memory_is_bounded() -> None:
    time = Time()
    throttle = LoginThrottle(time)
    for number in range(ALL_TRIES):
        throttle.failed(f"host{number}")
    assert 0 < throttle.wait_s("owner") <= 5
    time.now += 5
    assert throttle.wait_s("owner") == 0
    for number in range(3 * MOST_ADDRESSES):
        throttle.failed(f"other{number}")
    assert len(throttle._failures) <= MOST_ADDRESSES


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["fail", "pass", "wait"]), st.floats(0, 400)))
)
def test_no_wait_is_negative_or_longer_than_the_longest(steps: list[tuple[str, str, float]]) -> None:
    time = Time()
    throttle = LoginThrottle(time)
    for address, what, seconds in steps:
        time.now += seconds
        if what == "fail":
            throttle.failed(address)
        elif what == "pass":
            throttle.passed(address)
        assert 0 <= throttle.wait_s(address) <= LONGEST_WAIT_S
