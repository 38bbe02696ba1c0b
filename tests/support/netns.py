"""Hosts in network namespaces, made and removed by the test that uses them."""

import subprocess
from types import TracebackType
from typing import Self

import pytest

from tests.support.addresses import RUN


def _ip(*words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["ip", *words], capture_output=True, check=False)


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
