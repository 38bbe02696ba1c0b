"""A home behind a router: miniupnpd and the kernel's own address translation, in network namespaces."""

import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from tests.support.addresses import RUN
from tests.support.processes import end, start
from tests.support.until import until

DAEMON = Path("/usr/sbin/miniupnpd")
LAN, HOME = "192.168.77.1", "192.168.77.2"
WAN, FAR = "11.0.0.1", "11.0.0.2"
"""The router gives no ports away while its own address is a private one."""
_RULES = """
table inet filter {
    chain miniupnpd { }
    chain prerouting_miniupnpd { }
    chain postrouting_miniupnpd { }
    chain forward { type filter hook forward priority 0; policy drop;
        iifname "lan" accept
        ct state established,related accept
        jump miniupnpd
    }
    chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
    chain postrouting { type nat hook postrouting priority 100;
        jump postrouting_miniupnpd
        oifname "wan" masquerade
    }
}
"""
_CONFIG = """
ext_ifname=wan
listening_ip=lan
enable_upnp={upnp}
enable_natpmp={natpmp}
lease_file={leases}
secure_mode=yes
system_uptime=yes
uuid=00000000-0000-0000-0000-000000000001
allow 1024-65535 192.168.77.0/24 1024-65535
deny 0-65535 0.0.0.0/0 0-65535
"""


def _run(*words: str, said: str = "") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(words, input=said.encode(), capture_output=True, check=False)


class Router:
    """Three hosts: `home` behind the router, the router, and `far`, that can reach only the router."""

    def __init__(self, folder: Path, *, upnp: bool, natpmp: bool) -> None:
        self._folder = folder
        self._leases = folder / "leases"
        self._asked = {"upnp": upnp, "natpmp": natpmp}
        self._names = {who: f"seedbox-{RUN}-{who}" for who in ("home", "router", "far")}
        self._daemon: Any = None

    def __enter__(self) -> Self:
        if not DAEMON.exists():
            pytest.skip("miniupnpd is not installed (Debian: miniupnpd-nftables)")
        try:
            self._wire()
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        if self._daemon:
            end(self._daemon)
        for name in self._names.values():
            _run("ip", "netns", "del", name)

    def inside(self, who: str) -> tuple[str, ...]:
        """The words that run a command on `home`, `router` or `far`."""
        return ("ip", "netns", "exec", self._names[who])

    def _wire(self) -> None:
        for name in self._names.values():
            made = _run("ip", "netns", "add", name)
            if made.returncode:
                pytest.skip(f"network namespaces are not allowed here: {made.stderr.decode().strip()}")
        for who, own, address, theirs, other in (
            ("home", "eth0", HOME, "lan", LAN),
            ("far", "eth0", FAR, "wan", WAN),
        ):
            host, router = self._names[who], self._names["router"]
            self._ip(host, "link", "add", own, "type", "veth", "peer", "name", theirs, "netns", router)
            for name, link, ip in ((host, own, address), (router, theirs, other)):
                self._ip(name, "addr", "add", f"{ip}/24", "dev", link)
                self._ip(name, "link", "set", link, "up")
                self._ip(name, "link", "set", "lo", "up")
        self._ip(self._names["home"], "route", "add", "default", "via", LAN)
        # Where the router looks for the way out, and who asks it by multicast finds it.
        self._ip(self._names["router"], "route", "add", "default", "via", FAR)
        for words, said in (
            (("sysctl", "-qw", "net.ipv4.ip_forward=1"), ""),
            (("nft", "-f", "-"), _RULES),
        ):
            done = _run(*self.inside("router"), *words, said=said)
            if done.returncode:
                pytest.skip(f"the kernel translates no addresses here: {done.stderr.decode().strip()}")

    def _ip(self, name: str, *words: str) -> None:
        subprocess.run(["ip", "-n", name, *words], check=True)

    def _start(self) -> None:
        config = self._folder / "miniupnpd.conf"
        says = {key: "yes" if on else "no" for key, on in self._asked.items()}
        config.write_text(_CONFIG.format(leases=self._leases, **says))
        with (self._folder / "miniupnpd.log").open("ab") as log:
            files = ("-f", config, "-P", self._folder / "miniupnpd.pid")
            self._daemon = start([*self.inside("router"), DAEMON, "-d", *files], log)
        until(lambda: (self._folder / "miniupnpd.pid").exists() or self._daemon.poll() is not None)
        assert self._daemon.poll() is None, (self._folder / "miniupnpd.log").read_text()

    def leases(self) -> set[tuple[str, int, str, int]]:
        """(protocol, port of the router, host, port of the host) that it has opened."""
        if not self._leases.exists():
            return set()
        rows = [line.split(":") for line in self._leases.read_text().splitlines()]
        return {(row[0], int(row[1]), row[2], int(row[3])) for row in rows}

    def reaches(self, port: int) -> bool:
        """Whether somebody far away can connect to a port of the router."""
        look = f"import socket; socket.create_connection(({WAN!r}, {port}), 2)"
        return _run(*self.inside("far"), "python3", "-c", look).returncode == 0
