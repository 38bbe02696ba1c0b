"""What has died is started again, with a delay that grows, and that shrinks once it lives for a while."""

from appliance.entrypoints.daemon.run import LONGEST_WAIT_S, SHORTEST_WAIT_S, RestartDelay
from tests.support.clock import FakeClock


def waited(delay: RestartDelay, clock: FakeClock) -> float:
    """Seconds from a death to the next start."""
    began = clock.mono()
    while not delay.over():
        clock.advance(0.25)
    delay.started()
    return (clock.mono() - began) / 1e9


def test_what_dies_at_once_is_started_later_each_time_and_for_ever() -> None:
    clock = FakeClock()
    delay = RestartDelay(clock)
    waits = [waited(delay, clock) for _ in range(20)]
    assert waits[:4] == [SHORTEST_WAIT_S, 2, 4, 8]
    assert waits == sorted(waits)
    assert set(waits[6:]) == {LONGEST_WAIT_S}


def test_what_has_lived_for_a_while_is_started_soon() -> None:
    clock = FakeClock()
    delay = RestartDelay(clock)
    for _ in range(10):
        waited(delay, clock)
    clock.advance(LONGEST_WAIT_S + 1)
    assert waited(delay, clock) == SHORTEST_WAIT_S
