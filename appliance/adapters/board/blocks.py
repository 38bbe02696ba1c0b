"""Block devices: from a partition, or a layer on top of some, to the drives under it."""

from collections.abc import Iterable
from itertools import chain
from pathlib import PurePosixPath

from appliance.adapters.board.files import KernelFiles

_DEEPEST = 8
"""A file system on LUKS on LVM on RAID on a partition is five layers."""


def block_name(kernel: KernelFiles, device: str) -> str:
    """The kernel's name of a device, `dm-0` for `/dev/mapper/data` even where /dev is hidden from us."""
    for link in kernel.names("sys/class/block/dm-*/dm/name"):
        if device == f"/dev/mapper/{kernel.text(link)}":
            return link.split("/")[3]
    return kernel.real(device.lstrip("/")).name


def drives_under(kernel: KernelFiles, name: str, deep: int = _DEEPEST) -> list[str]:
    """The drives, such as `sda`, under a partition, a mapped device or a drive itself, by its kernel's name.

    Loop devices, RAM disks and what is no block device have none (Linux: ABI/stable/sysfs-block).
    """
    folder = f"sys/class/block/{name}"
    if not deep or not _is_block(kernel, name):
        return []
    if kernel.has(f"{folder}/partition"):
        return drives_under(kernel, kernel.real(folder).parent.name, deep - 1)
    if slaves := kernel.names(f"{folder}/slaves/*"):
        return _under_all(kernel, slaves, deep - 1)
    return [name] if kernel.has(f"{folder}/device") else []


def _under_all(kernel: KernelFiles, slaves: Iterable[str], deep: int) -> list[str]:
    layers = (drives_under(kernel, PurePosixPath(slave).name, deep) for slave in slaves)
    return list(chain.from_iterable(layers))


def _is_block(kernel: KernelFiles, name: str) -> bool:
    return name not in ("", ".", "..") and kernel.has(f"sys/class/block/{name}")


def whole_disks(kernel: KernelFiles, devices: Iterable[str]) -> tuple[str, ...]:
    """Names of the drives under devices such as `/dev/sda1` or `/dev/mapper/data`, each once."""
    blocks = [block_name(kernel, device) for device in devices if device.startswith("/dev/")]
    return tuple(dict.fromkeys(drive for block in blocks for drive in drives_under(kernel, block)))


def is_usb(kernel: KernelFiles, name: str) -> bool:
    """Whether the drive hangs on a USB port."""
    return any(part.startswith("usb") for part in kernel.real(f"sys/class/block/{name}").parts)
