"""Probes without privileges: a socket that sends them numbered, and matches what comes back.

A probe is an ICMP echo over a datagram socket where the kernel allows it (icmp(7), ping_group_range). Else it
is a UDP datagram that dies on its way: the router that drops it says so (RFC 792, time exceeded), and the
kernel hands that over by IP_RECVERR (ip(7)).
"""

import asyncio
import contextlib
import logging
import socket
import struct
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

log = logging.getLogger(__name__)

LOST_US = 2_000_000
"""A probe without an answer counts as so late: a full queue drops it."""

_FIRST_PORT, _PORTS = 33_434, 64
"""traceroute's ports, where nobody listens; few, for the router keeps each in mind for a while."""

# <linux/in.h>, <linux/in6.h>, <asm-generic/socket.h>, <linux/errqueue.h>; Python does not name them all.
_IP_RECVERR, _IPV6_RECVERR = 11, 25
_SO_TIMESTAMPNS = 35
_MSG_ERRQUEUE = 0x2000
_EXTENDED = struct.Struct("@IBBBBII")
_TIME = struct.Struct("@ll")
_FROM_ICMP = (2, 3)
_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}
"""ICMP types of an echo request and of its reply."""

_Extra: TypeAlias = list[tuple[int, int, bytes]]
"""Ancillary data: level, kind and content of each."""


@dataclass(frozen=True, slots=True)
class Target:
    """Who is asked, and how."""

    family: socket.AddressFamily
    address: str
    hops: int = 0
    """0: it answers itself; else the router this many hops away does, on the way to `address`."""
    echo: bool = False
    """Whether it is asked by ICMP echo; else by UDP."""

    @property
    def interval_s(self) -> float:
        """Seconds between probes: most routers say no more than once a second that they dropped something."""
        return 0.5 if self.echo else 1.0

    @property
    def window(self) -> int:
        """Probes of which the median is taken."""
        return 5 if self.echo else 3


class ProbeSocket:
    """A socket that sends numbered probes and matches what comes back; nothing of it waits."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._socket = _socket(target)
        self._number = 0
        self._waiting: dict[int, tuple[int, int]] = {}
        """When each probe was sent, by the monotonic and by the wall clock; by its number."""
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
            # An error that came before is reported at the next call; it is no fault of this probe.
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
                    self._receive_one(flags)

    def _receive_one(self, flags: int) -> None:
        """Take one message. Raises BlockingIOError where there is none."""
        try:
            data, extra, _, sender = self._socket.recvmsg(512, 512, flags)
        except BlockingIOError:
            raise
        except OSError:
            # The error that was read from its queue a moment ago.
            return
        found = self._refused(data, extra, sender) if flags else self._replied(data, sender)
        if found:
            self._answered(*found, extra)

    def _refused(self, data: bytes, extra: _Extra, sender: tuple[str, int]) -> tuple[str, int] | None:
        """(router, number) of a probe that died on its way."""
        by = _offender(extra)
        number = _number(data) if self._target.echo else sender[1] - _FIRST_PORT
        return None if by is None else (by, number)

    def _replied(self, data: bytes, sender: tuple[str, int]) -> tuple[str, int] | None:
        """(host, number) of a probe that was echoed."""
        if self._target.echo and data[:1] == bytes([_ECHO[self._target.family][1]]):
            return sender[0], _number(data)
        return None

    def _answered(self, by: str, number: int, extra: _Extra) -> None:
        sent = self._waiting.pop(number, None)
        if sent:
            self.answered_by = by
            self.answered.set()
            self._took.append(_took_us(sent, extra))


class _Family(NamedTuple):
    """What differs between IPv4 and IPv6."""

    icmp: int
    level: int
    errors: int
    hops: int


_FAMILIES = {
    socket.AF_INET: _Family(socket.IPPROTO_ICMP, socket.IPPROTO_IP, _IP_RECVERR, socket.IP_TTL),
    socket.AF_INET6: _Family(
        socket.IPPROTO_ICMPV6, socket.IPPROTO_IPV6, _IPV6_RECVERR, socket.IPV6_UNICAST_HOPS
    ),
}


def _socket(target: Target) -> socket.socket:
    of = _FAMILIES[target.family]
    kind = of.icmp if target.echo else socket.IPPROTO_UDP
    made = socket.socket(target.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, kind)
    made.setsockopt(of.level, of.errors, 1)
    # The kernel notes when an answer came: this process may be busy then.
    made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    if target.hops:
        made.setsockopt(of.level, of.hops, target.hops)
    return made


def _number(data: bytes) -> int:
    return int.from_bytes(data[6:8], "big") if len(data) >= 8 else -1


def _took_us(sent: tuple[int, int], extra: _Extra) -> int:
    """Microseconds, by the kernel's time of arrival unless the wall clock was set meanwhile."""
    took = time.monotonic_ns() - sent[0]
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) >= _TIME.size:
            seconds, nanoseconds = _TIME.unpack_from(data)
            arrived = seconds * 1_000_000_000 + nanoseconds - sent[1]
            took = arrived if 0 < arrived < took else took
    return took // 1_000


def _offender(extra: _Extra) -> str | None:
    """Who sent the ICMP message in the queue of errors; None: the error is the machine's own."""
    for level, kind, data in extra:
        if (level, kind) in _ERRORS and len(data) >= _EXTENDED.size:
            from_icmp = _EXTENDED.unpack_from(data)[1] in _FROM_ICMP
            return _address(data[_EXTENDED.size :]) if from_icmp else None
    return None


_ERRORS = tuple((of.level, of.errors) for of in _FAMILIES.values())
_WHERE = {socket.AF_INET: slice(4, 8), socket.AF_INET6: slice(8, 24)}
"""Where the address is within a `sockaddr_in` and a `sockaddr_in6`."""


def _address(sockaddr: bytes) -> str | None:
    family = int.from_bytes(sockaddr[:2], sys.byteorder)
    for known, where in _WHERE.items():
        if family == known and len(sockaddr) >= where.stop:
            return socket.inet_ntop(known, sockaddr[where])
    return None


@contextlib.contextmanager
def opened(target: Target) -> Iterator[ProbeSocket]:
    """A socket for probes of a target. Raises OSError where the kernel allows none of that kind."""
    prober = ProbeSocket(target)
    try:
        yield prober
    finally:
        prober.close()
