"""What is being read at this moment of what strangers sent, in a small file that outlives the process.

Should reading something end the process whatever we do (a fault in a library below us), systemd starts it
again, and it would read the same thing again, for ever. What was being read when the process died twice is
left alone from then on, and the owner is told.

The file is never flushed to the disk: it has to outlive the process, not the power. So it costs an SD card
next to nothing.
"""

import asyncio
import contextlib
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from appliance.core.errors import OwnerMustAct, SeedboxError

log = logging.getLogger(__name__)

MOST_DEATHS = 2
_HANDLED = (SeedboxError, ValueError, OSError, asyncio.CancelledError)
"""What ends a reading and not the process."""


class _Kept(msgspec.Struct):
    """The file: what is being read, and how often the process has died at what."""

    reading: list[str] = []
    deaths: dict[str, int] = {}


class CrashGuard:
    """Counts the deaths of the process at each thing that is read. Safe for threads."""

    def __init__(self, path: Path | None = None) -> None:
        """`path` is the file; without one, nothing outlives the process."""
        self._path = path
        self._lock = threading.Lock()
        kept = _load(path)
        self._reading: Counter[str] = Counter()
        self._deaths = Counter(kept.deaths) + Counter(set(kept.reading))
        if kept.reading:
            log.warning("the box has died while it read: %s", ", ".join(kept.reading))
            self._write()

    @contextlib.contextmanager
    def reading(self, what: str) -> Iterator[None]:
        """Read `what` inside of this. Raises OwnerMustAct where the process has died at it twice."""
        if self._deaths[what] >= MOST_DEATHS:
            raise OwnerMustAct(f"reading it has ended the box {MOST_DEATHS} times, so it was set aside")
        self._change(what, 1)
        try:
            yield
        except _HANDLED:
            self._done(what)
            raise
        self._done(what)

    def forgive(self, what: str) -> None:
        """Forget what was held against something: it is no more, and what comes under its name is new."""
        if what in self._deaths:
            with self._lock:
                del self._deaths[what]
                self._write()

    def _done(self, what: str) -> None:
        self._change(what, -1)

    def _change(self, what: str, by: int) -> None:
        with self._lock:
            if by < 0:
                self._deaths.pop(what, None)
            self._reading[what] += by
            self._reading += Counter()  # without what is at 0
            self._write()

    def _write(self) -> None:
        """Write the file; one that cannot be written guards nothing, and stops nothing."""
        if self._path is None:
            return
        line = msgspec.json.encode(_Kept(list(self._reading), dict(self._deaths))) + b"\n"
        try:
            with self._path.open("r+b" if self._path.exists() else "w+b") as file:
                os.pwrite(file.fileno(), line, 0)
                os.ftruncate(file.fileno(), len(line))
        except OSError as error:
            log.debug("%s cannot be written: %s", self._path, error)


def _load(path: Path | None) -> _Kept:
    """What the process before us left; nothing where that was damaged."""
    try:
        raw = path.read_bytes() if path else b"{}"
        return msgspec.json.decode(raw.partition(b"\n")[0], type=_Kept)
    except (OSError, ValueError):
        return _Kept()
