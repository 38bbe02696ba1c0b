"""Rates, totals and traffic over time, from the session's counters."""

import msgspec

from appliance.adapters.store.settings import Settings
from appliance.adapters.store.traffic import TrafficLog
from appliance.core.clock import Clock

_KEY = "payload"
_SMOOTH_S = 6.0
_FADE_S = 86_400.0


class _Total(msgspec.Struct):
    """Payload bytes since the box was first started."""

    up: int = 0
    down: int = 0


class Meter:
    """Payload sent and received."""

    def __init__(self, clock: Clock, traffic: TrafficLog, settings: Settings) -> None:
        self._clock = clock
        self._traffic = traffic
        self._settings = settings
        self._total = settings.decoded(_KEY, _Total) or _Total()
        self._kept = (self._total.up, self._total.down)
        self._last = (clock.mono(), 0, 0)
        self.up_rate = 0
        """Bytes per second, smoothed over some seconds."""
        self.down_rate = 0
        self.peak = 0
        """Highest `up_rate` for some hours: what the uplink can do, where no limit says it."""

    @property
    def uploaded(self) -> int:
        """Payload bytes since the box was first started."""
        return self._total.up

    @property
    def downloaded(self) -> int:
        """Payload bytes since the box was first started."""
        return self._total.down

    def read(self, sent: int, received: int) -> None:
        """Take a reading of the session's counters, which only rise."""
        now = self._clock.mono()
        before, sent_before, received_before = self._last
        seconds = (now - before) / 1e9
        if seconds <= 0:
            return
        up, down = max(0, sent - sent_before), max(0, received - received_before)
        self._last = (now, sent, received)
        self._total.up += up
        self._total.down += down
        self._traffic.add(up, down)
        share = min(1.0, seconds / _SMOOTH_S)
        self.up_rate = _smoothed(self.up_rate, up / seconds, share)
        self.peak = max(self.up_rate, int(self.peak * (1 - seconds / _FADE_S)))
        self.down_rate = _smoothed(self.down_rate, down / seconds, share)

    async def flush(self) -> None:
        """Keep the totals, where they changed. Raises RetryLater."""
        total = (self._total.up, self._total.down)
        if total != self._kept:
            await self._settings.put(_KEY, msgspec.msgpack.encode(self._total), durable=False)
            self._kept = total


def _smoothed(old: int, new: float, share: float) -> int:
    value = old + (new - old) * share
    return 0 if value < 64 else round(value)
