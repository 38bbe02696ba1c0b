"""How long a round trip beyond the home's uplink takes: probes without privileges, and what they tell.

A probe is an ICMP echo over a datagram socket where the kernel allows it (icmp(7), ping_group_range). Else it
is a UDP datagram that dies on its way: the router that drops it says so (RFC 792, time exceeded), and the
kernel hands that over by IP_RECVERR (ip(7)). The same finds the first router beyond the home's own. Such a
datagram goes to a prefix that swallows junk for the whole internet (RFC 7535), and never comes that far.
"""

import asyncio
import contextlib
import ipaddress
import logging
import socket
import statistics
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from appliance.core.clock import Clock

log = logging.getLogger(__name__)

LOST_US = 2_000_000
"""A probe without an answer counts as so late: a full queue drops it."""

_SINKS = {socket.AF_INET: "192.31.196.1", socket.AF_INET6: "2001:4:112::1"}
_FIRST_PORT, _PORTS = 33_434, 64
"""traceroute's ports, where nobody listens; few, for the router keeps each in mind for a while."""
_HOPS = 5
_PATIENCE_S = 1.0
_IDLE_S, _AGAIN_S = 10.0, 60.0
_GIVE_UP = 8
"""So many lost in a row: the target is gone, and another is looked for."""
_ENOUGH = 3
"""Answers before anything is said."""
_WINDOW_MIN = 60

# <linux/in.h>, <linux/in6.h>, <asm-generic/socket.h>, <linux/errqueue.h>; Python does not name them all.
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_SO_TIMESTAMPNS = 35
_MSG_ERRQUEUE = 0x2000
_EXTENDED = struct.Struct("@IBBBBII")
_TIME = struct.Struct("@ll")
_FROM_ICMP = (2, 3)
_ECHO, _ECHO_REPLY = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}, (0, 129)


@dataclass(frozen=True, slots=True)
class Target:
    """Who is asked, and how."""

    family: socket.AddressFamily
    address: str
    hops: int = 0
    """0: it answers itself; else the router this many hops away does, on the way to `address`."""
    echo: bool = False
    """By ICMP echo; else by UDP."""

    @property
    def interval_s(self) -> float:
        """Seconds between probes: most routers say no more than once a second that they dropped something."""
        return 0.5 if self.echo else 1.0

    @property
    def window(self) -> int:
        """Probes of which the median is taken."""
        return 5 if self.echo else 3


@dataclass(slots=True)
class Window:
    """Median of the last probes, and the least median of the last hour."""

    clock: Clock
    size: int = 5
    _last: deque[int] = field(default_factory=deque)
    _minutes: deque[tuple[int, int]] = field(default_factory=deque)
    """(minute, least median in it)."""
    _answers: int = 0

    def take(self, took_us: int | None) -> None:
        """A round trip in microseconds; None: it was lost."""
        self._answers += took_us is not None
        self._last.append(LOST_US if took_us is None else took_us)
        while len(self._last) > self.size:
            self._last.popleft()
        now = self.median_us
        if now is None or now >= LOST_US:
            return
        minute = self.clock.mono() // 60_000_000_000
        if self._minutes and self._minutes[-1][0] == minute:
            now = min(now, self._minutes.pop()[1])
        self._minutes.append((minute, now))
        self._forget(minute)

    @property
    def median_us(self) -> int | None:
        """Median of the last probes, a lost one counted as late; None before there are enough."""
        if self._answers < _ENOUGH or len(self._last) < _ENOUGH:
            return None
        return round(statistics.median(self._last))

    @property
    def least_us(self) -> int | None:
        """The least median of the last hour."""
        self._forget(self.clock.mono() // 60_000_000_000)
        return min((least for _, least in self._minutes), default=None)

    def _forget(self, minute: int) -> None:
        while self._minutes and self._minutes[0][0] <= minute - _WINDOW_MIN:
            self._minutes.popleft()


class LatencyProbe:
    """Probes the way beyond the uplink; both readings are None while nothing is known."""

    def __init__(self, host: str, clock: Clock) -> None:
        """`host` is asked; where it is empty, the first router beyond the home's own."""
        self._host = host
        self._clock = clock
        self.target: Target | None = None
        self._known: tuple[str, int] = ("", 0)
        self._window = Window(clock)
        self._lost = 0

    @property
    def latency_us(self) -> int | None:
        """Round trip, median of the last probes, microseconds."""
        return self._window.median_us if self.target else None

    @property
    def latency_base_us(self) -> int | None:
        """The least of the last hour."""
        return self._window.least_us if self.target else None

    async def run(self, busy: Callable[[], bool]) -> None:
        """For ever: twice a second while the box is `busy` sending or little is known, else seldom."""
        while True:
            target = await find(self._host)
            if target is None:
                await asyncio.sleep(_AGAIN_S)
                continue
            if self._known != (target.address, target.hops):
                self._window = Window(self._clock, target.window)
                self._known = (target.address, target.hops)
                log.info("round trips are measured to %s", _described(target))
            self._lost = 0
            self.target = target
            with contextlib.suppress(OSError), _opened(target) as prober:
                await self._probe(prober, target, busy)
            self.target = None

    async def _probe(self, prober: "_Prober", target: Target, busy: Callable[[], bool]) -> None:
        """Until it does not answer any more."""
        while self._lost < _GIVE_UP:
            prober.send()
            waited = 0.0
            # What was idle may become busy at any moment.
            while waited < target.interval_s or (waited < _IDLE_S and not self._hurried(busy)):
                await asyncio.sleep(target.interval_s)
                waited += target.interval_s
                self._take(prober)

    def _hurried(self, busy: Callable[[], bool]) -> bool:
        return busy() or self._lost > 0 or self._window.median_us is None

    def _take(self, prober: "_Prober") -> None:
        for took in prober.results():
            self._lost = self._lost + 1 if took is None else 0
            self._window.take(took)


class _Prober:
    """A socket that sends numbered probes and matches what comes back; nothing of it waits."""

    def __init__(self, target: Target) -> None:
        self._target = target
        family = target.family
        v6 = family == socket.AF_INET6
        kind = (socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP) if target.echo else socket.IPPROTO_UDP
        self._socket = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, kind)
        level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
        self._socket.setsockopt(level, _IPV6_RECVERR if v6 else _IP_RECVERR, 1)
        # The kernel notes when an answer came: this process may be busy then.
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        if target.hops:
            self._socket.setsockopt(level, socket.IPV6_UNICAST_HOPS if v6 else socket.IP_TTL, target.hops)
        self._number = 0
        self._waiting: dict[int, tuple[int, int]] = {}
        """Number of a probe -> when it was sent, by the monotonic and by the wall clock."""
        self._took: list[int | None] = []
        self.answered_by = ""
        self.answered = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._socket, self._receive)

    def close(self) -> None:
        """Give the socket back."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def send(self) -> None:
        """Send one probe; where that is not possible it counts as lost."""
        self._number = number = (self._number + 1) % _PORTS
        if self._waiting.pop(number, None):
            self._took.append(None)
        port, data = _FIRST_PORT + number, bytes(8)
        if self._target.echo:
            kind = _ECHO[self._target.family][0]
            # Checksum and identifier are the kernel's affair.
            port, data = 0, struct.pack("!BBHHH", kind, 0, 0, 0, number) + data
        self._waiting[number] = (time.monotonic_ns(), time.time_ns())
        try:
            self._socket.sendto(data, (self._target.address, port))
        except OSError as error:
            # An error that came before is told at the next call; it is no fault of this probe.
            log.debug("a probe was not sent: %s", error)

    def results(self) -> list[int | None]:
        """Round trips in microseconds that have ended since the last call; None for a lost one."""
        now = time.monotonic_ns()
        for number, (sent, _) in list(self._waiting.items()):
            if now - sent > LOST_US * 1_000:
                del self._waiting[number]
                self._took.append(None)
        took, self._took = self._took, []
        return took

    def _receive(self) -> None:
        # The queue of errors first: as long as something is in it, the socket stays readable.
        for flags in (_MSG_ERRQUEUE, 0):
            with contextlib.suppress(BlockingIOError):
                while True:
                    try:
                        data, extra, _, sender = self._socket.recvmsg(512, 512, flags)
                    except BlockingIOError:
                        raise
                    except OSError:
                        # The error that was read from its queue a moment ago.
                        continue
                    self._answer(data, extra, sender, error=bool(flags))

    def _answer(
        self, data: bytes, extra: list[tuple[int, int, bytes]], sender: tuple[str, int], *, error: bool
    ) -> None:
        if error:
            by = _offender(extra)
            if by is None:
                return
            number = _number(data) if self._target.echo else sender[1] - _FIRST_PORT
        elif self._target.echo and data[:1] == bytes([_ECHO[self._target.family][1]]):
            by, number = sender[0], _number(data)
        else:
            return
        sent = self._waiting.pop(number, None)
        if sent:
            self.answered_by = by
            self.answered.set()
            self._took.append(_took_us(sent, extra))


def _number(data: bytes) -> int:
    return int.from_bytes(data[6:8], "big") if len(data) >= 8 else -1


def _took_us(sent: tuple[int, int], extra: list[tuple[int, int, bytes]]) -> int:
    """Microseconds, by the kernel's time of arrival unless the wall clock was set meanwhile."""
    took = time.monotonic_ns() - sent[0]
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) >= _TIME.size:
            seconds, nanoseconds = _TIME.unpack_from(data)
            arrived = seconds * 1_000_000_000 + nanoseconds - sent[1]
            took = arrived if 0 < arrived < took else took
    return took // 1_000


def _offender(extra: list[tuple[int, int, bytes]]) -> str | None:
    """Who sent the ICMP message in the queue of errors; None: the error is the machine's own."""
    for level, kind, data in extra:
        if (level, kind) not in (
            (socket.IPPROTO_IP, _IP_RECVERR),
            (socket.IPPROTO_IPV6, _IPV6_RECVERR),
        ) or len(data) < _EXTENDED.size:
            continue
        origin = _EXTENDED.unpack_from(data)[1]
        rest = data[_EXTENDED.size :]
        if origin not in _FROM_ICMP or len(rest) < 8:
            return None
        family = int.from_bytes(rest[:2], sys.byteorder)
        if family == socket.AF_INET:
            return socket.inet_ntop(family, rest[4:8])
        if family == socket.AF_INET6 and len(rest) >= 24:
            return socket.inet_ntop(family, rest[8:24])
    return None


@contextlib.contextmanager
def _opened(target: Target) -> Iterator[_Prober]:
    prober = _Prober(target)
    try:
        yield prober
    finally:
        prober.close()


# ------------------------------------------------------------------------------------------------ finding


async def find(host: str) -> Target | None:
    """Whom to ask: `host`, or where that is empty the first router beyond the home's own; None: nobody."""
    if host:
        return await _named(host)
    for family in (socket.AF_INET, socket.AF_INET6):
        numbers = range(1, _HOPS + 1)
        answers = await asyncio.gather(
            *(_asked(Target(family, _SINKS[family], number)) for number in numbers)
        )
        hops = {number: by for number, by in zip(numbers, answers, strict=True) if by}
        if hops:
            chosen = beyond(hops)
            # A router answers an echo sooner, and more often, than it complains.
            for target in (
                Target(family, hops[chosen], echo=True),
                Target(family, hops[chosen], chosen, True),
            ):
                if await _asked(target):
                    return target
            return Target(family, _SINKS[family], chosen)
    return None


async def _named(host: str) -> Target | None:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    except OSError:
        return None
    for family, _, _, _, where in found:
        for echo in (True, False):
            target = Target(family, str(where[0]), echo=echo)
            if await _asked(target):
                return target
    return None


async def _asked(target: Target) -> str:
    """The address that answers, of two probes; empty: none, or the kernel does not allow to ask so."""
    try:
        with _opened(target) as prober:
            for _ in range(2):
                prober.send()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_PATIENCE_S):
                        await prober.answered.wait()
                        break
            return prober.answered_by
    except OSError:
        return ""


def beyond(hops: dict[int, str]) -> int:
    """The hop that is surely behind the uplink's queue: the first public one after the home's router.

    Providers use private addresses too, so without a public one it is the second that is taken; where only
    one can be seen, that one.
    """
    outside = [number for number, address in hops.items() if number > 1 and _public(address)]
    return min(outside) if outside else 2 if 2 in hops else min(hops)


def _public(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_global or parsed in ipaddress.ip_network("100.64.0.0/10")


def _described(target: Target) -> str:
    how = "ICMP echo" if target.echo else "UDP"
    return f"{target.hops} hops away, by {how}" if target.hops else f"{target.address}, by {how}"
