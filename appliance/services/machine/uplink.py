"""The uplink guard: it probes round trips, decides twice a second, and caps the upload for others at home."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from appliance.core.clock import Clock
from appliance.core.config import GovernorConfig
from appliance.core.service import Beat
from appliance.core.units import KIB, BytesPerSecond
from appliance.domain.governor.uplink import HomeLineReading, UplinkState, decide

log = logging.getLogger(__name__)

TICK_S = 0.5
_BUSY = 8 * KIB
"""Bytes a second of sending from which on the line is probed closely."""
_RATE_TICKS = 4
_WORTH = 100
"""A cap is put into force when it has moved by a hundredth."""


class RoundTrips(Protocol):
    """Who measures round trips (`adapters/board/latency.py`)."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkGuardPorts:
    """What the uplink guard needs of the outside."""

    probe: RoundTrips
    sent: Callable[[], int]
    """Bytes that were sent since the session began."""
    wanted: Callable[[], BytesPerSecond]
    """What the other limits allow; 0: unlimited."""
    set_cap: Callable[[BytesPerSecond | None], None]
    """Puts a cap into force, or takes it away with None."""
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkReading:
    """What the uplink guard knows of the home line, and what it leaves of the upload."""

    cap: BytesPerSecond | None
    """Bytes a second; None: all of it."""
    latency_us: int | None
    base_us: int | None


class UplinkGuard:
    """Caps the upload while it would delay others."""

    def __init__(self, config: GovernorConfig, ports: UplinkGuardPorts) -> None:
        self._config = config
        self._ports = ports
        self._state = UplinkState()
        self._counts: deque[tuple[int, int]] = deque(maxlen=_RATE_TICKS + 1)
        """(time, bytes sent until then)."""
        self.cap: BytesPerSecond | None = None
        """In force now."""

    @property
    def gives_way(self) -> bool:
        """Whether others on the home line need it, and have for some time."""
        return self._state.gives_way

    def reading(self) -> UplinkReading:
        """The home line for the owner and for buyers, who are told of caps that last only."""
        probe = self._ports.probe
        cap = self.cap if self.gives_way else None
        return UplinkReading(cap=cap, latency_us=probe.latency_us, base_us=probe.latency_base_us)

    async def run(self, beat: Beat) -> None:
        """Measure, decide, and put the cap into force, for ever; nothing of it where it is switched off."""
        async with asyncio.TaskGroup() as group:
            if self._config.courtesy:
                group.create_task(self._ports.probe.run(self._busy), name="latency")
            while True:
                self.tick()
                beat()
                await asyncio.sleep(TICK_S)

    def tick(self) -> None:
        """Decide once, and put it into force where it has changed."""
        if not self._config.courtesy:
            return
        ports = self._ports
        now = ports.clock.mono()
        self._counts.append((now, ports.sent()))
        line = HomeLineReading(
            now=now,
            latency_us=ports.probe.latency_us,
            base_us=ports.probe.latency_base_us,
            up_rate=self._rate(),
            wanted=ports.wanted(),
        )
        self._state, cap = decide(self._state, line, self._config.courtesy_delay * 1_000)
        if _differs(cap, self.cap):
            log.debug("the upload's cap: %s (round trip %s of %s us)", cap, line.latency_us, line.base_us)
            self.cap = cap
            ports.set_cap(cap)

    def _rate(self) -> BytesPerSecond:
        """Bytes a second over the last ticks."""
        (began, first), (ended, last) = self._counts[0], self._counts[-1]
        passed = ended - began
        return BytesPerSecond(max(0, last - first) * 1_000_000_000 // passed if passed > 0 else 0)

    def _busy(self) -> bool:
        return bool(self._counts) and self._rate() >= _BUSY


def _differs(cap: BytesPerSecond | None, before: BytesPerSecond | None) -> bool:
    if cap is None or before is None:
        return cap is not before
    return cap != before and (cap < before or (cap - before) * _WORTH >= before)
