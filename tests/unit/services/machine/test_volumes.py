"""The storage guard over folders of this machine: what it does with a drive, and what it tells its owner."""

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.adapters.board.content import ContentDisk
from appliance.adapters.board.folder import ContentFolder, content_folders
from appliance.adapters.board.mounts import FileSystem, Mounts
from appliance.adapters.board.probe import _CHECK
from appliance.adapters.store.database import Database
from appliance.adapters.store.settings import Settings
from appliance.core.config import ContentConfig
from appliance.core.state import StateFolder
from appliance.domain.catalogue.catalogue import AddOptions, Catalogue
from appliance.domain.catalogue.model import Goal, TorrentState
from appliance.domain.doctor.issues import BAD
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.governor.readings import DiskReading
from appliance.domain.volumes.faults import MARK
from appliance.services.machine import volumes as guard_module
from appliance.services.machine.volumes import READ_S, WRITE_S, VolumeGuard, VolumePorts
from tests.support.clock import FakeClock
from tests.support.fakes import FakeDisk, FakeEngine, ListJournal, MemoryStore, parsed

SHM = Path("/dev/shm")
DISK = DiskReading(
    device="/dev/sdx",
    model="Maker 4000",
    healthy=True,
    temperature_mc=None,
    wear_percent=None,
    bad_sectors=None,
    hours=None,
)


class Site:
    """A guard over a main folder beside the state, and a further one on a file system of its own."""

    def __init__(self, tmp_path: Path, drive: Path) -> None:
        (tmp_path / "state").mkdir(exist_ok=True)
        self.state, self.drive = tmp_path / "state", drive
        self.database = Database(self.state / "box.db", check=False)
        self.main, self.further = self.state / "content", drive / "seedbox"
        self.on = FileSystem(
            point=str(drive),
            kind="ext4",
            device="/dev/sdx1",
            drives=("/dev/sdx",),
            uuid="11-22",
            read_only=False,
            attached=True,
        )
        self.resting = False
        self.clock, self.journal = FakeClock(), ListJournal()
        self.engine = FakeEngine(FakeDisk())
        self.again()

    def again(self) -> None:
        """The box is started anew."""
        settings = Settings(self.database)
        main = ContentFolder(self.main, self.state, Mounts().of)
        further = ContentFolder(self.further, self.state, lambda path: self.on, before=(main,))
        self.catalogue = Catalogue(
            self.engine,
            MemoryStore(),
            self.journal,
            ContentDisk(),
            self.clock,
            [self.main, self.further],
            Goal(),
        )
        self.engine.start(self.catalogue.apply)
        ports = VolumePorts(
            mounts=Mounts(),
            torrents=self.catalogue,
            memory=settings,
            clock=self.clock,
            resting=lambda: self.resting,
            chance=random.Random(1),
        )
        self.guard = VolumeGuard([main, further], ports)

    async def look(self, seconds: float = 0.0) -> None:
        """Let time pass, and look."""
        self.clock.advance(seconds)
        await self.guard.refresh()

    def wrong(self) -> dict[str, Finding]:
        """What is wrong with the further folder."""
        return {
            finding.check.removesuffix(f":{self.further}"): finding
            for finding in self.guard.findings()
            if finding.verdict in BAD and finding.check.endswith(str(self.further))
        }

    async def use(self) -> None:
        """A torrent that is seeded from the further folder."""
        (self.further / "film1").write_bytes(bytes(1_000))
        self.engine.disk.put(f"{self.further}/film1")
        added = await self.catalogue.add(parsed(), AddOptions())
        self.engine.deliver()
        assert self.catalogue.get(added.id).state is TorrentState.SEEDING
        assert self.catalogue.on_volume(str(self.further))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    if not SHM.is_dir() or SHM.stat().st_dev in {tmp_path.stat().st_dev, Path("/").stat().st_dev}:
        pytest.skip("/dev/shm is no file system of its own here")
    drive = Path(tempfile.mkdtemp(dir=SHM, prefix="seedbox-test-"))
    made = Site(tmp_path, drive)
    yield made
    made.database.close()
    shutil.rmtree(drive)


def play(site: Site, *steps: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await site.guard.start()
        for step in steps:
            await step()

    asyncio.run(run())


# ------------------------------------------------------------------------------------------------ adopting


def test_both_folders_are_adopted_and_known_again(site: Site) -> None:
    play(site)
    marks = [(folder / MARK).read_text() for folder in (site.main, site.further)]
    assert not site.wrong()
    assert [volume.present for volume in site.guard.volumes()] == [True, True]
    assert site.guard.volumes()[1].uuid == "11-22"
    site.again()
    play(site)
    assert [(folder / MARK).read_text() for folder in (site.main, site.further)] == marks
    assert [one.volume.path for one in site.guard.statuses()] == [str(site.main), str(site.further)]


def test_a_further_folder_is_never_made_on_the_disk_of_the_system(site: Site) -> None:
    site.further = site.state.parent / "mnt" / "disk1"
    site.again()
    play(site)
    assert not site.further.parent.exists()
    assert "not on a drive of its own" in site.wrong()["drive"].says
    assert "content.volumes" in site.wrong()["drive"].remedy
    assert not site.guard.volumes()[1].present
    assert site.guard.main.present, "the others go on"


def test_a_further_folder_without_its_drive_is_taken_up_when_that_comes(site: Site) -> None:
    real, site.further = site.further, site.state.parent / "disk1"
    site.again()

    async def connect() -> None:
        site.further.symlink_to(real.parent)  # as good as a mount, for those who may not mount
        await site.look()
        assert not site.wrong()
        assert (real.parent / MARK).exists()

    play(site, connect)


def test_a_further_folder_must_not_share_the_drive_of_one_before_it(site: Site) -> None:
    site.main = site.drive / "main"
    site.again()
    play(site)
    assert str(site.main) in site.wrong()["drive"].says
    assert not site.further.exists()


def test_a_further_folder_with_a_mark_is_taken_wherever_it_lies(site: Site) -> None:
    site.further = site.state.parent / "moved"
    site.further.mkdir()
    (site.further / MARK).write_text("0123456789abcdef\n")
    site.again()
    play(site)
    assert not site.wrong()
    assert (site.further / MARK).read_text() == "0123456789abcdef\n"


def test_no_folder_is_named_twice(tmp_path: Path) -> None:
    config = ContentConfig(root="content", volumes=("/mnt/a", "/mnt/a", str(tmp_path / "content")))
    folders = content_folders(config, StateFolder(tmp_path), Mounts())
    assert [str(folder.path) for folder in folders] == [str(tmp_path / "content"), "/mnt/a"]
    assert [folder.further for folder in folders] == [False, True]


# -------------------------------------------------------------------------------------------- going, coming


def test_a_copy_on_another_file_system_is_not_taken_for_the_drive(site: Site) -> None:
    async def swap() -> None:
        site.on = replace(site.on, uuid="33-44")
        await site.look()
        assert "Another drive" in site.wrong()["drive"].says
        (site.further / MARK).write_text("adopt\n")
        await site.look()
        assert not site.wrong(), "unless its owner says so"
        assert site.guard.volumes()[1].uuid == "33-44"

    play(site, swap)


def test_the_uuid_of_a_box_that_was_adopted_before_is_learnt(site: Site) -> None:
    learnt, site.on = site.on, replace(site.on, uuid="")

    async def learn() -> None:
        assert site.guard.volumes()[1].uuid == ""
        site.on = learnt
        site.again()
        await site.guard.start()
        assert site.guard.volumes()[1].uuid == "11-22"
        site.on = replace(learnt, uuid="33-44")
        site.again()
        await site.guard.start()
        assert "drive" in site.wrong()

    play(site, learn)


def test_a_mark_that_was_cleaned_away_on_the_right_drive_is_made_again(site: Site) -> None:
    async def clean() -> None:
        (site.further / MARK).unlink()
        await site.look()
        assert not site.wrong()
        shutil.rmtree(site.further)
        await site.look()
        assert "the folder is missing" in site.wrong()["drive"].says
        assert not site.further.exists()

    play(site, clean)


def test_an_empty_mount_point_is_left_empty(site: Site) -> None:
    async def unmount() -> None:
        shutil.rmtree(site.further)
        site.further.mkdir()
        site.on = replace(site.on, uuid="of the root")
        await site.look(WRITE_S)
        assert list(site.further.iterdir()) == []
        assert not site.guard.volumes()[1].present

    play(site, unmount)


def test_a_drive_that_was_pulled_is_told_though_its_mount_is_still_there(site: Site) -> None:
    async def pull() -> None:
        await site.use()
        site.on = replace(site.on, attached=False)
        await site.look()
        assert "was unplugged" in site.wrong()["drive"].says
        torrent = next(iter(site.catalogue.all()))
        assert torrent.state is TorrentState.MISSING_DATA
        assert not site.engine.torrents

    play(site, pull)


def test_a_drive_that_hangs_holds_up_neither_the_box_nor_its_end(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_module, "HANG_S", 0.2)

    async def hang() -> None:
        mark = site.further / MARK
        secret = mark.read_text()
        mark.unlink()
        os.mkfifo(mark)  # who opens it waits until somebody writes
        for _ in range(3):
            await site.look()
            assert "does not respond" in site.wrong()["drive"].says
        assert site.guard.main.present
        assert not site.guard.main.refusal
        pipe = os.open(mark, os.O_RDWR)
        mark.unlink()
        mark.write_text(secret)
        os.close(pipe)
        async with asyncio.timeout(10):
            while site.wrong():
                await site.look()

    play(site, hang)


# -------------------------------------------------------------------------------------- reading and writing


def test_a_drive_in_use_is_written_to_and_nothing_stays_behind(site: Site) -> None:
    async def use() -> None:
        assert site.guard.volumes()[1].writable is None, "nobody uses it: nobody tried"
        await site.use()
        await site.look(WRITE_S)
        assert site.guard.volumes()[1].writable is True
        assert sorted(path.name for path in site.further.iterdir()) == [MARK, "film1"]

    play(site, use)


def test_a_write_that_fails_has_a_finding_of_its_own_and_freezes_the_downloads(site: Site) -> None:
    async def fail() -> None:
        await site.use()
        (site.further / _CHECK).mkdir()  # what was to be written cannot be
        await site.look(WRITE_S)
        assert site.guard.volumes()[1].writable is False
        assert "Writing to" in site.wrong()["drive-writing"].says
        assert "drive" not in site.wrong(), "it is there, and seeded from"
        assert next(iter(site.catalogue.all())).state is TorrentState.SEEDING
        (site.further / _CHECK).rmdir()
        await site.look(READ_S)
        assert not site.wrong(), "tried again soon"
        assert site.guard.volumes()[1].writable is True

    play(site, fail)


def test_a_drive_that_became_read_only_has_a_finding_of_its_own(site: Site) -> None:
    async def freeze() -> None:
        await site.use()
        site.on = replace(site.on, read_only=True)
        await site.look(WRITE_S)
        assert list(site.wrong()) == ["drive-read-only"]
        assert "is read-only" in site.wrong()["drive-read-only"].says
        assert site.guard.volumes()[1].read_only
        assert site.guard.statuses()[1].worst.says.startswith("The drive with")
        site.on = replace(site.on, read_only=False)
        await site.look()
        assert not site.wrong()

    play(site, freeze)


def test_a_failing_drive_takes_nothing_new_and_a_worn_one_is_told(site: Site) -> None:
    async def wear() -> None:
        site.guard.apply_disks([replace(DISK, healthy=False), replace(DISK, device="/dev/sdy")])
        assert "is failing" in site.wrong()["drive-health"].says
        admitted = await site.catalogue.add(parsed(2, name="new"), AddOptions())
        assert site.catalogue.get(admitted.id).record.folder == str(site.main)
        site.guard.apply_disks([replace(DISK, wear_percent=90)])
        assert site.wrong()["drive-health"].verdict is Verdict.WARNING
        site.guard.apply_disks([DISK])
        assert not site.wrong()

    play(site, wear)


def test_a_drive_that_was_failing_when_it_fell_silent_takes_nothing_new_until_it_is_well(site: Site) -> None:
    async def fall_silent() -> None:
        site.guard.apply_disks([replace(DISK, healthy=False)])
        for silence in ([replace(DISK, healthy=None)], []):
            site.guard.apply_disks(silence)
            assert "is failing" in site.wrong()["drive-health"].says
        site.guard.apply_disks([replace(DISK, device="/dev/sdy")])
        admitted = await site.catalogue.add(parsed(2, name="new"), AddOptions())
        assert site.catalogue.get(admitted.id).record.folder == str(site.main)
        site.guard.apply_disks([DISK])
        assert not site.wrong()
        assert not site.guard.volumes()[1].refusal

    play(site, fall_silent)


def test_nothing_is_said_to_be_well_of_a_drive_that_cannot_be_looked_at(site: Site) -> None:
    async def pull() -> None:
        site.on = replace(site.on, attached=False)
        await site.look()
        found = {one.check: one.verdict for one in site.guard.findings() if str(site.further) in one.check}
        assert found.pop(f"drive:{site.further}") is Verdict.ERROR
        assert {check.partition(":")[0] for check in found} == {
            "drive-read-only",
            "drive-writing",
            "drive-reading",
            "drive-health",
        }
        assert set(found.values()) == {Verdict.UNKNOWN}

    play(site, pull)


@pytest.mark.parametrize("why", ["resting", "asleep"])
def test_a_disk_that_rests_is_neither_read_nor_written_but_looked_for(site: Site, why: str) -> None:
    async def rest() -> None:
        await site.use()
        if why == "resting":
            site.resting = True
        else:
            site.guard.apply_disks([replace(DISK, asleep=True)])
        (site.further / _CHECK).mkdir()
        await site.look(WRITE_S)
        assert not site.wrong(), "nobody tried"
        torrent = next(iter(site.catalogue.all()))
        site.engine.snapshot(torrent.record.id, up_rate=1_000)
        site.engine.deliver()
        await site.look()
        assert "drive-writing" in site.wrong(), "it is in use anyway"
        site.on = replace(site.on, attached=False)
        await site.look()
        assert "drive" in site.wrong()

    play(site, rest)


def test_an_error_of_a_torrent_has_the_drive_read_at_once(site: Site) -> None:
    async def suspect() -> None:
        await site.use()
        await site.look(WRITE_S)
        (site.further / _CHECK).mkdir()
        await site.look(1)
        assert not site.wrong(), "it is not due"
        site.guard.suspect(str(site.further))
        await site.look()
        assert "drive-writing" in site.wrong()

    play(site, suspect)
