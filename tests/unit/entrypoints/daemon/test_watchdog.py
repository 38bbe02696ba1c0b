"""A loop that is silent is taken for dead; systemd's watchdog is fed only while all live."""

import asyncio
import socket
from pathlib import Path

import pytest

from appliance.core.errors import Bug, RetryLater
from appliance.entrypoints.daemon.watchdog import SILENT_S, Watchdog
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
            if trips == 3:
                raise RetryLater("libtorrent has not answered.")

        with pytest.raises(RetryLater):
            asyncio.run(watchdog.watch(trip, lambda: "Seeding."))
        fed = [systemd.recv(1_000) for _ in range(2)]
        assert fed == [b"WATCHDOG=1\nSTATUS=Seeding."] * 2
        with pytest.raises(BlockingIOError):
            systemd.recv(1_000)
