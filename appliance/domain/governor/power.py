"""Power: a supply that is too weak, and a UPS that runs on its battery.

Under-voltage is what a Raspberry Pi's firmware says below 4.63 V (raspberrypi.com, "Power supply warnings"):
it corrupts what is being written, so writes stop first, and come back last.
"""

from dataclasses import dataclass, replace

from appliance.domain.governor.ease import Cut, Ease, Rule
from appliance.domain.governor.hysteresis import MINUTE_NS, SECOND_NS, Gate, Held, step
from appliance.domain.governor.readings import Firmware, Readings, Supply

WORSE_NS = 60 * SECOND_NS
"""After so long at one level the next one follows, where it has not helped."""
WELL_NS = 10 * MINUTE_NS
"""Without under-voltage, before anything is given back."""
MAINS_NS = 3 * MINUTE_NS
"""On mains again, before a battery is forgotten."""
LOW_PERCENT, LOW_S = 15, 180
"""A battery with less is low, whatever its UPS says."""

_SHARES = {2: 500_000, 3: 250_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """What is remembered of both."""

    weak: Held = Held()
    before: bool | None = None
    """Whether the firmware had seen under-voltage since the boot, when it was last asked."""
    ups: Held = Held()


def look(power: Power, readings: Readings, gate: Gate) -> tuple[Power, list[Ease]]:
    """Take a reading."""
    # What is written comes to harm, and not what is sent: only the first level needs no leave.
    wish = _weak_wish(power, readings.firmware, gate)
    weak = step(power.weak, wish, gate, calm_ns=WELL_NS, harm=not power.weak.level)
    if weak.level and not weak.says:
        weak = replace(weak, says=_weak_says(weak.level))
    before = power.before if readings.firmware is None else readings.firmware.under_voltage_before
    ups = step(power.ups, _ups_wish(power.ups, readings), gate, calm_ns=MAINS_NS, harm=True)
    if ups.level and not ups.says:
        ups = replace(ups, says=_ups_says(ups.level, readings))
    eases = []
    if weak.level:
        eases.append(_weak_ease(weak))
    if ups.level:
        eases.append(_ups_ease(ups))
    return Power(weak=weak, before=before, ups=ups), eases


def must_shut_down(readings: Readings) -> bool:
    """The battery is nearly empty now: save everything and power off. Never by an old reading."""
    return _low(readings)


# -------------------------------------------------------------------------------------- under-voltage


def _weak_wish(power: Power, firmware: Firmware | None, gate: Gate) -> int | None:
    if firmware is None:
        return None
    level = power.weak.level
    # A dip between two readings shows only in the flag that stays set until the next boot.
    if firmware.under_voltage or (power.before is False and firmware.under_voltage_before):
        worse = level > 0 and gate.now - power.weak.since >= WORSE_NS
        return min(3, max(1, level + worse))
    return 1 if level > 1 else 0


def _weak_says(level: int) -> str:
    less = f" and sends at most {_SHARES[level] // 10_000} % of what it could" if level > 1 else ""
    return (
        f"The power supply is too weak: the board gets less than 4.63 V. The box writes nothing{less} until "
        "that has been well for a while. Change the power supply and its cable."
    )


def _weak_ease(weak: Held) -> Ease:
    kept = Ease(
        rule=Rule.UNDER_VOLTAGE, says=_weak_says(1), cut=Cut(writing=False, checking=False, new_work=False)
    )
    if weak.level == 1:
        return replace(kept, says=weak.says, kept=kept)
    cut = replace(kept.cut, upload_ppm=_SHARES[weak.level])
    return Ease(rule=Rule.UNDER_VOLTAGE, says=weak.says, cut=cut, kept=kept)


# ------------------------------------------------------------------------------------------------ UPS


def _low(readings: Readings) -> bool:
    if readings.supply is not Supply.BATTERY:
        return readings.supply is Supply.LOW
    percent, seconds = readings.battery_percent, readings.battery_s
    return (percent is not None and percent < LOW_PERCENT) or (seconds is not None and seconds < LOW_S)


def _ups_wish(held: Held, readings: Readings) -> int | None:
    if readings.supply is None:
        return None
    if readings.supply is Supply.MAINS:
        return 0
    return 2 if _low(readings) or held.level == 2 else 1


def _ups_says(level: int, readings: Readings) -> str:
    left = f" ({readings.battery_percent} % left)" if readings.battery_percent is not None else ""
    if level == 2:
        return f"The UPS's battery is low{left}; nothing is sent or written, and the box shuts down."
    return f"The mains is off, and the UPS runs on its battery{left}; the box sends half and writes nothing."


def _ups_ease(ups: Held) -> Ease:
    still = Cut(writing=False, checking=False, new_work=False)
    if ups.level == 1:
        return Ease(rule=Rule.UPS, says=ups.says, cut=replace(still, upload_ppm=500_000))
    low = Ease(rule=Rule.UPS, says=ups.says, cut=replace(still, sending=False))
    return replace(low, kept=low)
