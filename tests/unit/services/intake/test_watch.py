"""The watch folder: each file is added or refused once, and its new name says which."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.adapters.engine.metainfo import MOST_METAINFO
from appliance.core.crashguard import CrashGuard
from appliance.core.errors import Bug, OwnerMustAct, RetryLater
from appliance.domain.catalogue.catalogue import AddOptions
from appliance.domain.catalogue.description import Parsed
from appliance.services.intake.watch import WatchFolder
from tests.support.fakes import ListJournal
from tests.support.torrents import magnet, make_torrent, write_data


class Catalogue:
    """Takes what it is given, or raises."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.names: list[str] = []

    async def add(self, parsed: Parsed, wish: AddOptions) -> None:
        if self.error:
            raise self.error
        self.names.append(parsed.description.name)


def watch(
    folder: Path, catalogue: Catalogue, until: Callable[[], bool], guard: CrashGuard | None = None
) -> ListJournal:
    """Watch `folder` until something is so."""
    journal = ListJournal()

    async def run() -> None:
        loop = asyncio.create_task(WatchFolder(folder, journal, catalogue, guard).run(lambda: None))
        async with asyncio.timeout(20):
            while not loop.done() and not until():
                await asyncio.sleep(0.01)
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=not loop.done())

    asyncio.run(run())
    return journal


@pytest.fixture
def metainfo(tmp_path: Path) -> bytes:
    return make_torrent(write_data(tmp_path / "film.bin", 100_000))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_torrents_and_links_are_added_and_say_so(tmp_path: Path, metainfo: bytes) -> None:
    folder, catalogue = tmp_path / "watch", Catalogue()
    folder.mkdir()
    (folder / "a.torrent").write_bytes(metainfo)
    (folder / "b.MAGNET").write_text(f"  {magnet(metainfo)}\n")
    (folder / "c.txt").write_text("not for the box")
    watch(folder, catalogue, lambda: len(catalogue.names) == 2 and "b.MAGNET" not in names(folder))
    assert names(folder) == ["a.torrent.added", "b.MAGNET.added", "c.txt"]


def test_what_comes_later_is_added_too(tmp_path: Path, metainfo: bytes) -> None:
    folder, catalogue = tmp_path / "watch", Catalogue()

    def put() -> bool:
        if folder.exists() and not names(folder):
            (folder / ".new").write_bytes(metainfo)
            (folder / ".new").rename(folder / "a.torrent")
        return "a.torrent.added" in names(folder)

    watch(folder, catalogue, put)
    assert catalogue.names == ["film.bin"]


def test_what_is_no_torrent_is_refused_and_named(tmp_path: Path) -> None:
    folder = tmp_path / "watch"
    folder.mkdir()
    (folder / "a.torrent").write_text("no")
    with (folder / "big.torrent").open("wb") as file:
        file.truncate(MOST_METAINFO + 1)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff.magnet")).write_text("no")
    journal = watch(folder, Catalogue(), lambda: len([n for n in names(folder) if "refused" in n]) == 3)
    texts = [text for _, text in journal.events]
    assert any(text.startswith("a.torrent in the watch folder was refused: ") for text in texts)
    assert any(text.startswith("\ufffd.magnet in the watch folder was refused: ") for text in texts)
    assert any("too large" in text for text in texts)


def test_what_may_go_through_later_stays(tmp_path: Path, metainfo: bytes) -> None:
    folder = tmp_path / "watch"
    folder.mkdir()
    (folder / "a.torrent").write_bytes(metainfo)
    catalogue = Catalogue(RetryLater("The disk is full. Make room."))
    seen: list[bool] = []
    journal = watch(folder, catalogue, lambda: bool(seen.append(True) or len(seen) > 50))  # type: ignore[func-returns-value]
    assert names(folder) == ["a.torrent"]
    assert not journal.events


def test_a_refusal_of_the_catalogue_is_for_the_owner_and_a_bug_ends_the_loop(
    tmp_path: Path, metainfo: bytes
) -> None:
    folder = tmp_path / "watch"
    folder.mkdir()
    (folder / "a.torrent").write_bytes(metainfo)
    journal = watch(folder, Catalogue(OwnerMustAct("No.")), lambda: names(folder) == ["a.torrent.refused"])
    assert journal.events == [("error", "a.torrent in the watch folder was refused: No.")]
    (folder / "b.torrent").write_bytes(metainfo)
    with pytest.raises(Bug, match="damaged"):
        watch(folder, Catalogue(Bug("damaged")), lambda: False)


def test_several_links_in_one_file_are_all_added(tmp_path: Path) -> None:
    folder, catalogue = tmp_path / "watch", Catalogue()
    folder.mkdir()
    lines = [f"MAGNET:?xt=urn:btih:{digit * 40}&amp;dn={digit}" for digit in "abc"]
    (folder / "a.magnet").write_bytes("\n\n".join(lines).encode("utf-8-sig"))
    watch(folder, catalogue, lambda: names(folder) == ["a.magnet.added"])
    assert catalogue.names == ["a", "b", "c"]


def test_a_name_that_is_too_long_to_be_marked_is_cut(tmp_path: Path) -> None:
    folder = tmp_path / "watch"
    folder.mkdir()
    (folder / ("\udcfc" * 247 + ".torrent")).write_text("<html>")
    watch(folder, Catalogue(), lambda: names(folder)[0].endswith(".refused"))
    assert len(os.fsencode(names(folder)[0])) == 255


def test_a_file_at_which_the_box_died_twice_is_refused_and_told(tmp_path: Path, metainfo: bytes) -> None:
    folder, mark = tmp_path / "watch", tmp_path / "being-read"
    folder.mkdir()
    (folder / "a.torrent").write_bytes(metainfo)
    mark.write_bytes(b'{"reading":["watch a.torrent"],"deaths":{"watch a.torrent":1}}\n')
    journal = watch(
        folder, Catalogue(), lambda: names(folder) == ["a.torrent.refused"], guard=CrashGuard(mark)
    )
    assert "has ended the box 2 times" in journal.events[0][1]
    (folder / "a.torrent").write_bytes(metainfo)
    watch(folder, Catalogue(), lambda: "a.torrent.added" in names(folder), guard=CrashGuard(mark))
