"""The content folder: recognised by its mark, so that an empty mount point is never taken for it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.adapters.board.content import ContentDisk
from appliance.adapters.board.folder import ContentFolder
from appliance.adapters.board.mounts import Mounts
from appliance.adapters.store.database import Database
from appliance.adapters.store.settings import Settings
from appliance.core.errors import OwnerMustAct
from appliance.domain.volumes.faults import MARK
from appliance.domain.volumes.volume import Volume


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Settings]:
    (tmp_path / "state").mkdir()
    database = Database(tmp_path / "state" / "box.db", check=False)
    yield Settings(database)
    database.close()


def folder(tmp_path: Path, name: str = "content") -> ContentFolder:
    return ContentFolder(tmp_path / name, tmp_path / "state", Mounts().of)


def adopted(content: ContentFolder, kept: Settings) -> Volume:
    """As a guard does that starts."""
    content.recall(kept)
    seen = content.examine()
    asyncio.run(content.keep(kept))
    return seen


def test_it_is_made_and_recognised_again(tmp_path: Path, kept: Settings) -> None:
    assert adopted(folder(tmp_path), kept).present
    mark = (tmp_path / "content" / MARK).read_text()
    assert adopted(folder(tmp_path), kept).present
    assert (tmp_path / "content" / MARK).read_text() == mark


def test_another_path_in_the_configuration_is_adopted_as_it_is(tmp_path: Path, kept: Settings) -> None:
    adopted(folder(tmp_path), kept)
    (tmp_path / "moved").mkdir()
    (tmp_path / "moved" / "film.bin").write_text("x")
    assert adopted(folder(tmp_path, "moved"), kept).present
    assert (tmp_path / "moved" / "film.bin").read_text() == "x"


@pytest.mark.parametrize("spoiled", [None, b"", b"\xff\xfe", b"another"])
def test_on_the_disk_of_the_state_a_lost_mark_is_made_again(
    tmp_path: Path, kept: Settings, spoiled: bytes | None
) -> None:
    content = folder(tmp_path)
    adopted(content, kept)
    mark = tmp_path / "content" / MARK
    if spoiled is None:
        mark.unlink()
    else:
        mark.write_bytes(spoiled)
    assert content.examine().present
    assert mark.read_text().strip()


def test_a_file_in_its_place_is_refused_with_the_remedy(tmp_path: Path, kept: Settings) -> None:
    (tmp_path / "content").write_text("a file")
    with pytest.raises(OwnerMustAct, match=r"content\.root"):
        adopted(folder(tmp_path), kept)
    assert (tmp_path / "content").read_text() == "a file"


@pytest.mark.parametrize("garbage", [b"", b"\xc1", b"\x93\x01\x02\x03"])
def test_a_damaged_memory_of_it_is_made_anew(tmp_path: Path, kept: Settings, garbage: bytes) -> None:
    asyncio.run(kept.put("content", garbage))
    assert adopted(folder(tmp_path), kept).present


def test_pruning_removes_an_empty_folder_and_never_a_full_one(tmp_path: Path, kept: Settings) -> None:
    adopted(folder(tmp_path), kept)
    (tmp_path / "content" / "empty").mkdir()
    ContentDisk().prune(tmp_path / "content" / "empty")
    ContentDisk().prune(tmp_path / "content")
    assert [path.name for path in (tmp_path / "content").iterdir()] == [MARK]
