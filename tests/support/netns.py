"""Hosts in network namespaces, made and removed by the test that uses them."""

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import pytest

from tests.support.addresses import RUN


def _ip(*words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["ip", *words], capture_output=True, check=False)


_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def own_network(*addresses: str) -> Iterator[None]:
    """Run this thread, and all that it starts, on a loopback network of its own with these addresses too.

    Source: unshare(2), setns(2). The network is gone with the last process in it.
    """
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.unshare(_CLONE_NEWNET):
            pytest.skip(f"network namespaces are not allowed here: {os.strerror(ctypes.get_errno())}")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            for address in addresses:
                subprocess.run(["ip", "addr", "add", address, "dev", "lo"], check=True)
            yield
        finally:
            _libc.setns(before, _CLONE_NEWNET)
    finally:
        os.close(before)


class TwoHosts:
    """Two hosts, `a` and `b`, that have no network until their cable is plugged in (a veth pair)."""

    def __init__(self) -> None:
        self.names = (f"seedbox-{RUN}-a", f"seedbox-{RUN}-b")
        # 198.18.0.0/15 is for tests of networks (RFC 2544).
        self.addresses = ("198.18.0.1", "198.18.0.2")

    def __enter__(self) -> Self:
        for name in self.names:
            _ip("netns", "del", name)
            made = _ip("netns", "add", name)
            if made.returncode:
                self.__exit__(None, None, None)
                pytest.skip(f"network namespaces are not allowed here: {made.stderr.decode().strip()}")
            _ip("-n", name, "link", "set", "lo", "up")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for name in self.names:
            _ip("netns", "del", name)

    def inside(self, host: int) -> tuple[str, ...]:
        """The words that run a command on one of them."""
        return ("ip", "netns", "exec", self.names[host])

    def plug(self) -> None:
        """Give both a network."""
        first, second = self.names
        subprocess.run(
            [
                "ip",
                "-n",
                first,
                "link",
                "add",
                "eth0",
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
                second,
            ],
            check=True,
        )
        for name, address in zip(self.names, self.addresses, strict=True):
            subprocess.run(["ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0"], check=True)
            subprocess.run(["ip", "-n", name, "link", "set", "eth0", "up"], check=True)

    def unplug(self) -> None:
        """Take it away: the interface is gone, as a pulled USB adapter is."""
        subprocess.run(["ip", "-n", self.names[0], "link", "del", "eth0"], check=True)
