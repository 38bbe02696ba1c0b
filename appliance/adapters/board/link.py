"""The network interface of the default route: whether it is up, and how fast."""

from collections.abc import Iterable
from dataclasses import dataclass

from appliance.adapters.board.files import KernelFiles, whole

_UP, _REJECT = 0x1, 0x200
"""Flags of a route (Linux: include/uapi/linux/route.h)."""


_STATES = {"up": True, "down": False, "lowerlayerdown": False, "notpresent": False}
_UNDECIDED = ("unknown", "dormant")
"""Tunnels and some drivers never say more than this (Linux: networking/operstates)."""
_CARRIER = {"1": True, "0": False}


@dataclass(frozen=True, slots=True)
class LinkState:
    """The state of an interface; None: it could not be learnt."""

    up: bool | None
    mbit: int | None
    """Megabits a second, as agreed with the other end of the cable; radios do not report it."""


class DefaultLink:
    """Watches the interface of the default route, and remembers it: a pulled cable takes the route away."""

    def __init__(self, kernel: KernelFiles) -> None:
        self._kernel = kernel
        self._last = ""

    def read(self) -> LinkState:
        """How the interface is now."""
        self._last = default_interface(self._kernel) or self._last
        if not self._last:
            return LinkState(None, None)
        folder = f"sys/class/net/{self._last}"
        up = self._up(folder)
        return LinkState(up, self._mbit(folder) if up else None)

    def _up(self, folder: str) -> bool | None:
        state = self._kernel.text(f"{folder}/operstate")
        if state is None:
            # Gone, as a pulled USB adapter is; but without any interface there, /sys says nothing.
            return False if self._kernel.names("sys/class/net/*") else None
        if state in _UNDECIDED:
            return _CARRIER.get(self._kernel.text(f"{folder}/carrier") or "")
        return _STATES.get(state)

    def _mbit(self, folder: str) -> int | None:
        speed = self._kernel.number(f"{folder}/speed")
        return speed if speed is not None and speed > 0 else None


def default_interface(kernel: KernelFiles) -> str:
    """The interface of the best default route, IPv4 before IPv6; empty where there is none."""
    return parse_routes(kernel.lines("proc/net/route")) or parse_routes6(kernel.lines("proc/net/ipv6_route"))


def parse_routes(lines: list[str]) -> str:
    """The best default route in /proc/net/route (net/ipv4/fib_trie.c).

    Fields: interface, destination, gateway, flags, …, metric, mask, …
    """
    rows = (line.split() for line in lines[1:])
    defaults = (row for row in rows if len(row) >= 8 and row[1] == row[7] == "0" * 8)
    return _best(_route(row[0], row[3], whole(row[6])) for row in defaults)


def parse_routes6(lines: list[str]) -> str:
    """The best default route in /proc/net/ipv6_route (net/ipv6/route.c).

    Fields: destination, its length, …, metric, …, flags, interface.
    """
    rows = (line.split() for line in lines)
    defaults = (row for row in rows if len(row) >= 10 and row[:2] == ["0" * 32, "00"] and row[9] != "lo")
    return _best(_route(row[9], row[8], _hex(row[5])) for row in defaults)


def _best(routes: Iterable[tuple[int, str] | None]) -> str:
    """The interface of the first route with the least metric; empty where there is none."""
    usable = [route for route in routes if route]
    return min(usable, key=lambda route: route[0])[1] if usable else ""


def _route(interface: str, flags: str, metric: int | None) -> tuple[int, str] | None:
    """(metric, interface) of a route that is in use."""
    bits = _hex(flags)
    if bits is None or metric is None or bits & (_UP | _REJECT) != _UP or not _plain(interface):
        return None
    return metric, interface


def _plain(name: str) -> bool:
    """An interface's name has no slash and is no dots (Linux: dev_valid_name), so it stays in its folder."""
    return "/" not in name and "\0" not in name and name not in (".", "..")


def _hex(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None
