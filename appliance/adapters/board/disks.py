"""The drives under the file systems: which they are, and what they say of themselves."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import PurePosixPath

from appliance.adapters.board.files import KernelFiles
from appliance.adapters.board.heat import sane
from appliance.adapters.board.programs import Run
from appliance.adapters.board.smart import ask
from appliance.domain.governor.readings import DiskReading

_DEEPEST = 8
"""A file system on LUKS on LVM on RAID on a partition is five layers."""
_WORN_OUT = 0x0B


class Disks:
    """Reads drives, and remembers what one said before it fell asleep."""

    def __init__(self, kernel: KernelFiles, run: Run) -> None:
        self._kernel, self._run = kernel, run
        self._last: dict[tuple[str, str], DiskReading] = {}

    def read(self, devices: Iterable[str]) -> tuple[DiskReading, ...]:
        """The drives under devices such as `/dev/sda1`, each once. Sleeping ones are not woken.

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
        heat = smart.temperature_mc
        return DiskReading(
            device=f"/dev/{name}",
            model=smart.model or self._kernel.text(f"sys/class/block/{name}/device/model") or "",
            healthy=smart.healthy,
            temperature_mc=temperature(self._kernel, name) if heat is None and not smart.asleep else heat,
            wear_percent=smart.wear_percent,
            bad_sectors=smart.bad_sectors,
            hours=smart.hours,
            asleep=smart.asleep,
        )


def whole_disks(kernel: KernelFiles, devices: Iterable[str]) -> tuple[str, ...]:
    """Names of the drives that devices such as `/dev/sda1` or `/dev/mapper/data` lie on, each once.

    Loop devices, RAM disks and what is no block device are left out: no drive speaks for them.
    """
    found: dict[str, None] = {}
    for device in devices:
        if device.startswith("/dev/"):
            found |= dict.fromkeys(_below(kernel, _name(kernel, device), _DEEPEST))
    return tuple(found)


def _name(kernel: KernelFiles, device: str) -> str:
    """The kernel's name of a device, `dm-0` for `/dev/mapper/data` also where /dev is hidden from us."""
    for link in kernel.names("sys/class/block/dm-*/dm/name"):
        if device == f"/dev/mapper/{kernel.text(link)}":
            return link.split("/")[3]
    return kernel.real(device.lstrip("/")).name


def _below(kernel: KernelFiles, name: str, deep: int) -> list[str]:
    """The drives under a partition, a mapped device or a drive itself (Linux: ABI/stable/sysfs-block)."""
    folder = f"sys/class/block/{name}"
    if not deep or name in ("", ".", "..") or not kernel.has(folder):
        return []
    if kernel.has(f"{folder}/partition"):
        return _below(kernel, kernel.real(folder).parent.name, deep - 1)
    if slaves := kernel.names(f"{folder}/slaves/*"):
        return [disk for slave in slaves for disk in _below(kernel, PurePosixPath(slave).name, deep - 1)]
    return [name] if kernel.has(f"{folder}/device") else []


def is_usb(kernel: KernelFiles, name: str) -> bool:
    """The drive hangs on a USB port."""
    return any(part.startswith("usb") for part in kernel.real(f"sys/class/block/{name}").parts)


def temperature(kernel: KernelFiles, name: str) -> int | None:
    """Millidegrees, by the kernel's own drivers (Linux: hwmon/drivetemp, drivers/nvme/host/hwmon.c).

    To be asked of drives that are awake: with some, reading resets the time until they sleep.
    """
    device = f"sys/class/block/{name}/device"
    for pattern in (f"{device}/hwmon/hwmon*/temp1_input", f"{device}/hwmon*/temp1_input"):
        for found in kernel.names(pattern):
            if (heat := sane(kernel.number(found))) is not None:
                return heat
    return None


def card(kernel: KernelFiles, name: str) -> DiskReading:
    """An eMMC, which tells its wear, or an SD card, which does not (Linux: drivers/mmc/core/mmc.c).

    JEDEC JESD84-B51: `life_time` is wear in steps of a tenth, for both kinds of its cells, `0x0b` is
    worn out; `pre_eol_info` is 1 while most spare blocks are left, 2 when 80 % are used, 3 when 90 % are.
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
    """Percent of its life that an eMMC has used, by `0x02 0x01`: the upper end of the worse tenth."""
    steps = [int(word, 16) for word in re.findall(r"\b0x[0-9a-fA-F]{2}\b", text)]
    worst = max((step for step in steps if 0 < step <= _WORN_OUT), default=None)
    return None if worst is None else worst * 10
