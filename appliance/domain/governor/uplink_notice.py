"""The owner's notice of the uplink guard, whose cap itself moves by the second and is applied elsewhere.

A notice stays for some minutes, so that the owner reads one sentence and not sixty.
"""

from dataclasses import dataclass, replace

from appliance.core.units import MonoNs
from appliance.domain.governor.hysteresis import MINUTE_NS, Gate
from appliance.domain.governor.readings import Readings
from appliance.domain.governor.throttle import Cut, Throttle, ThrottleRule

CALM_NS = 5 * MINUTE_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class UplinkNotice:
    """The sentence, and when it was last true."""

    says: str = ""
    last: MonoNs = MonoNs(0)

    def moved(self, by: int) -> "UplinkNotice":
        """The same at another monotonic clock, that many nanoseconds ahead."""
        return replace(self, last=MonoNs(self.last + by))


def assess(
    notice: UplinkNotice, cap: int | None, upload: int, readings: Readings, gate: Gate
) -> tuple[UplinkNotice, list[Throttle]]:
    """Take a reading: the next notice, and what throttles the box.

    `cap` is what others leave of the uplink, and `upload` what would be sent, in bytes a second.
    """
    notice = _renewed(notice, cap is not None and cap < upload, readings, gate)
    if not notice.says:
        return notice, []
    return notice, [Throttle(rule=ThrottleRule.UPLINK, says=notice.says, cut=Cut())]


def _renewed(notice: UplinkNotice, binds: bool, readings: Readings, gate: Gate) -> UplinkNotice:
    if binds:
        return UplinkNotice(says=notice.says or _says(readings), last=gate.now)
    return UplinkNotice() if gate.now - notice.last >= CALM_NS else notice


def _says(readings: Readings) -> str:
    late_ms = _added_us(readings) // 1_000
    late = f" (round trips take {late_ms} ms longer)" if late_ms > 0 else ""
    return f"Someone else is using the connection{late}; upload reduced."


def _added_us(readings: Readings) -> int:
    if readings.latency_us is None or readings.latency_base_us is None:
        return 0
    return readings.latency_us - readings.latency_base_us
