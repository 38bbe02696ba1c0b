"""How much space a file system has."""

import os
from pathlib import Path
from typing import NamedTuple


class DiskSpace(NamedTuple):
    """The space of a file system; None: it cannot be known."""

    total: int | None = None
    """Bytes."""
    free: int | None = None
    """Bytes that a user without special rights may still write."""
    inodes_free_percent: int | None = None


def disk_space(path: Path) -> DiskSpace:
    """The space of the file system that `path` is on (statvfs(3)). Blocks for as long as the drive hangs."""
    try:
        about = os.statvfs(path)
    except OSError:
        return DiskSpace()
    return DiskSpace(
        total=about.f_blocks * about.f_frsize,
        free=about.f_bavail * about.f_frsize,
        # btrfs and FAT count no inodes.
        inodes_free_percent=100 * about.f_favail // about.f_files if about.f_files else None,
    )
