"""What the firmware of a Raspberry Pi reports about power and heat, by whichever way there is.

Bits of `vcgencmd get_throttled` (Raspberry Pi documentation): 0 under-voltage, 1 frequency capped,
2 throttled, 3 soft temperature limit; 16 to 19 the same since boot.
"""

import re
from dataclasses import replace

from appliance.adapters.board.files import KernelFiles
from appliance.adapters.board.model import board_model
from appliance.adapters.board.programs import Run
from appliance.domain.governor.readings import Firmware

ASK_S = 3.0
_SYSFS = "sys/devices/platform/soc*/soc*:firmware/get_throttled"
"""`soc/soc:firmware` up to the Pi 4, `soc@107c000000/soc@107c000000:firmware` on the Pi 5."""
_VOLT = "sys/class/hwmon/hwmon*/in*_lcrit_alarm"
_NOW = 0b1111


class FirmwareFlags:
    """The flags now, and whether they were ever set since boot or since this began to look.

    The kernel's file of all flags holds what its voltage driver (raspberrypi-hwmon) was told last: without
    that driver nobody renews it, and it is not believed. The driver asks every two seconds, and clears the
    firmware's own memory by that; so what was seen is remembered here too.
    """

    def __init__(self, kernel: KernelFiles, run: Run) -> None:
        self._kernel, self._run = kernel, run
        self._raspberry = board_model(kernel).startswith("Raspberry Pi")
        self._seen = 0
        self._answer: int | None = None
        """What vcgencmd said last."""
        self._files: list[str] = []
        self._alarms: list[str] = []
        self.refresh()

    def refresh(self) -> None:
        """Find the kernel's files again, as drivers may have been loaded since."""
        self._files = self._kernel.names(_SYSFS)
        self._alarms = [
            name
            for name in self._kernel.names(_VOLT)
            if self._kernel.text(f"{name.rpartition('/')[0]}/name") == "rpi_volt"
        ]

    def ask(self) -> None:
        """Run vcgencmd, on a Raspberry Pi whose kernel reports nothing, or the voltage alone."""
        if self._raspberry and self._bits() is None:
            self._answer = vcgencmd_bits(self._run(("vcgencmd", "get_throttled"), ASK_S) or "")

    def read(self) -> Firmware | None:
        """The flags, by the kernel's files or by what vcgencmd said last; None: they are not known."""
        voltage, bits = self._voltage(), self._bits()
        if bits is None:
            bits = self._answer
        if bits is None:
            return voltage
        self._seen |= bits & _NOW | bits >> 16 & _NOW
        flags = _firmware(bits, self._seen)
        # The alarm is of this moment; what vcgencmd said is some seconds old.
        return replace(flags, under_voltage=True) if voltage and voltage.under_voltage else flags

    def _bits(self) -> int | None:
        """The kernel's flags, where something renews them."""
        for name in self._files if self._alarms else ():
            if (bits := hex_bits(self._kernel.text(name) or "")) is not None:
                return bits
        return None

    def _voltage(self) -> Firmware | None:
        """The kernel's under-voltage alarm (Linux: hwmon/raspberrypi-hwmon): its only flag."""
        alarms = [alarm for name in self._alarms if (alarm := self._kernel.number(name)) is not None]
        if not alarms:
            return None
        self._seen |= any(alarms)
        return Firmware(
            under_voltage=any(alarms),
            frequency_capped=None,
            firmware_throttled=None,
            soft_temperature_limit=None,
            under_voltage_before=bool(self._seen & 1),
            frequency_capped_before=None,
            firmware_throttled_before=None,
            soft_temperature_limit_before=None,
        )


def hex_bits(text: str) -> int | None:
    """The flags as sysfs writes them: `50005`, hexadecimal without 0x."""
    return int(text, 16) if re.fullmatch(r"(?:0x)?[0-9a-fA-F]{1,8}", text) else None


def vcgencmd_bits(text: str) -> int | None:
    """The flags in vcgencmd's answer, `throttled=0x50005`."""
    found = re.fullmatch(r"throttled=(0x[0-9a-fA-F]{1,8})", text.strip())
    return int(found[1], 16) if found else None


def _firmware(bits: int, seen: int) -> Firmware:
    return Firmware(
        under_voltage=bool(bits & 1),
        frequency_capped=bool(bits & 2),
        firmware_throttled=bool(bits & 4),
        soft_temperature_limit=bool(bits & 8),
        under_voltage_before=bool(seen & 1),
        frequency_capped_before=bool(seen & 2),
        firmware_throttled_before=bool(seen & 4),
        soft_temperature_limit_before=bool(seen & 8),
    )
