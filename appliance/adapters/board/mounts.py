"""Which file system a folder is on: its device, its UUID, and whether the kernel still has both.

Two options show that a file system has given up its device or writing to it: `shutdown` (ext4, XFS) and
`emergency_ro` (ext4).
"""

import errno
import fcntl
import os
import re
import select
import uuid
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from appliance.adapters.board.blocks import block_name, drives_under
from appliance.adapters.board.files import KernelFiles
from appliance.domain.volumes.volume import Volume

_GET_UUID = 0x80111500
"""FS_IOC_GETFSUUID (Linux 6.9, include/uapi/linux/fs.h): a length, and up to 16 bytes."""
_EXT4_GET_UUID = 0x8008662C
"""EXT4_IOC_GETFSUUID (Linux 6.0, include/uapi/linux/ext4.h): length, flags, and 16 bytes."""
_PLAIN_DEVICE = re.compile(r"/dev/((?!root$)[^/]+)")
_ANSWER = {"ext4", "ext3", "ext2", "xfs", "btrfs", "f2fs", "bcachefs"}
"""Kinds whose ioctl answers what blkid and /etc/fstab call the UUID; FAT and NTFS have serial numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """A mounted file system."""

    point: str
    """Where it is mounted."""
    kind: str
    """Such as `ext4`."""
    device: str
    """Such as `/dev/sda1`."""
    drives: tuple[str, ...]
    """The whole drives under it, such as `/dev/sda`; empty where nobody knows."""
    uuid: str
    """Empty where it has none, or where it cannot be learnt."""
    read_only: bool
    attached: bool
    """Its device is still there; False after a USB drive was pulled that nobody has unmounted."""

    def under(self, volume: Volume) -> Volume:
        """The volume with what is known of the file system that it is on."""
        return replace(
            volume,
            uuid=self.uuid,
            device=self.device,
            kind=self.kind,
            drives=self.drives,
            read_only=self.read_only,
        )


class Mounts:
    """What is mounted, by the kernel's files under `root` (another one in tests)."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._kernel = KernelFiles(root)

    def of(self, path: Path) -> FileSystem | None:
        """The file system that `path` is on, or would be if it existed; None where that cannot be read.

        From /proc/self/mountinfo (proc(5)); may block for as long as the drive hangs.
        """
        real = Path(os.path.realpath(path))
        above = {str(point) for point in (real, *real.parents)}
        mounts = [mount for mount in map(_parsed, self._mounted()) if mount and mount.point in above]
        # Of several on one point, the last is on top, and max() takes the first.
        deepest = max(reversed(mounts), key=lambda mount: len(mount.point), default=None)
        return self._describe(real, deepest) if deepest else None

    def watch(self) -> "MountWatch":
        """A watch that wakes up when anything is mounted, unmounted or mounted otherwise."""
        return MountWatch(self._root / "proc/self/mountinfo")

    def _mounted(self) -> list[str]:
        with suppress(OSError):
            return (self._root / "proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
        return []

    def _describe(self, path: Path, mount: "_Mount") -> FileSystem:
        numbered = self._numbered(mount.number)
        device = f"/dev/{numbered}" if mount.source == "/dev/root" and numbered else mount.source
        drives = drives_under(self._kernel, numbered or block_name(self._kernel, device))
        return FileSystem(
            point=mount.point,
            kind=mount.kind,
            device=device,
            drives=tuple(sorted({f"/dev/{name}" for name in drives})),
            uuid=self._uuid(mount.kind, path, mount.point, device),
            read_only=bool(mount.options & {"ro", "emergency_ro"}),
            attached=self._attached(mount.number, device) and "shutdown" not in mount.options,
        )

    def _numbered(self, number: str) -> str:
        """The kernel's name of the device with this number; empty where there is none."""
        by_number = f"sys/dev/block/{number}"
        return self._kernel.real(by_number).name if self._kernel.has(by_number) else ""

    def _attached(self, number: str, device: str) -> bool:
        """Whether sysfs still lists the device (sysfs(5)); True where it cannot say."""
        if not number.startswith("0:") and self._kernel.has("sys/dev/block"):
            return self._kernel.has(f"sys/dev/block/{number}")
        # File systems such as btrfs have a number that is no device's; those of LVM have a name that is none.
        plain = _PLAIN_DEVICE.fullmatch(device)
        if plain and self._kernel.has("sys/class/block"):
            return self._kernel.has(f"sys/class/block/{plain[1]}")
        return True

    def _uuid(self, kind: str, path: Path, point: str, device: str) -> str:
        if kind in _ANSWER:
            with suppress(OSError):
                return _asked(path if path.is_dir() else Path(point))
        target = self._kernel.real(device.lstrip("/")).name
        for link in self._kernel.names("dev/disk/by-uuid/*"):
            if target and self._kernel.real(link).name == target:
                return Path(link).name
        return ""


class _Mount(NamedTuple):
    """A line of mountinfo."""

    number: str
    """The number of its device: `major:minor`."""
    point: str
    kind: str
    source: str
    options: set[str]
    """The options of the mount and of the file system."""


def _parsed(line: str) -> _Mount | None:
    fields = line.split(" ")
    if len(fields) < 10 or "-" not in fields[6:]:
        return None
    dash = fields.index("-", 6)
    options = {*fields[5].split(","), *fields[dash + 3].split(",")}
    return _Mount(fields[2], _plain(fields[4]), fields[dash + 1], _plain(fields[dash + 2]), options)


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
    """The UUID by the file system itself, which needs no access to its device. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        answer = bytearray(17)
        try:
            fcntl.ioctl(descriptor, _GET_UUID, answer)
            length, raw = answer[0], bytes(answer[1:17])
        except OSError:
            answer = bytearray((16).to_bytes(4, "little") + bytes(20))
            fcntl.ioctl(descriptor, _EXT4_GET_UUID, answer)
            length, raw = answer[0], bytes(answer[8:24])
    finally:
        os.close(descriptor)
    if length != 16 or not any(raw):
        raise OSError(errno.ENODATA, "the file system has no UUID")
    return str(uuid.UUID(bytes=raw))


def _plain(field: str) -> str:
    """A field of mountinfo without its octal escapes of blanks and backslashes."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field)
