"""systemd's watchdog, fed only while every loop of the daemon sends heartbeats (sd_notify(3), WATCHDOG=1)."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable

from appliance.core.clock import Clock
from appliance.core.errors import Bug
from appliance.core.process import notify

log = logging.getLogger(__name__)

SILENT_S = 180
"""A loop without a heartbeat for so long is taken for dead."""


class Watchdog:
    """The last heartbeat of each loop, by the loop's name."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beats: dict[str, int] = {}

    def beat(self, name: str) -> None:
        """Note that the loop `name` is alive at this moment."""
        self._beats[name] = self._clock.mono()

    def check(self) -> None:
        """Raise Bug where a loop has fallen silent."""
        for name, last in self._beats.items():
            silent = (self._clock.mono() - last) / 1e9
            if silent > SILENT_S:
                raise Bug(f"The loop {name} has not worked for {silent:.0f} seconds.")

    async def watch(self, round_trip: Callable[[], Awaitable[None]], sentence: Callable[[], str]) -> None:
        """Feed systemd's watchdog for ever, after a round trip to the engine and heartbeats of all loops.

        `sentence` is what `systemctl status` shows.
        """
        period = _watchdog_s() / 3
        while True:
            await round_trip()
            self.check()
            notify(f"WATCHDOG=1\nSTATUS={sentence()}")
            await asyncio.sleep(period)


def _watchdog_s() -> float:
    """The seconds that systemd allows between two feeds; 60 where it does not watch."""
    with contextlib.suppress(ValueError, KeyError):
        return min(60.0, int(os.environ["WATCHDOG_USEC"]) / 1e6)
    return 60.0
