"""What is wrong with the machine itself, by its readings: power and network, which no file check shows."""

from collections.abc import Iterator

from appliance.core.units import show_span
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.governor.power import battery_low
from appliance.domain.governor.readings import Readings, Supply

SLOW_LINK_MBIT = 10
"""What a damaged cable falls back to."""


def examine_body(readings: Readings) -> list[Finding]:
    """One finding for each thing that can be known here; what is not there to be read is left out."""
    return [*_supply(readings), *_ups(readings), *_link(readings)]


def _supply(readings: Readings) -> Iterator[Finding]:
    firmware = readings.firmware
    if firmware is None:
        return
    change = "Change the power supply for one that is made for this board, with a short thick cable."
    if firmware.under_voltage:
        says = "The power supply is too weak: the board gets too little voltage."
        yield Finding("power-supply", Verdict.ERROR, says, change)
    elif firmware.under_voltage_before:
        says = "The power supply was too weak at some time since the board was started."
        yield Finding("power-supply", Verdict.WARNING, says, change)
    else:
        yield Finding("power-supply", Verdict.OK, "The power supply holds its voltage.")


def _ups(readings: Readings) -> Iterator[Finding]:
    if readings.supply is None:
        return
    left = [] if readings.battery_percent is None else [f"{readings.battery_percent} %"]
    left += [] if readings.battery_s is None else [show_span(readings.battery_s)]
    battery = f" ({', '.join(left)} left)" if left else ""
    if readings.supply is Supply.MAINS:
        yield Finding("mains", Verdict.OK, "The box runs on mains power.")
    elif not battery_low(readings):
        yield Finding(
            "mains",
            Verdict.WARNING,
            f"Mains power is away; the box runs on its battery{battery}.",
            "Nothing needs doing: it works less, and as before when the power is back.",
        )
    else:
        yield Finding(
            "mains",
            Verdict.ERROR,
            f"Mains power is away, and the battery is nearly empty{battery}.",
            "The box saves everything and switches off. Switch it on when the power is back.",
        )


def _link(readings: Readings) -> Iterator[Finding]:
    if readings.link_up is False:
        says = "The network cable is unplugged, or the Wi-Fi is away."
        yield Finding("link", Verdict.ERROR, says, "Connect it; the box goes on by itself.")
    elif readings.link_mbit is not None and readings.link_mbit <= SLOW_LINK_MBIT:
        says = f"The network link runs at {readings.link_mbit} Mbit/s only."
        yield Finding("link", Verdict.WARNING, says, "Try another cable, and another port of the router.")
    elif readings.link_up:
        yield Finding("link", Verdict.OK, "The network link is up.")
