"""An event loop whose time passes at once: hours of waiting in milliseconds, and always in the same order."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from tests.support.clock import FakeClock

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    """When nothing is ready, the clock is set to the next timer. Threads and sockets are not waited for."""

    def __init__(self, clock: FakeClock) -> None:
        self._fake_clock = clock
        super().__init__()

    def time(self) -> float:
        """Seconds of the fake clock."""
        return self._fake_clock.steady / 1e9

    def _run_once(self) -> None:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        if not self._ready and timers:  # type: ignore[attr-defined]
            self._fake_clock.advance(max(0.0, timers[0].when() - self.time()) + 1e-6)
        super()._run_once()  # type: ignore[misc]


def play(clock: FakeClock, story: Coroutine[Any, Any, T]) -> T:
    """Run a story in the time of `clock`."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(clock)) as runner:
        return runner.run(story)
