"""A home and its line to the internet, in network namespaces, made and removed by the test that uses them."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from appliance.core.units import MIB
from tests.support.addresses import RUN
from tests.support.peer import Peer
from tests.support.sender import Sender
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until


class HomeLine:
    """A home: a box and a neighbour behind a router, whose uplink to the internet has a deep queue.

    The router forwards 10 Mbit/s and holds back up to 250 kB, which is 200 ms; TCP fills that (CUBIC, as on
    most machines). Down it is 50 Mbit/s. Beyond the router is the provider's, which is the internet's only
    host too; what is sent further than there is lost.
    """

    UP_BITS, QUEUE_BYTES = 10_000_000, 250_000
    BOX, NEIGHBOUR, PROVIDER = "198.18.1.2", "198.18.2.2", "198.18.3.2"

    def __init__(self) -> None:
        self.names = {who: f"seedbox-{RUN}-{who}" for who in ("box", "neighbour", "router", "internet")}

    def __enter__(self) -> Self:
        self.__exit__(None, None, None)
        if missing := [tool for tool in ("ip", "tc", "ping") if not shutil.which(tool)]:
            pytest.skip(f"{', '.join(missing)} is missing: install iproute2 and iputils-ping")
        try:
            self._build()
        except subprocess.CalledProcessError as error:
            self.__exit__(None, None, None)
            pytest.skip(f"no home line can be built here: {' '.join(error.cmd)}: {error.stderr.strip()}")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        for name in self.names.values():
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)

    def inside(self, who: str) -> tuple[str, ...]:
        """The words that run a command there."""
        return ("ip", "netns", "exec", self.names[who])

    def run(self, who: str, *words: str) -> str:
        """Run a command there; raises CalledProcessError."""
        done = subprocess.run([*self.inside(who), *words], capture_output=True, text=True, check=True)
        return done.stdout

    def address(self, number: int) -> str:
        """One of the internet's twenty further addresses, for a peer."""
        assert 0 <= number < 20
        return f"198.18.3.{10 + number}"

    def sent(self) -> int:
        """Bytes that the router has sent over the uplink, with all headers."""
        told = self.run("router", "tc", "-s", "qdisc", "show", "dev", "wan")
        found = re.search(r"Sent (\d+) bytes", told)
        assert found, told
        return int(found[1])

    def allow_ping(self) -> None:
        """Let every user of the box send echoes, as systemd's defaults do (icmp(7))."""
        self.run("box", "sysctl", "-qw", "net.ipv4.ping_group_range=0 2147483647")

    def round_trips_ms(self, seconds: float, *, interval_s: float = 0.05) -> list[float]:
        """The neighbour pings the internet; one that is lost counts as a second."""
        count = round(seconds / interval_s)
        ping = subprocess.run(
            [*self.inside("neighbour"), "ping", "-n", "-W1", f"-i{interval_s}", f"-c{count}", self.PROVIDER],
            capture_output=True,
            text=True,
            check=False,
        )
        answers = [float(each) for each in re.findall(r" time=([0-9.]+) ms", ping.stdout)]
        assert answers, ping.stdout + ping.stderr
        return answers + [1_000.0] * (count - len(answers))

    def _build(self) -> None:
        for name in self.names.values():
            _must("netns", "add", name)
            _must("-n", name, "link", "set", "lo", "up")
        for end, who, number in (("lan0", "box", 1), ("lan1", "neighbour", 2), ("wan", "internet", 3)):
            self._cable(end, who, number)
        for who in ("router", "internet"):
            self.run(who, "sysctl", "-qw", "net.ipv4.ip_forward=1")
        queue = ("burst", "5kb", "limit", str(self.QUEUE_BYTES))
        self.run(
            "router", "tc", "qdisc", "add", "dev", "wan", "root", "tbf", "rate", f"{self.UP_BITS}bit", *queue
        )
        down = ("rate", "50mbit", "burst", "20kb", "limit", "500000")
        self.run("internet", "tc", "qdisc", "add", "dev", "eth0", "root", "tbf", *down)
        for number in range(20):
            _must("-n", self.names["internet"], "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
        self._further()

    def _cable(self, end: str, who: str, number: int) -> None:
        router, host = self.names["router"], self.names[who]
        _must("-n", router, "link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", host)
        _must("-n", router, "addr", "add", f"198.18.{number}.1/24", "dev", end)
        _must("-n", host, "addr", "add", f"198.18.{number}.2/24", "dev", "eth0")
        _must("-n", router, "link", "set", end, "up")
        _must("-n", host, "link", "set", "eth0", "up")
        way = ("198.18.0.0/16",) if who == "internet" else ("default",)
        # Of the route, because a namespace may not choose another default than the machine's.
        _must("-n", host, "route", "add", *way, "via", f"198.18.{number}.1", "congctl", "cubic")
        if who == "internet":
            _must("-n", router, "route", "add", "default", "via", f"198.18.{number}.2")

    def _further(self) -> None:
        """The rest of the internet: a way on which everything is lost."""
        internet = self.names["internet"]
        _must("-n", internet, "link", "add", "far", "type", "veth", "peer", "name", "away")
        _must("-n", internet, "addr", "add", "198.19.0.1/24", "dev", "far")
        for end in ("far", "away"):
            _must("-n", internet, "link", "set", end, "up")
        _must("-n", internet, "neigh", "add", "198.19.0.2", "lladdr", "02:00:00:00:00:02", "dev", "far")
        _must("-n", internet, "route", "add", "default", "via", "198.19.0.2")


def _must(*words: str) -> None:
    subprocess.run(["ip", *words], capture_output=True, text=True, check=True)


@contextmanager
def uploading(
    folder: Path, home: HomeLine, *, guarded: bool, over: str, peers: int, size: int
) -> Iterator[Sender]:
    """A box that sends to peers in the internet, who take all that they get over `tcp` or `utp`."""
    metainfo = make_torrent(write_data(folder / "data.bin", size), "v1", piece=256 * 1024)
    with ExitStack() as stack:
        box = stack.enter_context(
            Sender(folder, metainfo, home.BOX, guarded=guarded, prefix=home.inside("box"))
        )
        if guarded:
            until(lambda: box.said["base_us"] is not None, "a measured round trip")
        for number in range(peers):
            stack.enter_context(
                Peer(
                    folder / f"peer{number}",
                    metainfo,
                    call=(home.BOX, 6881),
                    address=home.address(number),
                    prefix=home.inside("internet"),
                    enable_outgoing_utp=over == "utp",
                    enable_outgoing_tcp=over == "tcp",
                    allow_multiple_connections_per_ip=False,
                )
            )
        until(lambda: box.said["sent"] > 4 * MIB, "an upload that runs", 60)
        yield box
