"""A loop that is silent is taken for dead; systemd's watchdog is fed only while all live."""

import asyncio
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.errors import Bug, RetryLater
from appliance.entrypoints.daemon.watchdog import GAP_S, SILENT_S, Watchdog
from tests.support.clock import FakeClock


def test_a_loop_that_fell_silent_is_named() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    watchdog.beat("catalogue")
    watchdog.beat("poll")
    clock.advance(SILENT_S - 1)
    watchdog.beat("poll")
    watchdog.check()
    clock.advance(2)
    with pytest.raises(Bug, match="catalogue"):
        watchdog.check()


def test_a_jump_of_the_wall_clock_kills_nobody() -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    watchdog.beat("poll")
    clock.jump(30 * 365 * 86_400)
    watchdog.check()
    clock.jump(-60 * 365 * 86_400)
    watchdog.check()


@pytest.mark.parametrize("asleep", [SILENT_S - 1, SILENT_S + 60, 14 * 86_400])
def test_a_process_that_slept_is_not_dead_and_a_loop_that_does_not_wake_up_with_it_is(asleep: float) -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    for name in ("poll", "catalogue"):
        watchdog.beat(name)
    watchdog.check()
    clock.advance(asleep)
    watchdog.check()
    for _ in range(SILENT_S // 10 - 5):
        clock.advance(10)
        watchdog.beat("poll")
        watchdog.check()
    clock.advance(20)
    watchdog.beat("poll")
    with pytest.raises(Bug, match="catalogue"):
        watchdog.check()


@given(
    st.lists(st.tuples(st.floats(0, 20), st.just(0.0) | st.floats(0, 1e6)), min_size=1, max_size=60),
)
def test_whenever_the_process_sleeps_only_a_loop_that_is_silent_while_it_works_is_dead(
    steps: list[tuple[float, float]],
) -> None:
    clock = FakeClock()
    watchdog = Watchdog(clock)
    watchdog.beat("silent")
    watchdog.check()
    silent_s = 0.0
    for worked, slept in steps:
        clock.advance(worked + slept)
        silent_s += worked + min(slept, GAP_S)
        try:
            watchdog.check()
        except Bug:
            assert silent_s > SILENT_S
            return


def test_an_engine_whose_time_ran_out_while_the_process_slept_is_asked_again() -> None:
    trips = 0

    class Fed(Exception):
        pass

    async def trip() -> None:
        nonlocal trips
        trips += 1
        if trips == 1:
            raise RetryLater("libtorrent has not answered.")

    def sentence() -> str:
        raise Fed

    with pytest.raises(Fed):
        asyncio.run(Watchdog(FakeClock()).watch(trip, sentence))
    assert trips == 2


def test_the_watchdog_is_fed_after_a_round_trip_and_not_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "30000")
        watchdog = Watchdog(FakeClock())
        trips = 0

        async def trip() -> None:
            nonlocal trips
            trips += 1
            if trips >= 3:
                raise RetryLater("libtorrent has not answered.")

        with pytest.raises(RetryLater):
            asyncio.run(watchdog.watch(trip, lambda: "Seeding."))
        assert trips == 4
        fed = [systemd.recv(1_000) for _ in range(2)]
        assert fed == [b"WATCHDOG=1\nSTATUS=Seeding."] * 2
        with pytest.raises(BlockingIOError):
            systemd.recv(1_000)
