"""The network interface of the default route: whether it is up, and how fast."""

from dataclasses import dataclass

from appliance.adapters.board.files import KernelFiles, whole

_UP, _REJECT = 0x1, 0x200
"""Flags of a route (Linux: include/uapi/linux/route.h)."""


@dataclass(frozen=True, slots=True)
class Link:
    """An interface; None: it could not be learnt."""

    up: bool | None
    mbit: int | None
    """Megabits a second, as agreed with the other end of the cable; radios do not tell."""


class Uplink:
    """Watches the interface of the default route, and remembers it: a pulled cable takes the route away."""

    def __init__(self, kernel: KernelFiles) -> None:
        self._kernel = kernel
        self._last = ""

    def read(self) -> Link:
        """How the interface is now."""
        self._last = default_interface(self._kernel) or self._last
        if not self._last:
            return Link(None, None)
        folder = f"sys/class/net/{self._last}"
        state = self._kernel.text(f"{folder}/operstate")
        if state is None:
            # Gone, as a pulled USB adapter is; but without any interface there, /sys tells nothing.
            return Link(False if self._kernel.names("sys/class/net/*") else None, None)
        up = {"up": True, "down": False, "lowerlayerdown": False, "notpresent": False}.get(state)
        if up is None and state in ("unknown", "dormant"):
            # Tunnels and some drivers never say more than this (Linux: networking/operstates).
            up = {"1": True, "0": False}.get(self._kernel.text(f"{folder}/carrier") or "")
        speed = self._kernel.number(f"{folder}/speed")
        return Link(up, speed if up and speed is not None and speed > 0 else None)


def default_interface(kernel: KernelFiles) -> str:
    """The interface of the best default route, IPv4 before IPv6; empty where there is none."""
    return parse_routes(kernel.lines("proc/net/route")) or parse_routes6(kernel.lines("proc/net/ipv6_route"))


def parse_routes(lines: list[str]) -> str:
    """/proc/net/route: interface, destination, gateway, flags, …, metric, mask, … (net/ipv4/fib_trie.c)."""
    best: tuple[int, str] | None = None
    for line in lines[1:]:
        fields = line.split()
        if len(fields) < 8 or fields[1] != "00000000" or fields[7] != "00000000":
            continue
        flags, metric = _hex(fields[3]), whole(fields[6])
        if flags is None or metric is None or not flags & _UP or flags & _REJECT:
            continue
        if _plain(fields[0]) and (best is None or metric < best[0]):
            best = metric, fields[0]
    return best[1] if best else ""


def parse_routes6(lines: list[str]) -> str:
    """/proc/net/ipv6_route: destination, its length, …, metric, …, flags, interface (net/ipv6/route.c)."""
    best: tuple[int, str] | None = None
    for line in lines:
        fields = line.split()
        if len(fields) < 10 or fields[0] != "0" * 32 or fields[1] != "00" or fields[9] == "lo":
            continue
        metric, flags = _hex(fields[5]), _hex(fields[8])
        if flags is None or metric is None or not flags & _UP or flags & _REJECT:
            continue
        if _plain(fields[9]) and (best is None or metric < best[0]):
            best = metric, fields[9]
    return best[1] if best else ""


def _plain(name: str) -> bool:
    """An interface's name has no slash and is no dots (Linux: dev_valid_name), so it stays in its folder."""
    return "/" not in name and "\0" not in name and name not in (".", "..")


def _hex(text: str) -> int | None:
    try:
        return int(text, 16)
    except ValueError:
        return None
