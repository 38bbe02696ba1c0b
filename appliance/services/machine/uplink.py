"""Courtesy on the home line, carried out: probes, the rule twice a second, and the cap that it gives."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Protocol

from appliance.core.clock import Clock
from appliance.core.config import Governor
from appliance.core.units import KIB, BytesPerSecond
from appliance.domain.governor.uplink import Courteous, Line, step

log = logging.getLogger(__name__)

TICK_S = 0.5
_BUSY = 8 * KIB
"""Bytes a second of sending from which on the line is looked at closely."""
_RATE_TICKS = 4
_WORTH = 100
"""A cap is put into force when it has moved by a hundredth."""


class Probe(Protocol):
    """Who measures round trips (`board.latency`)."""

    @property
    def latency_us(self) -> int | None:
        """Now; None: not known."""
        ...

    @property
    def latency_base_us(self) -> int | None:
        """When nothing is sent; None: not known."""
        ...

    async def run(self, busy: Callable[[], bool]) -> None:
        """Probe for ever, often while `busy`."""
        ...


class Courtesy:
    """Caps the upload while it would delay others."""

    def __init__(
        self,
        config: Governor,
        probe: Probe,
        sent: Callable[[], int],
        wanted: Callable[[], BytesPerSecond],
        set_cap: Callable[[BytesPerSecond | None], None],
        clock: Clock,
    ) -> None:
        """`sent` counts the bytes that were sent, `wanted` is what the other limits allow (0: unlimited),
        and `set_cap` puts a cap into force, or takes it away with None."""
        self._config = config
        self.probe = probe
        self._sent = sent
        self._wanted = wanted
        self._set_cap = set_cap
        self._clock = clock
        self._state = Courteous()
        self._counts: deque[tuple[int, int]] = deque(maxlen=_RATE_TICKS + 1)
        """(time, bytes sent until then)."""
        self.cap: BytesPerSecond | None = None
        """What is in force."""

    @property
    def gives_way(self) -> bool:
        """Others on the home line need it, and have for some time."""
        return self._state.gives_way

    async def run(self, beat: Callable[[], None]) -> None:
        """For ever: measure, decide, and put the cap into force."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.probe.run(self._busy), name="latency")
            while True:
                self.tick()
                beat()
                await asyncio.sleep(TICK_S)

    def tick(self) -> None:
        """Decide once, and put it into force where it has changed."""
        now = self._clock.mono()
        self._counts.append((now, self._sent()))
        if not self._config.courtesy:
            return
        line = Line(
            now=now,
            latency_us=self.probe.latency_us,
            base_us=self.probe.latency_base_us,
            up_rate=self._rate(),
            wanted=self._wanted(),
        )
        self._state, cap = step(self._state, line, self._config.courtesy_delay * 1_000)
        if _differs(cap, self.cap):
            log.debug("the upload's cap: %s (round trip %s of %s us)", cap, line.latency_us, line.base_us)
            self.cap = cap
            self._set_cap(cap)

    def _rate(self) -> BytesPerSecond:
        """Bytes a second over the last ticks."""
        (began, first), (ended, last) = self._counts[0], self._counts[-1]
        passed = ended - began
        return BytesPerSecond(max(0, last - first) * 1_000_000_000 // passed if passed > 0 else 0)

    def _busy(self) -> bool:
        return self._rate() >= _BUSY if self._counts else False


def _differs(cap: BytesPerSecond | None, before: BytesPerSecond | None) -> bool:
    if cap is None or before is None:
        return cap is not before
    return cap != before and (cap < before or (cap - before) * _WORTH >= before)
