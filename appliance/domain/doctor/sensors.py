"""Findings by the readings of the machine's sensors: power and network, which no file check shows."""

from appliance.core.units import show_span
from appliance.domain.doctor.model import Finding, error, ok, unknown, warning
from appliance.domain.governor.power import battery_low
from appliance.domain.governor.readings import Firmware, Readings, Supply

SLOW_LINK_MBIT = 10
"""What a damaged cable falls back to."""
SILENT_S = 5 * 60
"""A UPS or a plug that has not answered for so long is a trouble of its own."""
HEARD_S = 90
"""One that has answered within this is there: a plug is asked every 30 seconds."""
_UPS_REMEDY = (
    "Check its cable and Network UPS Tools (run: upsc -l), and energy.ups in seedbox.toml. Until it answers, "
    "the box does not notice a power cut."
)
_PLUG_REMEDY = "Check that it is switched on and in the network, and energy.plug in seedbox.toml."
_CHANGE = "Replace the power supply with one made for this board, with a short thick cable."


def examine_sensors(readings: Readings) -> list[Finding]:
    """One finding for each thing looked at; what could not be read is `unknown`, and never left out."""
    found = [_voltage(readings.firmware), _mains(readings), _link(readings)]
    if readings.ups_silent_s is not None:
        found.append(_answering("ups", "UPS", readings.ups_silent_s, _UPS_REMEDY))
    if readings.plug_silent_s is not None:
        found.append(_answering("plug", "smart plug", readings.plug_silent_s, _PLUG_REMEDY))
    return found


def _answering(check: str, name: str, silent_s: int, remedy: str) -> Finding:
    if silent_s >= SILENT_S:
        return warning(check, f"The {name} does not answer.", remedy)
    if silent_s >= HEARD_S:
        return unknown(check, f"The {name} has not answered for {show_span(silent_s)}.")
    return ok(check, f"The {name} answers.")


def _voltage(firmware: Firmware | None) -> Finding:
    if firmware is None:
        return unknown(
            "power-supply", "This machine does not report whether its power supply is strong enough."
        )
    if firmware.under_voltage:
        says = "The power supply is too weak: the board gets too little voltage."
        return error("power-supply", says, _CHANGE)
    if firmware.under_voltage_before:
        says = "The power supply was too weak at some point since the board was started."
        return warning("power-supply", says, _CHANGE)
    return ok("power-supply", "The power supply is strong enough.")


def _mains(readings: Readings) -> Finding:
    if readings.supply is None:
        return unknown("mains", "No UPS reports whether the box is on mains power.")
    if readings.supply is Supply.MAINS:
        return ok("mains", "The box is on mains power.")
    if not battery_low(readings):
        return warning(
            "mains",
            f"Mains power is out; the box is running on battery{_left(readings)}.",
            "Nothing to do: the box is throttled until the power is back.",
        )
    return error(
        "mains",
        f"Mains power is out, and the battery is nearly empty{_left(readings)}.",
        "The box saves everything and shuts down. Switch it on when the power is back.",
    )


def _left(readings: Readings) -> str:
    """What the battery has left, such as ` (40 %, 12 min left)`."""
    percent, seconds = readings.battery_percent, readings.battery_s
    left = [] if percent is None else [f"{percent} %"]
    left += [] if seconds is None else [show_span(seconds)]
    return f" ({', '.join(left)} left)" if left else ""


def _link(readings: Readings) -> Finding:
    mbit = readings.link_mbit
    if readings.link_up is False:
        says = "The network cable is unplugged, or the Wi-Fi is down."
        return error("link", says, "Reconnect it; the box resumes automatically.")
    if mbit is not None and mbit <= SLOW_LINK_MBIT:
        says = f"The network link runs at only {mbit} Mbit/s."
        return warning("link", says, "Try another cable, and another port on the router.")
    if readings.link_up is None:
        return unknown("link", "It is not known whether the network link is up.")
    return ok("link", "The network link is up.")
