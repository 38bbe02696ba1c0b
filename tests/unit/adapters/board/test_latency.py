"""Round trips: what the probes tell, and whom they ask."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest

from appliance.adapters.board.first_router import beyond, find_target
from appliance.adapters.board.latency import LatencyProbe, Window
from appliance.adapters.board.probe_socket import LOST_US, Target
from appliance.core.clock import SystemClock
from tests.support.clock import FakeClock
from tests.support.home_line import HomeLine
from tests.support.netns import own_network

NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")


def taken(*times: int | None, clock: FakeClock | None = None) -> Window:
    """A window that has taken these round trips."""
    window = Window(clock or FakeClock())
    for time in times:
        window.take(time)
    return window


def test_one_late_probe_is_not_a_late_line() -> None:
    assert taken(10, 11, 900_000, 12, 9).median_us == 11


def test_a_lost_probe_counts_as_late() -> None:
    assert taken(10, 10, 10, None, None, None).median_us == LOST_US


def test_nothing_is_said_before_some_have_answered() -> None:
    assert taken(10, None, 10).median_us is None
    assert taken(10, 10).median_us is None


def test_the_base_is_the_least_median_of_the_last_hour_and_older_ones_are_forgotten() -> None:
    clock = FakeClock()
    window = taken(10_000, 10_000, 10_000, clock=clock)
    clock.advance(30 * 60)
    for _ in range(5):
        window.take(30_000)
    clock.advance(60)
    window.take(30_000)
    assert window.least_us == 10_000
    clock.advance(59 * 60)
    assert window.least_us == 30_000
    clock.advance(2 * 60)
    assert window.least_us is None


def test_lost_probes_never_become_the_base() -> None:
    assert taken(10, 10, 10, *[None] * 9).least_us == 10


def test_an_hour_of_probes_needs_no_more_room_than_sixty_numbers() -> None:
    clock = FakeClock()
    window = Window(clock)
    for number in range(20_000):
        clock.advance(0.5)
        window.take(10_000 + number % 7)
    assert len(window._minutes) <= 61
    assert len(window._last) == 5


@pytest.mark.parametrize(
    ("hops", "chosen"),
    [
        ({1: "192.168.1.1", 2: "62.155.244.1", 3: "62.155.240.1"}, 2),
        ({1: "192.168.1.1", 2: "192.168.2.1", 3: "84.116.1.1"}, 3),
        ({1: "192.168.1.1", 2: "100.64.0.1", 3: "84.116.1.1"}, 2),
        ({1: "192.168.1.1", 3: "84.116.1.1"}, 3),
        ({1: "192.168.1.1", 2: "10.20.0.1"}, 2),
        ({1: "192.168.1.1"}, 1),
        ({1: "fe80::1", 2: "2003:0:8700::1"}, 2),
    ],
)
def test_the_first_public_router_after_the_homes_own_is_asked(hops: dict[int, str], chosen: int) -> None:
    assert beyond(hops) == chosen


# --------------------------------------------------------------------------------------------- for real


@pytest.fixture(scope="module")
def home() -> Iterator[HomeLine]:
    """A home line."""
    with HomeLine() as line:
        yield line


PROGRAM = """
import asyncio, sys
from appliance.adapters.board.latency import LatencyProbe
from appliance.core.clock import SystemClock

async def main():
    probe = LatencyProbe(sys.argv[1], SystemClock())
    async with asyncio.timeout(30):
        task = asyncio.create_task(probe.run(lambda: True))
        while probe.latency_us is None:
            await asyncio.sleep(0.05)
        target = probe.target
        print(target.address, target.hops, target.echo, probe.latency_us, probe.latency_base_us)
        task.cancel()

asyncio.run(main())
"""


def measured(home: HomeLine, host: str = "") -> tuple[str, int, bool, int, int]:
    """(address, hops, by echo, round trip, its base) as a box's unprivileged process finds them."""
    said = home.run("box", *NOBODY, sys.executable, "-c", PROGRAM, host).split()
    return said[0], int(said[1]), said[2] == "True", int(said[3]), int(said[4])


def test_without_any_privilege_the_providers_router_is_found_and_measured(home: HomeLine) -> None:
    home.run("box", "sysctl", "-qw", "net.ipv4.ping_group_range=1 0")
    _, hops, echo, latency, base = measured(home)
    assert (hops, echo) == (2, False)
    assert 0 < base <= latency < 100_000


def test_where_echoes_are_allowed_the_providers_router_is_asked_by_echo(home: HomeLine) -> None:
    home.allow_ping()
    address, hops, echo, latency, _ = measured(home)
    assert (address, hops, echo) == (home.PROVIDER, 0, True)
    assert 0 < latency < 100_000


def test_the_owners_own_host_is_asked(home: HomeLine) -> None:
    home.allow_ping()
    assert measured(home, home.address(3))[:3] == (home.address(3), 0, True)


def test_probes_cost_few_packets(home: HomeLine) -> None:
    home.allow_ping()
    before = home.sent()
    home.run(
        "box",
        sys.executable,
        "-c",
        PROGRAM.replace("probe.latency_us is None", "len(probe._window._last) < 5"),
        "",
    )
    # Five echoes of 50 bytes, and what finds the router.
    assert home.sent() - before < 2_000


def test_without_a_network_nothing_is_known_and_nothing_waits() -> None:
    async def look() -> tuple[Target | None, int | None]:
        probe = LatencyProbe("", SystemClock())
        async with asyncio.timeout(40):
            return await find_target(""), probe.latency_us

    with own_network():
        assert asyncio.run(look()) == (None, None)


def test_a_target_that_falls_silent_is_unknown_again() -> None:
    with HomeLine() as home:
        home.allow_ping()
        program = PROGRAM.replace(
            "task.cancel()",
            """
        print("known", flush=True)
        while probe.latency_us is not None:
            await asyncio.sleep(0.05)
        print("unknown", flush=True)
        task.cancel()""",
        )
        process = subprocess.Popen(
            [*home.inside("box"), sys.executable, "-c", program, ""], stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            process.stdout.readline()
            assert process.stdout.readline() == "known\n"
            home.run("router", "ip", "link", "set", "wan", "down")
            assert process.stdout.readline() == "unknown\n"
        finally:
            process.kill()
            process.communicate()
