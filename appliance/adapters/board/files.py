"""The kernel's files under a root folder (another one in tests): what cannot be read is None."""

import os
import re
from contextlib import suppress
from pathlib import Path

MOST = 256 * 1024
"""Bytes that are read of a file at most; the longest that is read is a routing table."""
_NUMBER = re.compile(r"-?[0-9]{1,18}")


class KernelFiles:
    """/proc and /sys of the machine under `root`; names are relative to it, such as `proc/loadavg`."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root
        self._prefix = f"{root}/" if str(root) != "/" else "/"

    def text(self, name: str) -> str | None:
        """All that a file says, without the white space and zero bytes at its ends."""
        # os.open in place of Path: this is done a dozen times every few seconds, for years. O_NONBLOCK,
        # as nobody knows what lies there.
        try:
            handle = os.open(self._prefix + name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        try:
            said = _all_of(handle)
        except OSError:
            return None
        finally:
            os.close(handle)
        return said.decode("utf-8", "replace").strip("\0 \t\r\n")

    def lines(self, name: str) -> list[str]:
        """The lines of a file; none where it cannot be read."""
        return (self.text(name) or "").splitlines()

    def number(self, name: str) -> int | None:
        """The whole number that a file consists of."""
        return whole(self.text(name) or "")

    def names(self, pattern: str) -> list[str]:
        """The files that fit a pattern, sorted, relative to the root."""
        with suppress(OSError, ValueError):
            return sorted(str(path.relative_to(self.root)) for path in self.root.glob(pattern))
        return []

    def has(self, name: str) -> bool:
        """There is such a file or folder, and one may know it."""
        with suppress(OSError, ValueError):
            return (self.root / name).exists()
        return False

    def real(self, name: str) -> Path:
        """Where a link leads to in the end; the path itself where it leads nowhere."""
        path = self.root / name
        with suppress(OSError, RuntimeError, ValueError):
            return path.resolve()
        return path


def _all_of(handle: int) -> bytes:
    """What can be read, up to about MOST bytes."""
    parts, size = [], 0
    while size < MOST and (part := os.read(handle, 16_384)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def whole(text: str) -> int | None:
    """A whole number in decimal digits, as the kernel writes it; None for anything else."""
    return int(text) if _NUMBER.fullmatch(text) else None


def thousandths(text: str) -> int | None:
    """A decimal number such as `0.52`, times 1000, without a float; further digits are cut off."""
    found = re.fullmatch(r"([0-9]{1,12})(?:\.([0-9]{1,12}))?", text, re.ASCII)
    return int(found[1]) * 1_000 + int((found[2] or "")[:3].ljust(3, "0")) if found else None
