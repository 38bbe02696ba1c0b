"""Drives that go, come back, fail, fill and freeze under a running box: real file systems on loop devices."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.adapters.store.files import sync_file_system
from appliance.control.box import Finding, GetHealth, LimitsChange, ResetLimits, SetLimits, Verdict
from appliance.control.torrents import ShowTorrent, TorrentState
from appliance.core.units import BytesPerSecond
from appliance.domain.volumes.faults import MARK
from tests.support.box import Box
from tests.support.drive import LoopDrive
from tests.support.peer import Peer
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until

MIB = 1024**2
SIZE = 24 * MIB


@pytest.fixture
def drive(tmp_path: Path) -> Iterator[LoopDrive]:
    with LoopDrive(tmp_path) as made:
        yield made


def box_over(tmp_path: Path, drive: LoopDrive, **keys: Any) -> Box:
    """A box with a main folder beside its state, and a further one on the drive."""
    return Box(tmp_path / "box", content__volumes=[str(drive.point / "seedbox")], **keys)


def wrong(box: Box, what: str) -> Finding | None:
    """The finding of a name, where it says that something is wrong."""
    found = [finding for finding in box.call(GetHealth()).findings if finding.check.startswith(what)]
    return next((finding for finding in found if finding.verdict is Verdict.ERROR), None)


def read_by(box: Box) -> int:
    """Bytes that the daemon has read in all."""
    lines = Path(f"/proc/{box.process.pid}/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("rchar"))


def seeds(box: Box, drive: LoopDrive) -> tuple[str, str]:
    """(a torrent in the main folder, one on the drive), both seeded."""
    here = box.add(make_torrent(write_data(box.content / "here.bin", MIB, 1)))
    there = box.add(make_torrent(write_data(drive.point / "seedbox" / "there.bin", SIZE, 2)))
    for id in (here, there):
        box.wait_state(id, TorrentState.SEEDING)
    sync_file_system(drive.point)  # or what was just written would go with the drive
    return here, there


def test_an_unmounted_drive_takes_its_own_torrents_along_and_brings_them_back_unchecked(
    tmp_path: Path, drive: LoopDrive
) -> None:
    with box_over(tmp_path, drive) as box:
        here, there = seeds(box, drive)
        drive.unmount()
        row = box.wait_state(there, TorrentState.MISSING_DATA, 5)
        assert "not connected" in row.reason
        assert wrong(box, f"drive:{drive.point}")
        assert box.row(here).state is TorrentState.SEEDING
        assert list(drive.point.iterdir()) == [], "nothing is made on the empty mount point"
        before = read_by(box)
        drive.mount()
        box.wait_state(there, TorrentState.SEEDING, 10)
        assert read_by(box) - before < SIZE // 2, "a check would have read it all"
        until(lambda: not wrong(box, "drive"), "the finding's end")
        assert any("is back" in text for text in box.events())
        metainfo = make_torrent(drive.point / "seedbox" / "there.bin")
        with Peer(tmp_path / "peer", metainfo, call=(box.address, box.port)) as peer:
            peer.wait_done()


@pytest.mark.slow
def test_a_download_under_way_writes_nothing_to_the_empty_mount_point(
    tmp_path: Path, drive: LoopDrive
) -> None:
    source = tmp_path / "seed" / "album"
    for number in range(12):
        write_data(source / f"track{number:02}.bin", 4 * MIB, number)
    metainfo = make_torrent(source)
    with Box(tmp_path / "box", content=drive.point / "seedbox") as box:
        box.call(SetLimits(change=LimitsChange(download_rate=BytesPerSecond(6 * MIB))))
        id = box.add(metainfo)
        with Peer(tmp_path / "seed", metainfo, call=(box.address, box.port)):
            until(lambda: box.row(id).downloaded > 8 * MIB, "some of it")
            drive.unmount()
            box.wait_state(id, TorrentState.MISSING_DATA, 5)
        assert list(drive.point.iterdir()) == []
        drive.mount()
        box.call(ResetLimits())
        box.wait_state(id, TorrentState.DOWNLOADING)
        with Peer(tmp_path / "seed", metainfo, call=(box.address, box.port)):
            box.wait_state(id, TorrentState.SEEDING, 60)
        for file in source.iterdir():
            assert file.read_bytes() == (drive.point / "seedbox" / "album" / file.name).read_bytes()


def test_another_drive_in_its_place_is_not_touched(tmp_path: Path, drive: LoopDrive) -> None:
    with LoopDrive(tmp_path, "other") as other, box_over(tmp_path, drive) as box:
        (other.point / "seedbox").mkdir()
        (other.point / "seedbox" / "letter.txt").write_text("mine")
        _, there = seeds(box, drive)
        other.unmount()
        drive.unmount()
        drive.mount(other)
        box.wait_state(there, TorrentState.MISSING_DATA, 5)
        until(lambda: "Another drive" in str(wrong(box, "drive:")), "which drive it is")
        assert [path.name for path in (drive.point / "seedbox").iterdir()] == ["letter.txt"]
        drive.unmount()
        drive.mount()
        box.wait_state(there, TorrentState.SEEDING, 10)


def test_a_drive_that_is_pulled_lacks_its_data_and_nothing_has_failed(
    tmp_path: Path, drive: LoopDrive
) -> None:
    with box_over(tmp_path, drive) as box:
        here, there = seeds(box, drive)
        drive.pull()
        box.wait_state(there, TorrentState.MISSING_DATA, 60)
        assert wrong(box, "drive:")
        assert box.row(here).state is TorrentState.SEEDING
        drive.unmount()
        drive.mount()
        box.wait_state(there, TorrentState.SEEDING, 30)


def test_a_drive_that_answers_with_errors_is_told_and_its_torrents_have_not_failed(
    tmp_path: Path, drive: LoopDrive
) -> None:
    metainfo = make_torrent(write_data(tmp_path / "there.bin", SIZE, 2))
    with box_over(tmp_path, drive) as box:
        here, there = seeds(box, drive)
        drive.lose_data()
        with Peer(tmp_path / "peer", metainfo, call=(box.address, box.port)):
            box.wait_state(there, TorrentState.MISSING_DATA, 60)
            assert "cannot be read" in box.row(there).reason
        assert wrong(box, "drive:")
        assert box.row(here).state is TorrentState.SEEDING


def test_a_drive_that_device_mapper_fails_comes_back_unchecked(tmp_path: Path) -> None:
    with LoopDrive(tmp_path, mapped=True) as drive, box_over(tmp_path, drive) as box:
        _, there = seeds(box, drive)
        drive.lose_data()
        box.wait_state(there, TorrentState.MISSING_DATA, 75)
        drive.find_data()
        box.wait_state(there, TorrentState.SEEDING, 30)


def test_a_drive_that_is_mounted_read_only_seeds_on_and_its_downloads_wait(
    tmp_path: Path, drive: LoopDrive
) -> None:
    data = write_data(tmp_path / "seed" / "film.bin", 8 * MIB, 3)
    metainfo = make_torrent(data)
    with Box(tmp_path / "box", content=drive.point / "seedbox") as box:
        seed = box.add(make_torrent(write_data(drive.point / "seedbox" / "there.bin", MIB, 2)))
        box.wait_state(seed, TorrentState.SEEDING)
        id = box.add(metainfo)
        box.wait_state(id, TorrentState.DOWNLOADING)
        drive.read_only(True)
        row = box.wait_state(id, TorrentState.THROTTLED, 5)
        assert "is read-only" in row.reason
        assert wrong(box, "drive-read-only:")
        assert box.row(seed).state is TorrentState.SEEDING
        drive.read_only(False)
        box.wait_state(id, TorrentState.DOWNLOADING, 5)
        with Peer(tmp_path / "seed", metainfo, call=(box.address, box.port)):
            box.wait_state(id, TorrentState.SEEDING, 60)
        assert (drive.point / "seedbox" / "film.bin").read_bytes() == data.read_bytes()


@pytest.mark.slow
def test_what_a_drive_lost_when_it_gave_up_writing_is_fetched_again(tmp_path: Path, drive: LoopDrive) -> None:
    data = write_data(tmp_path / "seed" / "film.bin", 64 * MIB, 3)
    metainfo = make_torrent(data)
    with Box(tmp_path / "box", content=drive.point / "seedbox") as box:
        box.call(SetLimits(change=LimitsChange(download_rate=BytesPerSecond(8 * MIB))))
        id = box.add(metainfo)
        box.wait_state(id, TorrentState.DOWNLOADING)
        with Peer(tmp_path / "seed", metainfo, call=(box.address, box.port)):
            until(lambda: box.row(id).downloaded > 8 * MIB, "some of it")
            drive.trip()
            row = box.wait_state(id, TorrentState.THROTTLED, 20)
            assert "is read-only" in row.reason
            assert wrong(box, "drive-read-only:")
            drive.unmount()
            drive.mount()
            box.call(ResetLimits())
            box.wait_state(id, TorrentState.DOWNLOADING)
        with Peer(tmp_path / "seed", metainfo, call=(box.address, box.port)):
            box.wait_state(id, TorrentState.SEEDING, 60)
        assert (drive.point / "seedbox" / "film.bin").read_bytes() == data.read_bytes()


def test_a_further_drive_that_is_away_at_the_first_start_is_taken_up_when_it_comes(
    tmp_path: Path, drive: LoopDrive
) -> None:
    drive.unmount()
    with box_over(tmp_path, drive) as box:
        assert "not on a drive of its own" in until(lambda: wrong(box, "drive:"), "the finding").says
        assert list(drive.point.iterdir()) == []
        drive.mount()
        until((drive.point / "seedbox" / MARK).exists, "its mark", 5)
        until(lambda: not wrong(box, "drive"), "the finding's end", 5)
        seeds(box, drive)


@pytest.mark.slow
def test_a_download_goes_to_the_drive_with_room_and_one_that_fits_nowhere_waits(tmp_path: Path) -> None:
    data = [write_data(tmp_path / "seed" / f"film{n}.bin", 22 * MIB, n) for n in range(3)]
    with LoopDrive(tmp_path, "small", 32) as small, LoopDrive(tmp_path, "large", 96) as large:
        box = Box(
            tmp_path / "box",
            content=small.point / "seedbox",
            content__volumes=[str(large.point / "seedbox")],
        )
        with box:
            torrents = [make_torrent(file) for file in data]
            first, second, third = [box.add(metainfo) for metainfo in torrents]
            where = {id: box.call(ShowTorrent(id=id)).folder for id in (first, second, third)}
            assert where[first] == where[second] == str(large.point / "seedbox")
            assert where[third] == ""
            row = box.row(third)
            assert row.state is TorrentState.THROTTLED
            assert "Every disk is too full" in row.reason
            shutil.copy(data[2], small.point / "seedbox")
            box.wait_state(third, TorrentState.SEEDING, 40)
            assert box.call(ShowTorrent(id=third)).folder == str(small.point / "seedbox")
