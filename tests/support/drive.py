"""A drive that a test may unmount, pull and spoil: ext4 on a loop device over a file, removed at the end."""

import contextlib
import fcntl
import os
import shutil
import struct
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support.addresses import RUN

_SHUTDOWN = 0x8004587D
"""EXT4_IOC_SHUTDOWN (Linux: fs/ext4/ext4.h)."""
_NO_LOG = 2


def _run(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, check=False)


def _must(*words: str | Path) -> str:
    done = _run(*words)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout.strip()


class LoopDrive:
    """Mounted on `point` from the start. Skips the test where loop devices or mounts are not allowed."""

    def __init__(self, folder: Path, name: str = "disk", mib: int = 256, *, mapped: bool = False) -> None:
        """`mapped` puts device mapper between, which can have every access fail."""
        self._stage = folder / name
        self.point = folder / name / "mnt"
        self.image = folder / f"{name}.img"
        self._mapped = f"seedbox-{RUN}-{name}" if mapped else ""
        self._mib = mib
        self._loop = ""

    @property
    def device(self) -> Path:
        """What is mounted."""
        return Path("/dev/mapper", self._mapped) if self._mapped else Path(self._loop)

    def __enter__(self) -> Self:
        if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
            pytest.skip("loop devices need root and mkfs.ext4")
        if self._mapped and _run("dmsetup", "version").returncode:
            pytest.skip("this kernel has no device mapper, or dmsetup is not installed")
        self.point.mkdir(parents=True, exist_ok=True)
        with self.image.open("wb") as file:
            file.truncate(self._mib * 1024**2)
        _must("mkfs.ext4", "-q", "-m", "0", self.image)
        found = _run("losetup", "--find", "--show", self.image)
        if found.returncode:
            pytest.skip(f"loop devices are not allowed here: {found.stderr.strip()}")
        self._loop = found.stdout.strip()
        try:
            # Shared, so that whoever has taken a copy of the mounts meanwhile (as `ip netns exec` does) lets
            # go of the drive together with us: a file system is the same old one while anybody holds it.
            if (staged := _run("mount", "--bind", self._stage, self._stage)).returncode:
                pytest.skip(f"mounting is not allowed here: {staged.stderr.strip()}")
            _must("mount", "--make-shared", self._stage)
            if self._mapped:
                _must("dmsetup", "create", self._mapped, "--table", self._table())
            if (mounted := self._mount()).returncode:
                pytest.skip(f"mounting is not allowed here: {mounted.stderr.strip()}")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for point in (self.point, self._stage):
            while str(point) in Path("/proc/self/mountinfo").read_text().split():
                _must("umount", "--lazy", point)
        if self._mapped:
            _run("dmsetup", "remove", "--retry", self._mapped)
        _run("losetup", "--detach", self._loop)

    def _table(self) -> str:
        return f"0 {self._mib * 2048} linear {self._loop} 0"

    def _mount(self, other: "LoopDrive | None" = None) -> "subprocess.CompletedProcess[str]":
        return _run("mount", "-o", "errors=remount-ro", (other or self).device, self.point)

    # ------------------------------------------------------------------------------------ what may happen

    def unmount(self) -> None:
        """As an owner does who is in a hurry."""
        _must("umount", "--lazy", self.point)

    def mount(self, other: "LoopDrive | None" = None) -> None:
        """It is connected again, or another one in its place."""
        mounted = self._mount(other)
        assert mounted.returncode == 0, mounted.stderr

    def pull(self) -> None:
        """The file system loses its device while it is mounted: everything it has not in memory fails."""
        opened = os.open(self.point, os.O_RDONLY)
        try:
            fcntl.ioctl(opened, _SHUTDOWN, struct.pack("=I", _NO_LOG))
        finally:
            os.close(opened)

    def read_only(self, yes: bool) -> None:
        """Mount it otherwise, under all who use it."""
        _must("mount", "-o", f"remount,{'ro' if yes else 'rw'}", self.point)

    def trip(self) -> None:
        """Let ext4 believe that it found an error, by which it makes itself read-only (ext4(5), errors=)."""
        trigger = Path("/sys/fs/ext4", self.device.resolve().name, "trigger_fs_error")
        if not trigger.exists():
            pytest.skip("this kernel cannot be told to find an error in ext4")
        trigger.write_text("a test")

    def lose_data(self) -> None:
        """From now on the device answers with errors wherever it is read."""
        if self._mapped:
            _must("dmsetup", "wipe_table", "--noflush", self._mapped)
        else:
            os.truncate(self.image, 0)
            with contextlib.suppress(OSError):
                Path("/proc/sys/vm/drop_caches").write_text("3")

    def find_data(self) -> None:
        """A device that was lost by device mapper answers again."""
        _must("dmsetup", "reload", self._mapped, "--table", self._table())
        _must("dmsetup", "resume", self._mapped)
