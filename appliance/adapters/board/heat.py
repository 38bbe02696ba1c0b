"""The temperature of the processor (Linux: driver-api/thermal/sysfs-api, hwmon/sysfs-interface)."""

import re
from collections.abc import Iterable

from appliance.adapters.board.files import KernelFiles

COLDEST_MC, HOTTEST_MC = -40_000, 150_000
"""What lies outside is no temperature, such as the -273200 of sensors that are not there."""
_ZONE = re.compile(r"cpu|soc|pkg|core|cluster", re.IGNORECASE)
"""`cpu-thermal` of a Raspberry Pi, `x86_pkg_temp`, `soc-thermal`, `bigcore0-thermal` of Rockchip."""
_CHIP = re.compile(r"coretemp|k10temp|zenpower|cpu_?thermal|soc_?thermal", re.IGNORECASE)


class Thermometer:
    """The sensors of the processor; those of a disk, the radio or the chipset do not count."""

    def __init__(self, kernel: KernelFiles) -> None:
        self._kernel = kernel
        self._files: list[str] = []
        self.refresh()

    def refresh(self) -> None:
        """Find the sensors again, as drivers may have been loaded since."""
        # The ACPI zone of many PCs stands still at 27.8 degrees: it is the last resort.
        self._files = self._zones(_ZONE) or self._chips() or self._zones(re.compile(""))

    def read(self) -> int | None:
        """The hottest of them, millidegrees Celsius."""
        found = (self._kernel.number(name) for name in self._files)
        return max((mc for mc in found if sane(mc) is not None), default=None)  # type: ignore[type-var]

    def _zones(self, kind: re.Pattern[str]) -> list[str]:
        return self._working(
            name
            for name in self._kernel.names("sys/class/thermal/thermal_zone*/temp")
            if kind.search(self._kernel.text(f"{name.removesuffix('temp')}type") or "")
        )

    def _chips(self) -> list[str]:
        return self._working(
            name
            for name in self._kernel.names("sys/class/hwmon/hwmon*/temp*_input")
            if _CHIP.fullmatch(self._kernel.text(f"{name.rpartition('/')[0]}/name") or "")
        )

    def _working(self, names: Iterable[str]) -> list[str]:
        return [name for name in names if sane(self._kernel.number(name)) is not None]


def sane(millidegrees: int | None) -> int | None:
    """A temperature that can be; None for what a missing sensor says."""
    return millidegrees if millidegrees is not None and COLDEST_MC < millidegrees < HOTTEST_MC else None
