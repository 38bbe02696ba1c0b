"""Finds whom to probe: a host by its name, or the first router beyond the home's own.

A datagram that is to find a router goes to a prefix that swallows junk for the whole internet (RFC 7535), and
never gets that far.
"""

import asyncio
import contextlib
import ipaddress
import socket

from appliance.adapters.board.probe_socket import Target, opened

_SINKS = {socket.AF_INET: "192.31.196.1", socket.AF_INET6: "2001:4:112::1"}
_HOPS = 5
_WAIT_S = 1.0


async def find_target(host: str) -> Target | None:
    """The target to probe: `host`, or where that is empty the first router beyond the home's own.

    None: nobody answers.
    """
    if host:
        return await _named(host)
    for family in _SINKS:
        if hops := await _routers(family):
            return await _router(family, hops)
    return None


async def _routers(family: socket.AddressFamily) -> dict[int, str]:
    """The routers on the way out that answer, by how many hops they are away."""
    numbers = range(1, _HOPS + 1)
    answers = await asyncio.gather(*(_asked(Target(family, _SINKS[family], number)) for number in numbers))
    return {number: by for number, by in zip(numbers, answers, strict=True) if by}


async def _router(family: socket.AddressFamily, hops: dict[int, str]) -> Target:
    """How to ask the router of these that is beyond the uplink."""
    chosen = beyond(hops)
    # A router answers an echo sooner, and more often, than it complains.
    echoes = (Target(family, hops[chosen], echo=True), Target(family, hops[chosen], chosen, True))
    for target in echoes:
        if await _asked(target):
            return target
    return Target(family, _SINKS[family], chosen)


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
        with opened(target) as prober:
            for _ in range(2):
                prober.send()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_WAIT_S):
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
    if outside:
        return min(outside)
    return 2 if 2 in hops else min(hops)


def _public(address: str) -> bool:
    parsed = ipaddress.ip_address(address)
    return parsed.is_global or parsed in ipaddress.ip_network("100.64.0.0/10")
