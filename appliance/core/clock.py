"""Time as an argument: the wall clock for people, the monotonic clock for decisions."""

import time
from typing import Protocol

from appliance.core.units import MonoNs, UtcMs


class Clock(Protocol):
    """A source of time."""

    def now(self) -> UtcMs:
        """Wall-clock time, for people; it jumps when NTP first answers."""
        ...

    def mono(self) -> MonoNs:
        """Time that only goes forward, for decisions."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> UtcMs:
        """Wall-clock time in milliseconds."""
        return UtcMs(time.time_ns() // 1_000_000)

    def mono(self) -> MonoNs:
        """Monotonic time in nanoseconds."""
        return MonoNs(time.monotonic_ns())
