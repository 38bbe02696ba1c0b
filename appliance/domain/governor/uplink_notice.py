"""Telling that the box is polite: the cap itself is the line's own watch's, and moves by the second.

What is told of it stays for some minutes, so that the owner reads one sentence and not sixty.
"""

from dataclasses import dataclass, replace

from appliance.core.units import MonoNs
from appliance.domain.governor.ease import Cut, Ease, Rule
from appliance.domain.governor.hysteresis import MINUTE_NS, Gate
from appliance.domain.governor.readings import Readings

CALM_NS = 5 * MINUTE_NS


@dataclass(frozen=True, slots=True, kw_only=True)
class Courtesy:
    """What is told, and when it was last true."""

    says: str = ""
    last: MonoNs = MonoNs(0)

    def moved(self, by: int) -> "Courtesy":
        """At another monotonic clock, that many nanoseconds ahead."""
        return replace(self, last=MonoNs(self.last + by))


def look(
    courtesy: Courtesy, cap: int | None, upload: int, readings: Readings, gate: Gate
) -> tuple[Courtesy, Ease | None]:
    """`cap` is what others leave of the uplink, and `upload` what would be sent, in bytes a second."""
    if cap is not None and cap < upload:
        courtesy = Courtesy(says=courtesy.says or _says(readings), last=gate.now)
    elif courtesy.says and gate.now - courtesy.last >= CALM_NS:
        courtesy = Courtesy()
    if not courtesy.says:
        return courtesy, None
    return courtesy, Ease(rule=Rule.COURTESY, says=courtesy.says, cut=Cut())


def _says(readings: Readings) -> str:
    late = ""
    if readings.latency_us is not None and readings.latency_base_us is not None:
        added = max(0, readings.latency_us - readings.latency_base_us) // 1_000
        late = f" (a round trip takes {added} ms longer)"
    return f"Others use the line{late}; the box sends less so that they do not notice."
