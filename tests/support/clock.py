"""A clock that moves only when a test moves it."""

from dataclasses import dataclass

from appliance.core.units import MonoNs, UtcMs


@dataclass(slots=True)
class FakeClock:
    """Wall and monotonic time apart, so that jumps of the wall clock can be played."""

    wall: UtcMs = UtcMs(1_750_000_000_000)  # noqa: RUF009  a NewType, not a call
    steady: MonoNs = MonoNs(0)  # noqa: RUF009

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
