"""Programs that are asked for a reading: with a deadline, little memory, and no way to hang the box."""

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

Run = Callable[[Sequence[str], float], str | None]
"""Runs a program for some seconds at most. What it said, or None: it is missing, hung, or said too much."""

MOST = 1024 * 1024
_PATH = ":/usr/sbin:/usr/bin:/sbin:/bin"
"""smartctl lies where ordinary users do not look."""
_GRACE_S = 1.0


class Programs:
    """Runs programs; one that cannot be killed, as it waits for a dead disk, is not started again."""

    def __init__(self) -> None:
        self._stuck: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}

    def __call__(self, words: Sequence[str], seconds: float) -> str | None:
        """What the program writes to its standard output, whatever its exit status. Never raises."""
        key = tuple(words)
        process = None if self._is_stuck(key) else _started(key)
        if process is None:
            return None
        deadline = time.monotonic() + seconds
        said = _all(process, deadline)
        if said is None or not _ended(process, max(0.0, deadline - time.monotonic())):
            self._kill(key, process)
        assert process.stdout
        process.stdout.close()
        return None if said is None else said.decode("utf-8", "replace")

    def _is_stuck(self, key: tuple[str, ...]) -> bool:
        """Whether the same program was started before and could not even be killed."""
        stuck = self._stuck.get(key)
        if stuck is None:
            return False
        if stuck.poll() is None:
            return True
        del self._stuck[key]
        return False

    def _kill(self, key: tuple[str, ...], process: subprocess.Popen[bytes]) -> None:
        # Nobody has waited for it yet, so its number is still its own. What it has started itself is
        # in the same session.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        if not _ended(process, _GRACE_S):
            self._stuck[key] = process


def _started(words: tuple[str, ...]) -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={"PATH": os.environ.get("PATH", os.defpath) + _PATH, "LC_ALL": "C"},
        )
    except (OSError, ValueError):
        return None


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _all(process: subprocess.Popen[bytes], deadline: float) -> bytes | None:
    assert process.stdout
    handle, said = process.stdout.fileno(), b""
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    while (left := deadline - time.monotonic()) > 0 and len(said) <= MOST:
        if poll.poll(left * 1_000):
            part = os.read(handle, 65_536)
            if not part:
                return said
            said += part
    return None
