"""Slows down password guessing: waits that double with every failure, per neighbour and for all together."""

import contextlib
import ipaddress
import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator

from appliance.core.errors import RetryLater

FREE_TRIES = 5
LONGEST_WAIT_S = 300.0
MOST_NEIGHBOURS = 1_000
ALL_TRIES, ALL_WAIT_S = 60, 5.0
"""Failures of all neighbours within the longest wait, after which everybody waits a little."""
MOST_WAITING, LONGEST_TURN_S = 2, 20.0
"""Checks of a password that wait for their turn, and for how long; each holds a thread of the page."""
BUSY = "The box is checking other passwords. Try again."


class LoginThrottle:
    """Counts tries as failures until they pass; `mono` gives seconds of a clock that only goes forward."""

    def __init__(self, mono: Callable[[], float]) -> None:
        self._mono = mono
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """Neighbour -> (failures in a row, when the last one was)."""
        self._all: list[float] = []
        self._lock = threading.Lock()

    def begin(self, neighbour: str, device: str = "") -> int:
        """Count a try, and return 0; or the seconds that must pass before the next one instead.

        A try counts as a failure from its beginning, so that many at once are no way around. `device` is a
        browser that has signed in before: its tries count for both, and either may let it in. So others at
        its address do not hold it up, nor does, at another address, a thief of its cookie.
        """
        with self._lock:
            now = self._mono()
            self._all = [at for at in self._all if now - at < LONGEST_WAIT_S]
            wait = max(self._own_wait_s(neighbour, now), self._all_wait_s(now))
            if device:
                wait = min(wait, self._own_wait_s(device, now))
            if not wait:
                self._count(neighbour, now)
                if device:
                    self._count(device, now)
                self._all.append(now)
            return wait

    def _own_wait_s(self, name: str, now: float) -> int:
        count, last = self._failures.get(name, (0, now))
        if count < FREE_TRIES:
            return 0
        free_at = last + min(LONGEST_WAIT_S, 2.0 ** min(count - FREE_TRIES + 1, 10))
        return max(0, math.ceil(free_at - now))

    def _all_wait_s(self, now: float) -> int:
        if len(self._all) < ALL_TRIES:
            return 0
        return max(0, math.ceil(self._all[-1] + ALL_WAIT_S - now))

    def _count(self, name: str, now: float) -> None:
        count, last = self._failures.pop(name, (0, now))
        self._failures[name] = (1 if now - last > LONGEST_WAIT_S * 2 else count + 1, now)
        while len(self._failures) > MOST_NEIGHBOURS:
            self._failures.popitem(last=False)

    def passed(self, neighbour: str, device: str = "") -> None:
        """Forget the failures of who knew the password; not those of others at a known browser's address."""
        with self._lock:
            self._failures.pop(device or neighbour, None)
            if device:
                self._uncount(neighbour)
            del self._all[-1:]

    def take_back(self, neighbour: str, device: str = "") -> None:
        """Forget one try, which came to no answer."""
        with self._lock:
            self._uncount(neighbour)
            self._uncount(device)
            del self._all[-1:]

    def _uncount(self, name: str) -> None:
        count, last = self._failures.get(name, (0, 0.0))
        if count:
            self._failures[name] = (count - 1, last)


class Turns:
    """One check of a password at a time, as each takes 32 MiB; a few wait, and the rest is refused."""

    def __init__(self, most_waiting: int = MOST_WAITING, wait_s: float = LONGEST_TURN_S) -> None:
        self._places = threading.BoundedSemaphore(1 + most_waiting)
        self._turn = threading.Lock()
        self._wait_s = wait_s

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for the turn, and have it. Raises RetryLater where too many wait, or it takes too long."""
        if not self._places.acquire(blocking=False):
            raise RetryLater(BUSY)
        try:
            if not self._turn.acquire(timeout=self._wait_s):
                raise RetryLater(BUSY)
            try:
                yield
            finally:
                self._turn.release()
        finally:
            self._places.release()


def neighbour(address: str | None) -> str:
    """Whom an address stands for: itself, or its /64, which a single host of the Internet may fill.

    In a home's own IPv6 networks each address counts for itself, so that one guest does not stand for all.
    """
    try:
        ip = ipaddress.ip_address((address or "").partition("%")[0])
    except ValueError:
        return "?"
    return str(ip) if isinstance(ip, ipaddress.IPv4Address) else _neighbour_v6(ip)


def _neighbour_v6(ip: ipaddress.IPv6Address) -> str:
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False)) if ip.is_global else str(ip)
