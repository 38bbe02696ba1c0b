"""systemd's watchdog, fed only while every loop of the daemon sends heartbeats (sd_notify(3), WATCHDOG=1)."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable

from appliance.core.clock import Clock
from appliance.core.errors import Bug, RetryLater
from appliance.core.process import notify

log = logging.getLogger(__name__)

SILENT_S = 180
"""A loop without a heartbeat for so long is taken for dead."""
GAP_S = 40
"""Longer than this between two checks, and the whole process slept: SIGSTOP, a suspended machine."""


class Watchdog:
    """The last heartbeat of each loop, by the loop's name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beats: dict[str, int] = {}
        self._checked: int | None = None

    def beat(self, name: str) -> None:
        """Note that the loop `name` is alive at this moment."""
        self._beats[name] = self._clock.mono()

    def check(self) -> None:
        """Raise Bug where a loop has fallen silent while this one worked.

        The time that this check itself missed is no loop's silence.
        """
        now = self._clock.mono()
        slept = max(0, now - (now if self._checked is None else self._checked) - GAP_S * 10**9)
        self._checked = now
        for name in self._beats:
            self._beats[name] = min(now, self._beats[name] + slept)
        for name, last in self._beats.items():
            silent = (now - last) / 1e9
            if silent > SILENT_S:
                raise Bug(f"The loop {name} has not worked for {silent:.0f} seconds.")

    async def watch(self, round_trip: Callable[[], Awaitable[None]], sentence: Callable[[], str]) -> None:
        """Feed systemd's watchdog for ever, after a round trip to the engine and heartbeats of all loops.

        `sentence` is what `systemctl status` shows.
        """
        period = _watchdog_s() / 3
        while True:
            await _twice(round_trip)
            self.check()
            notify(f"WATCHDOG=1\nSTATUS={sentence()}")
            await asyncio.sleep(period)


async def _twice(round_trip: Callable[[], Awaitable[None]]) -> None:
    """A round trip, and another if it fails: its time may have run out while the process slept."""
    try:
        await round_trip()
    except RetryLater as error:
        log.warning("%s Asking again.", error)
        await round_trip()


def _watchdog_s() -> float:
    """The seconds that systemd allows between two feeds; 60 where it does not watch."""
    with contextlib.suppress(ValueError, KeyError):
        return min(60.0, int(os.environ["WATCHDOG_USEC"]) / 1e6)
    return 60.0
