"""The doctor at work: a drive that hangs stops neither it nor whoever asks."""

import asyncio
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

import pytest

from appliance.core.errors import RetryLater
from appliance.core.units import UtcMs
from appliance.domain.doctor.facts import MachineFacts, NetworkFacts
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.governor.readings import Readings
from appliance.domain.governor.settings import GovernorSettings
from appliance.domain.volumes.volume import Volume
from appliance.services.machine import health
from appliance.services.machine.health import HealthPorts, HealthWatch


def folder(path: str) -> Volume:
    return Volume(
        path=path,
        writable=True,
        total=10**12,
        free=10**11,
        inodes_free_percent=90,
        kind="ext4",
        device="/dev/sda1",
    )


MACHINE = MachineFacts(
    year=2026,
    clock_synchronised=True,
    ram_total=4 * 10**9,
    ram_available=2 * 10**9,
    temperature_mc=40_000,
    open_files_limit=65_536,
    ipv6=True,
    content=folder("/mnt/content"),
    state=folder("/var/lib/seedbox"),
)
NETWORK = NetworkFacts(
    wanted_port=6881,
    ports=(6881,),
    listen_errors=(),
    mapped=("upnp",),
    map_errors=(),
    mapping_wanted=True,
    incoming=True,
    dht_nodes=100,
    uptime_s=1_000,
    watch="",
    watch_exists=False,
)
DRIVE = Finding("drive", Verdict.OK, "The drive is well.")
NOTICE = Finding("notices", Verdict.WARNING, "No address is named.")


@dataclass
class KeptIssues:
    """Issues that may find no room on the disk."""

    full: bool = False
    rounds: list[list[Finding]] = field(default_factory=list)

    async def take(self, findings: Iterable[Finding]) -> None:
        if self.full:
            raise RetryLater("The disk is full. Make room.")
        self.rounds.append(list(findings))

    def findings(self) -> list[Finding]:
        return [NOTICE]


class World:
    """A box to be examined, of which a drive may hang."""

    def __init__(self) -> None:
        self.wakes = threading.Event()
        self.wakes.set()
        self.issues = KeptIssues()
        self.watch = HealthWatch(
            HealthPorts(
                machine=self._machine,
                network=lambda: NETWORK,
                volumes=lambda: [DRIVE],
                readings=lambda: Readings(at=UtcMs(0)),
                issues=self.issues,
            ),
            GovernorSettings(),
        )

    def _machine(self) -> MachineFacts:
        self.wakes.wait(10)
        return MACHINE

    async def rounds(self, count: int) -> None:
        """Let the watch work until it has beaten so often."""
        beats = 0

        def beat() -> None:
            nonlocal beats
            beats += 1

        loop = asyncio.create_task(self.watch.run(beat))
        async with asyncio.timeout(10):
            while beats < count and not loop.done():
                await asyncio.sleep(0.01)
        loop.cancel()
        await asyncio.wait([loop])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "EXAMINE_S", 0.01)
    monkeypatch.setattr(health, "HANG_S", 0.05)


def test_everything_that_is_found_is_kept_and_shown() -> None:
    world = World()
    asyncio.run(world.rounds(1))
    assert DRIVE in world.issues.rounds[0]
    assert world.watch.findings[-1] is NOTICE
    assert {"clock", "memory"} <= {finding.check for finding in world.watch.findings}


def test_a_full_disk_stops_no_examination() -> None:
    world = World()
    world.issues.full = True
    asyncio.run(world.rounds(3))
    assert not world.issues.rounds


def test_while_a_drive_hangs_the_last_facts_are_used() -> None:
    async def story() -> None:
        world = World()
        before = await world.watch.examine()
        world.wakes.clear()
        assert await world.watch.examine() == before
        await world.rounds(2)
        assert len(world.issues.rounds) >= 2
        world.wakes.set()

    asyncio.run(story())


def test_a_drive_that_hangs_from_the_start_is_said_and_the_loop_lives() -> None:
    async def story() -> None:
        world = World()
        world.wakes.clear()
        with pytest.raises(RetryLater, match="does not answer"):
            await world.watch.examine()
        await world.rounds(2)
        world.wakes.set()

    asyncio.run(story())


def test_two_who_ask_at_once_both_get_an_answer() -> None:
    async def story() -> None:
        world = World()
        found = await asyncio.gather(world.watch.examine(), world.watch.examine())
        assert found[0] == found[1]

    asyncio.run(story())
