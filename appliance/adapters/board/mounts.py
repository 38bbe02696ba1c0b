"""Which file system a folder lies on: its device, its UUID, and whether the kernel still has both."""

import errno
import fcntl
import os
import re
import select
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_GET_UUID = 0x80111500
"""FS_IOC_GETFSUUID (Linux 6.9, include/uapi/linux/fs.h): a length, and up to 16 bytes."""
_EXT4_GET_UUID = 0x8008662C
"""EXT4_IOC_GETFSUUID (Linux 6.0, include/uapi/linux/ext4.h): length, flags, and 16 bytes."""
_TELL = {"ext4", "ext3", "ext2", "xfs", "btrfs", "f2fs", "bcachefs"}
"""Kinds whose ioctl answers what blkid and /etc/fstab call the UUID; FAT and NTFS have serial numbers."""
_DEAD = {"shutdown", "emergency_ro"}
"""Options that a file system shows once it has given up its device or writing to it (ext4, XFS)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """A mounted file system."""

    point: str
    """Where it is mounted."""
    kind: str
    """Such as `ext4`."""
    device: str
    """Such as `/dev/sda1`."""
    disks: tuple[str, ...]
    """The whole drives under it, such as `/dev/sda`; empty where nobody knows."""
    uuid: str
    """Empty where it has none, or where it cannot be learnt."""
    read_only: bool
    attached: bool
    """Its device is still there; False after a USB drive was pulled that nobody has unmounted."""


class Mounts:
    """What is mounted, by the kernel's files under `root` (another one in tests)."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def of(self, path: Path) -> FileSystem | None:
        """The file system that `path` lies on, or would if it existed; None where that cannot be read.

        By /proc/self/mountinfo (proc(5)); may block for as long as the drive hangs.
        """
        real = Path(os.path.realpath(path))
        best: list[str] = []
        for line in self._mounted():
            fields = line.split(" ")
            if len(fields) < 10 or "-" not in fields[6:]:
                continue
            point = Path(_plain(fields[4]))
            # Of several on one point, the last is on top.
            if point in (real, *real.parents) and (not best or len(str(point)) >= len(_plain(best[4]))):
                best = fields
        return self._describe(real, best) if best else None

    def watch(self) -> "MountWatch":
        """What wakes up when anything is mounted, unmounted or mounted otherwise."""
        return MountWatch(self._root / "proc/self/mountinfo")

    def _mounted(self) -> list[str]:
        with suppress(OSError):
            return (self._root / "proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
        return []

    def _describe(self, path: Path, fields: list[str]) -> FileSystem:
        dash = fields.index("-", 6)
        number, point, kind, source = fields[2], _plain(fields[4]), fields[dash + 1], _plain(fields[dash + 2])
        options = {*fields[5].split(","), *fields[dash + 3].split(",")}
        block = self._root / "sys/dev/block" / number
        device = f"/dev/{block.resolve().name}" if source == "/dev/root" and block.exists() else source
        return FileSystem(
            point=point,
            kind=kind,
            device=device,
            disks=tuple(sorted(self._disks(block if block.exists() else self._block(device)))),
            uuid=self._uuid(kind, path, point, device),
            read_only=bool(options & {"ro", "emergency_ro"}),
            attached=self._attached(number, device) and not options & (_DEAD - {"emergency_ro"}),
        )

    def _attached(self, number: str, device: str) -> bool:
        """Whether sysfs still lists the device (sysfs(5)); True where it cannot say."""
        if not number.startswith("0:") and (self._root / "sys/dev/block").is_dir():
            return (self._root / "sys/dev/block" / number).exists()
        # File systems such as btrfs have a number that is no device's; those of LVM have a name that is none.
        plain = device.startswith("/dev/") and device.count("/") == 2 and device != "/dev/root"
        if plain and (self._root / "sys/class/block").is_dir():
            return self._block(device).exists()
        return True

    def _block(self, device: str) -> Path:
        return self._root / "sys/class/block" / Path(device).name

    def _disks(self, block: Path) -> set[str]:
        """The drives under a block device: of a partition its disk, of LUKS, LVM and RAID all of theirs."""
        real = block.resolve()
        if not real.is_dir():
            return set()
        with suppress(OSError):
            if slaves := list((real / "slaves").iterdir()):
                return {disk for slave in slaves for disk in self._disks(slave)}
        return {f"/dev/{real.parent.name if (real / 'partition').exists() else real.name}"}

    def _uuid(self, kind: str, path: Path, point: str, device: str) -> str:
        if kind in _TELL:
            with suppress(OSError):
                return _asked(path if path.is_dir() else Path(point))
        target = (self._root / device.lstrip("/")).resolve().name
        with suppress(OSError):
            for link in (self._root / "dev/disk/by-uuid").iterdir():
                if target and link.resolve().name == target:
                    return link.name
        return ""


class MountWatch:
    """A file descriptor that can be read from once the mounts have changed (proc(5): POLLPRI, POLLERR)."""

    def __init__(self, mountinfo: Path) -> None:
        # mountinfo itself is always readable, so an event loop is given an epoll of its exceptions alone.
        self._file = mountinfo.open("rb")
        self._poll = select.epoll()
        self._poll.register(self._file.fileno(), select.EPOLLPRI | select.EPOLLERR)

    def fileno(self) -> int:
        """For select(2) and the like."""
        return self._poll.fileno()

    def drain(self) -> None:
        """Take note; the next change wakes again."""
        self._poll.poll(0)

    def close(self) -> None:
        """Watch no longer."""
        self._poll.close()
        self._file.close()


def _asked(folder: Path) -> str:
    """The UUID that the file system itself tells, without rights to its device. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        told = bytearray(17)
        try:
            fcntl.ioctl(descriptor, _GET_UUID, told)
            length, raw = told[0], bytes(told[1:17])
        except OSError:
            told = bytearray((16).to_bytes(4, "little") + bytes(20))
            fcntl.ioctl(descriptor, _EXT4_GET_UUID, told)
            length, raw = told[0], bytes(told[8:24])
    finally:
        os.close(descriptor)
    if length != 16 or not any(raw):
        raise OSError(errno.ENODATA, "the file system has no UUID")
    return str(uuid.UUID(bytes=raw))


def _plain(field: str) -> str:
    """A field of mountinfo without its octal escapes of blanks and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field)
