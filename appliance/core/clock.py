"""Time as an argument: the two clocks of the machine, and one for tests."""

import time
from dataclasses import dataclass
from typing import Protocol

from appliance.core.units import MonoNs, UtcMs


class Clock(Protocol):
    """Where time comes from."""

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


@dataclass(slots=True)
class FakeClock:
    """A clock that goes only when told; wall and monotonic time apart, so that jumps can be played."""

    wall: UtcMs = UtcMs(1_750_000_000_000)
    steady: MonoNs = MonoNs(0)

    def now(self) -> UtcMs:
        """The wall time last set."""
        return self.wall

    def mono(self) -> MonoNs:
        """The monotonic time last set."""
        return self.steady

    def advance(self, seconds: float) -> None:
        """Let both clocks go on by `seconds`."""
        self.wall = UtcMs(self.wall + round(seconds * 1_000))
        self.steady = MonoNs(self.steady + round(seconds * 1_000_000_000))

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back, as NTP or an owner does; monotonic time stays."""
        self.wall = UtcMs(self.wall + round(seconds * 1_000))
