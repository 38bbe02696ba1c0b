"""How long a round trip beyond the home's uplink takes, now and when nothing is sent."""

import asyncio
import contextlib
import logging
import statistics
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from appliance.adapters.board.first_router import find_target
from appliance.adapters.board.probe_socket import LOST_US, ProbeSocket, Target, opened
from appliance.core.clock import Clock

log = logging.getLogger(__name__)

_IDLE_S, _AGAIN_S = 10.0, 60.0
_GIVE_UP = 8
"""So many lost in a row: the target is gone, and another is looked for."""
_ENOUGH = 3
"""Answers before anything is said."""
_WINDOW_MIN = 60


@dataclass(slots=True)
class Window:
    """Median of the last probes, and the least median of the last hour."""

    clock: Clock
    size: int = 5
    _last: deque[int] = field(default_factory=deque)
    _minutes: deque[tuple[int, int]] = field(default_factory=deque)
    """(minute, least median in it)."""
    _answers: int = 0

    def take(self, took_us: int | None) -> None:
        """A round trip in microseconds; None: it was lost."""
        self._answers += took_us is not None
        self._last.append(LOST_US if took_us is None else took_us)
        while len(self._last) > self.size:
            self._last.popleft()
        now = self.median_us
        if now is not None and now < LOST_US:
            self._note(now)

    def _note(self, now: int) -> None:
        """Keep a median, where it is the least of its minute."""
        minute = self.clock.mono() // 60_000_000_000
        if self._minutes and self._minutes[-1][0] == minute:
            now = min(now, self._minutes.pop()[1])
        self._minutes.append((minute, now))
        self._forget(minute)

    @property
    def median_us(self) -> int | None:
        """Median of the last probes, a lost one counted as late; None before there are enough."""
        if self._answers < _ENOUGH or len(self._last) < _ENOUGH:
            return None
        return round(statistics.median(self._last))

    @property
    def least_us(self) -> int | None:
        """The least median of the last hour."""
        self._forget(self.clock.mono() // 60_000_000_000)
        return min((least for _, least in self._minutes), default=None)

    def _forget(self, minute: int) -> None:
        while self._minutes and self._minutes[0][0] <= minute - _WINDOW_MIN:
            self._minutes.popleft()


class LatencyProbe:
    """Probes the way beyond the uplink; both readings are None while nothing is known."""

    def __init__(self, host: str, clock: Clock) -> None:
        """`host` is asked; where it is empty, the first router beyond the home's own."""
        self._host = host
        self._clock = clock
        self.target: Target | None = None
        self._known: tuple[str, int] = ("", 0)
        self._window = Window(clock)
        self._lost = 0

    @property
    def latency_us(self) -> int | None:
        """Round trip, median of the last probes, microseconds."""
        return self._window.median_us if self.target else None

    @property
    def latency_base_us(self) -> int | None:
        """The least of the last hour."""
        return self._window.least_us if self.target else None

    async def run(self, busy: Callable[[], bool]) -> None:
        """For ever: twice a second while the box is `busy` sending or little is known, else seldom."""
        while True:
            target = await find_target(self._host)
            if target is None:
                await asyncio.sleep(_AGAIN_S)
                continue
            self._begin(target)
            with contextlib.suppress(OSError), opened(target) as probes:
                await self._probe(probes, target, busy)
            self.target = None

    def _begin(self, target: Target) -> None:
        if self._known != (target.address, target.hops):
            self._window = Window(self._clock, target.window)
            self._known = (target.address, target.hops)
            log.debug("measuring round trips to %s", _described(target))
        self._lost = 0
        self.target = target

    async def _probe(self, probes: ProbeSocket, target: Target, busy: Callable[[], bool]) -> None:
        """Probe until it no longer answers."""
        while self._lost < _GIVE_UP:
            probes.send()
            waited = 0.0
            # What was idle may become busy at any moment.
            while waited < target.interval_s or (waited < _IDLE_S and not self._hurried(busy)):
                await asyncio.sleep(target.interval_s)
                waited += target.interval_s
                self._take(probes)

    def _hurried(self, busy: Callable[[], bool]) -> bool:
        return busy() or self._lost > 0 or self._window.median_us is None

    def _take(self, probes: ProbeSocket) -> None:
        for took in probes.results():
            self._lost = self._lost + 1 if took is None else 0
            self._window.take(took)


def _described(target: Target) -> str:
    how = "ICMP echo" if target.echo else "UDP"
    return f"{target.hops} hops away, by {how}" if target.hops else f"{target.address}, by {how}"
