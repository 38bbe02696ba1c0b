"""Slows down password guessing: waits that double with every failure, per address and for all together."""

import math
import threading
from collections import OrderedDict
from collections.abc import Callable

FREE_TRIES = 5
LONGEST_WAIT_S = 300.0
MOST_ADDRESSES = 1_000
ALL_TRIES, ALL_WAIT_S = 60, 5.0
"""Failures of all addresses within the longest wait, after which everybody waits a little."""


class LoginThrottle:
    """Counts failures; `mono` gives seconds of a clock that only goes forward."""

    def __init__(self, mono: Callable[[], float]) -> None:
        self._mono = mono
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """Address -> (failures in a row, when the last one was)."""
        self._all: list[float] = []
        self._lock = threading.Lock()

    def wait_s(self, address: str) -> int:
        """Seconds until this address may try again; 0: now."""
        with self._lock:
            now = self._mono()
            self._all = [at for at in self._all if now - at < LONGEST_WAIT_S]
            count, last = self._failures.get(address, (0, now))
            free_at = now
            if count >= FREE_TRIES:
                free_at = last + min(LONGEST_WAIT_S, 2.0 ** (count - FREE_TRIES + 1))
            if len(self._all) >= ALL_TRIES:
                free_at = max(free_at, self._all[-1] + ALL_WAIT_S)
            return max(0, math.ceil(free_at - now))

    def failed(self, address: str) -> None:
        """Count a wrong password or code."""
        with self._lock:
            now = self._mono()
            count, last = self._failures.pop(address, (0, now))
            self._failures[address] = (1 if now - last > LONGEST_WAIT_S * 2 else count + 1, now)
            self._all.append(now)
            while len(self._failures) > MOST_ADDRESSES:
                self._failures.popitem(last=False)

    def passed(self, address: str) -> None:
        """Forget the failures of an address that has signed in."""
        with self._lock:
            self._failures.pop(address, None)
