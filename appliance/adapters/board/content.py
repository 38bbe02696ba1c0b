"""The file system, as far as the catalogue asks about it."""

import contextlib
from pathlib import Path

from appliance.adapters.board.space import disk_space


class ContentDisk:
    """The catalogue's Disk."""

    def mark(self, folder: Path, name: str) -> tuple[int, int] | None:
        """(size, time of last change in ns) of a top-level file or folder; None where it is not there."""
        try:
            found = (folder / name).stat()
        except OSError:
            return None
        return found.st_size, found.st_mtime_ns

    def free(self, folder: Path) -> int | None:
        """Free bytes of the file system that holds `folder`; None where it cannot be known."""
        with contextlib.suppress(OSError):
            return disk_space(folder if folder.exists() else folder.parent).free
        return None

    def prune(self, folder: Path) -> None:
        """Remove a folder of ours if it is empty."""
        with contextlib.suppress(OSError):
            folder.rmdir()
