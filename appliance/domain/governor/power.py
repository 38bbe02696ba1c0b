"""Power: a supply that is too weak, and a UPS that runs on its battery.

Under-voltage is what a Raspberry Pi's firmware says below 4.63 V (raspberrypi.com, "Power supply warnings"):
it corrupts what is being written, so writes stop first, and come back last.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from appliance.domain.governor.hysteresis import MINUTE_NS, SECOND_NS, Gate, Hysteresis, follow
from appliance.domain.governor.readings import Firmware, Readings, Supply
from appliance.domain.governor.throttle import ONE, Cut, Throttle, ThrottleRule, always

WORSE_NS = 60 * SECOND_NS
"""After so long at one level the next one follows, where it has not helped."""
WELL_NS = 10 * MINUTE_NS
"""Without under-voltage, before anything is given back."""
MAINS_NS = 3 * MINUTE_NS
"""On mains again, before a battery is forgotten."""
LOW_PERCENT, LOW_S = 15, 180
"""A battery with less is low, whatever its UPS says."""

_STILL = Cut(writing=False, checking=False, new_work=False)
_WEAK_SHARES = {1: ONE, 2: 500_000, 3: 250_000}
_WORST = max(_WEAK_SHARES)
_UPS_CUTS = {1: replace(_STILL, upload_ppm=500_000), 2: replace(_STILL, sending=False)}


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyState:
    """What is remembered of both."""

    weak: Hysteresis = Hysteresis()
    before: bool | None = None
    """Whether the firmware had seen under-voltage since the boot, when it was last asked."""
    ups: Hysteresis = Hysteresis()


def assess(state: SupplyState, readings: Readings, gate: Gate) -> tuple[SupplyState, list[Throttle]]:
    """Take a reading: the next state, and what throttles the box."""
    firmware = readings.firmware
    # What is written comes to harm, and not what is sent: only the first level is always allowed.
    weak = follow(
        state.weak, _weak_level(state, firmware, gate), gate, calm_ns=WELL_NS, harm=not state.weak.level
    ).explained(_weak_says)
    ups = follow(state.ups, _ups_level(state.ups, readings), gate, calm_ns=MAINS_NS, harm=True).explained(
        lambda level: _ups_says(level, readings)
    )
    before = state.before if firmware is None else firmware.under_voltage_before
    return SupplyState(weak=weak, before=before, ups=ups), [*_weak_throttle(weak), *_ups_throttle(ups)]


def battery_low(readings: Readings) -> bool:
    """Whether the battery is nearly empty now: save everything and power off. Never by an old reading."""
    if readings.supply is not Supply.BATTERY:
        return readings.supply is Supply.LOW
    return _below(readings.battery_percent, LOW_PERCENT) or _below(readings.battery_s, LOW_S)


def _below(value: int | None, bound: int) -> bool:
    return value is not None and value < bound


# -------------------------------------------------------------------------------------- under-voltage


def _weak_level(state: SupplyState, firmware: Firmware | None, gate: Gate) -> int | None:
    """The level that the firmware's flags ask for; None: nobody knows them."""
    if firmware is None:
        return None
    level = state.weak.level
    if not _too_low(state, firmware):
        return int(level > 1)
    worse = level > 0 and gate.now - state.weak.since >= WORSE_NS
    return min(_WORST, max(1, level + worse))


def _too_low(state: SupplyState, firmware: Firmware) -> bool:
    # A dip between two readings shows only in the flag that stays set until the next boot.
    dipped = state.before is False and firmware.under_voltage_before
    return firmware.under_voltage or dipped


def _weak_says(level: int) -> str:
    share = _WEAK_SHARES[level]
    less = f" and upload is limited to {share // 10_000} % of normal" if share < ONE else ""
    return (
        f"The power supply is too weak: the board gets less than 4.63 V. Downloads are paused{less} until "
        f"the voltage has been good for {WELL_NS // MINUTE_NS} minutes. Replace the power supply or its "
        "cable."
    )


def _weak_throttle(weak: Hysteresis) -> Iterator[Throttle]:
    if not weak.level:
        return
    least = Throttle(rule=ThrottleRule.UNDER_VOLTAGE, says=_weak_says(1), cut=_STILL)
    cut = replace(_STILL, upload_ppm=_WEAK_SHARES[weak.level])
    yield replace(least, says=weak.says, cut=cut, under_override=least)


# ------------------------------------------------------------------------------------------------ UPS


def _ups_level(before: Hysteresis, readings: Readings) -> int | None:
    if readings.supply is None:
        return None
    if readings.supply is Supply.MAINS:
        return 0
    return 2 if battery_low(readings) else max(1, before.level)


def _ups_says(level: int, readings: Readings) -> str:
    left = "" if readings.battery_percent is None else f" ({readings.battery_percent} % left)"
    if level == 1:
        return (
            f"Mains power is off; the box is running on the UPS battery{left}. Upload is halved and "
            "downloads are paused."
        )
    return f"The UPS battery is low{left}. All transfers are paused, and the box shuts down."


def _ups_throttle(ups: Hysteresis) -> Iterator[Throttle]:
    if not ups.level:
        return
    throttle = Throttle(rule=ThrottleRule.UPS, says=ups.says, cut=_UPS_CUTS[ups.level])
    yield throttle if ups.level == 1 else always(throttle)
