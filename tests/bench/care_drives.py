"""How soon a drive that is lost is out of use, and how soon one that is back is seeded from."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from appliance.adapters.store.files import sync_file_system
from appliance.control.box import GetStatus
from appliance.control.torrents import TorrentState
from tests.bench.figure import Figure
from tests.support.box import Box
from tests.support.drive import LoopDrive
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until

TORRENTS = 40


def drives(folder: Path, pairs: int) -> Iterator[Figure]:
    """Each way to lose a drive, once, with 40 torrents that nobody asks for: the box finds out itself."""
    ways: tuple[tuple[str, Callable[[LoopDrive], None]], ...] = (
        ("unmounted", LoopDrive.unmount),
        ("pulled", LoopDrive.pull),
        ("answering with errors", LoopDrive.lose_data),
    )
    for number, (name, lose) in enumerate(ways):
        try:
            with LoopDrive(folder, f"disk{number}") as drive:
                yield from _lose(folder / f"box{number}", drive, name, lose)
        except pytest.skip.Exception as why:
            print(f"drive {name}: left out, {why}")


def _lose(state: Path, drive: LoopDrive, name: str, lose: Callable[[LoopDrive], None]) -> Iterator[Figure]:
    content = drive.point / "seedbox"
    files = [write_data(content / f"file{number:03}.bin", 100_000, number) for number in range(TORRENTS)]
    with Box(state, content__volumes=[str(content)]) as box:
        for file in files:
            box.add(make_torrent(file, "v1"))
        _wait(box, TorrentState.SEEDING)
        sync_file_system(drive.point)
        lose(drive)
        yield Figure(
            f"drive {name}: out of use after", _wait(box, TorrentState.MISSING_DATA), 60, "<= 60 s", "s"
        )
        if name == "answering with errors":
            return  # its data is gone for good
        if name != "unmounted":
            drive.unmount()
        drive.mount()
        yield Figure(
            f"drive {name} and back: seeded after", _wait(box, TorrentState.SEEDING), 30, "<= 30 s", "s"
        )


def _wait(box: Box, state: TorrentState) -> float:
    """Seconds until all torrents are in a state."""
    started = time.monotonic()
    until(lambda: box.call(GetStatus()).torrents[state.value] == TORRENTS, f"all {state}", 120)
    return time.monotonic() - started
