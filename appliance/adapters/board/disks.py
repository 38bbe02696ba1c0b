"""What the drives under the file systems report about themselves."""

import re
from collections.abc import Iterable
from dataclasses import replace

from appliance.adapters.board.blocks import is_usb, whole_disks
from appliance.adapters.board.files import KernelFiles
from appliance.adapters.board.heat import sane
from appliance.adapters.board.programs import Run
from appliance.adapters.board.smart import Smart, ask
from appliance.domain.governor.readings import DiskReading

_WORN_OUT = 0x0B


class Disks:
    """Reads drives, and remembers what one said before it fell asleep."""

    def __init__(self, kernel: KernelFiles, run: Run) -> None:
        self._kernel, self._run = kernel, run
        self._last: dict[tuple[str, str], DiskReading] = {}

    def read(self, devices: Iterable[str]) -> tuple[DiskReading, ...]:
        """What the drives under devices such as `/dev/sda1` report, each once. Sleeping ones are not woken.

        Asks programs and may take some seconds for each drive.
        """
        known = self._last
        self._last = {}
        found = []
        for name in whole_disks(self._kernel, devices):
            # The kernel counts up (diskseq) when another drive comes under the same name.
            key = name, self._kernel.text(f"sys/class/block/{name}/diskseq") or ""
            reading = self._one(name)
            if reading.asleep and key in known:
                reading = replace(known[key], asleep=True)
            self._last[key] = reading
            found.append(reading)
        return tuple(found)

    def _one(self, name: str) -> DiskReading:
        if name.startswith("mmcblk"):
            return card(self._kernel, name)
        smart = ask(self._run, f"/dev/{name}", usb=is_usb(self._kernel, name))
        return DiskReading(
            device=f"/dev/{name}",
            model=smart.model or self._kernel.text(f"sys/class/block/{name}/device/model") or "",
            healthy=smart.healthy,
            temperature_mc=self._heat(name, smart),
            wear_percent=smart.wear_percent,
            bad_sectors=smart.bad_sectors,
            hours=smart.hours,
            asleep=smart.asleep,
        )

    def _heat(self, name: str, smart: Smart) -> int | None:
        if smart.temperature_mc is None and not smart.asleep:
            return temperature(self._kernel, name)
        return smart.temperature_mc


def temperature(kernel: KernelFiles, name: str) -> int | None:
    """The temperature of a drive, in millidegrees, by the kernel's own drivers.

    Only for drives that are awake: with some, reading resets the time until they sleep (Linux:
    hwmon/drivetemp, drivers/nvme/host/hwmon.c).
    """
    device = f"sys/class/block/{name}/device"
    for pattern in (f"{device}/hwmon/hwmon*/temp1_input", f"{device}/hwmon*/temp1_input"):
        for found in kernel.names(pattern):
            if (heat := sane(kernel.number(found))) is not None:
                return heat
    return None


def card(kernel: KernelFiles, name: str) -> DiskReading:
    """The reading of an eMMC, which reports its wear, or of an SD card, which does not.

    By the kernel's files (Linux: drivers/mmc/core/mmc.c). JEDEC JESD84-B51: `life_time` is wear in steps of
    a tenth, for both kinds of its cells, `0x0b` is worn out; `pre_eol_info` is 1 while most spare blocks are
    left, 2 when 80 % are used, 3 when 90 % are.
    """
    device = f"sys/class/block/{name}/device"
    return DiskReading(
        device=f"/dev/{name}",
        model=kernel.text(f"{device}/name") or "",
        healthy={"0x01": True, "0x02": False, "0x03": False}.get(kernel.text(f"{device}/pre_eol_info") or ""),
        temperature_mc=None,
        wear_percent=life_time(kernel.text(f"{device}/life_time") or ""),
        bad_sectors=None,
        hours=None,
    )


def life_time(text: str) -> int | None:
    """The percentage of its life that an eMMC has used, by `0x02 0x01`: the upper end of the worse tenth."""
    steps = [int(word, 16) for word in re.findall(r"\b0x[0-9a-fA-F]{2}\b", text)]
    worst = max((step for step in steps if 0 < step <= _WORN_OUT), default=None)
    return None if worst is None else worst * 10
