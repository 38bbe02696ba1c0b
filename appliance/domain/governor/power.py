"""Power: a supply that is too weak, and a UPS that runs on its battery.

Under-voltage is what a Raspberry Pi's firmware says below 4.63 V (raspberrypi.com, "Power supply warnings"):
it corrupts what is being written, so writes stop first, and come back last.

A UPS that falls silent while it runs on its battery is taken for empty after a while, as NUT itself does
(upsmon.conf: DEADTIME). Cheap ones report 0 seconds left whatever their charge: that alone is not believed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from appliance.core.units import MonoNs
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
FULL_PERCENT = 50
"""Beside such a charge few seconds left are believed only while the charge falls."""
FALLING_NS = MINUTE_NS
"""Over so long."""
DEAD_NS = 3 * MINUTE_NS
"""After so long without a word of a UPS that was on its battery, that is taken for empty."""

_STILL = Cut(writing=False, checking=False, new_work=False)
_WEAK_SHARES = {1: ONE, 2: 500_000, 3: 250_000}
_WORST = max(_WEAK_SHARES)
_UPS_CUTS = {1: replace(_STILL, upload_ppm=500_000), 2: replace(_STILL, sending=False)}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnBattery:
    """What is remembered while the UPS runs on its battery, as far as anybody knows."""

    since: MonoNs
    percent: int | None = None
    """Its charge then."""
    lost: MonoNs | None = None
    """Since when the UPS has not answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyState:
    """What is remembered of both."""

    weak: Hysteresis = Hysteresis()
    before: bool | None = None
    """Whether the firmware had seen under-voltage since the boot, when it was last asked."""
    ups: Hysteresis = Hysteresis()
    battery: OnBattery | None = None
    """None: by the last answer of the UPS there is mains, or it never answered."""
    empty: bool = False
    """The battery is nearly empty now, or must be taken for it: save everything and power off."""

    def started(self) -> "SupplyState":
        """The same after a start of the box: nobody has asked the UPS while it was off."""
        return replace(self, battery=replace(self.battery, lost=None) if self.battery else None)


def assess(state: SupplyState, readings: Readings, gate: Gate) -> tuple[SupplyState, list[Throttle]]:
    """Take a reading: the next state, and what throttles the box."""
    firmware = readings.firmware
    # What is written comes to harm, and not what is sent: only the first level is always allowed.
    weak = follow(
        state.weak, _weak_level(state, firmware, gate), gate, calm_ns=WELL_NS, harm=not state.weak.level
    ).explained(_weak_says)
    battery = _on_battery(state.battery, readings, gate.now)
    empty = battery_low(readings) or _taken_for_empty(battery, readings, gate.now)
    asked = 2 if empty else _ups_level(state.ups, readings)
    ups = follow(state.ups, asked, gate, calm_ns=MAINS_NS, harm=True).explained(
        lambda level: _ups_says(level, readings)
    )
    before = state.before if firmware is None else firmware.under_voltage_before
    after = SupplyState(weak=weak, before=before, ups=ups, battery=battery, empty=empty)
    return after, [*_weak_throttle(weak), *_ups_throttle(ups)]


def battery_low(readings: Readings) -> bool:
    """Whether the battery is nearly empty by this reading alone."""
    if readings.supply is not Supply.BATTERY:
        return readings.supply is Supply.LOW
    if _below(readings.battery_percent, LOW_PERCENT):
        return True
    return _below(readings.battery_s, LOW_S) and not _charged(readings)


def _charged(readings: Readings) -> bool:
    return readings.battery_percent is not None and readings.battery_percent >= FULL_PERCENT


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
    return 0 if readings.supply is Supply.MAINS else max(1, before.level)


def _on_battery(before: OnBattery | None, readings: Readings, now: MonoNs) -> OnBattery | None:
    if readings.supply is Supply.MAINS or (before is None and readings.supply is None):
        return None
    if before is None:
        return OnBattery(since=now, percent=readings.battery_percent)
    if readings.supply is None:
        return replace(before, lost=now if before.lost is None else before.lost)
    if before.percent is None and readings.battery_percent is not None:
        return OnBattery(since=now, percent=readings.battery_percent)
    return replace(before, lost=None)


def _taken_for_empty(battery: OnBattery | None, readings: Readings, now: MonoNs) -> bool:
    """What one reading does not show: the UPS died on battery, or little is left of a falling charge."""
    if battery is None:
        return False
    if battery.lost is not None:
        return now - battery.lost >= DEAD_NS
    falls = battery.percent is not None and _below(readings.battery_percent, battery.percent)
    return falls and now - battery.since >= FALLING_NS and _below(readings.battery_s, LOW_S)


def _ups_says(level: int, readings: Readings) -> str:
    left = "" if readings.battery_percent is None else f" ({readings.battery_percent} % left)"
    if level == 1:
        return (
            f"Mains power is off; the box is running on the UPS battery{left}. Upload is halved and "
            "downloads are paused."
        )
    if readings.supply is None:
        return (
            f"The UPS has not answered for {DEAD_NS // MINUTE_NS} minutes since mains power went off: its "
            "battery is taken for empty. All transfers are paused, and the box shuts down."
        )
    return f"The UPS battery is low{left}. All transfers are paused, and the box shuts down."


def _ups_throttle(ups: Hysteresis) -> Iterator[Throttle]:
    if not ups.level:
        return
    throttle = Throttle(rule=ThrottleRule.UPS, says=ups.says, cut=_UPS_CUTS[ups.level])
    yield throttle if ups.level == 1 else always(throttle)
