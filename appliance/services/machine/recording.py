"""What is counted and noted all the time, and written in few commits to spare the SD card."""

import asyncio
from collections.abc import Callable, Sequence

from appliance.adapters.store.batches import Flushes, try_flush
from appliance.core.clock import Clock
from appliance.core.service import Beat
from appliance.services.machine.meter import Meter

POLL_S = 2.0
"""How often the engine is asked for numbers: the page shows them, nothing is decided by them."""
EVENTS_S = 10.0
"""How often events are written."""
MEASURED_S = 300.0
"""How often measurements are written, in one go."""


class Polling:
    """Asks the engine for its counters, and reads them into the meter."""

    def __init__(
        self, poll: Callable[[], None], counted: Callable[[], tuple[int, int]], meter: Meter
    ) -> None:
        """`poll` asks for fresh numbers; `counted` gives the last: payload bytes (sent, received)."""
        self._poll, self._counted, self._meter = poll, counted, meter

    async def run(self, beat: Beat) -> None:
        """Poll for ever."""
        while True:
            self._poll()
            self._meter.read(*self._counted())
            beat()
            await asyncio.sleep(POLL_S)


class Recording:
    """Writes events soon, and measurements seldom; what cannot be written now is tried again."""

    def __init__(self, events: Flushes, measured: Sequence[Flushes], clock: Clock) -> None:
        self._events, self._measured, self._clock = events, measured, clock

    async def run(self, beat: Beat) -> None:
        """Write for ever."""
        written = self._clock.mono()
        while True:
            beat()
            await asyncio.sleep(EVENTS_S)
            await try_flush(self._events)
            if (self._clock.mono() - written) / 1e9 >= MEASURED_S:
                written = self._clock.mono()
                await try_flush(*self._measured)

    async def flush(self) -> None:
        """Write all that is new; one that cannot be written keeps none of the others from it."""
        await try_flush(*self._measured, self._events)
