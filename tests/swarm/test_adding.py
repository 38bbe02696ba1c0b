"""Ways in and out of the catalogue, on the real engine."""

from pathlib import Path

import pytest

from appliance.control.intake import AddMagnet, AddTorrent, AddUrl, GetJob, JobAnswer, ShareFolder
from appliance.control.torrents import (
    Configure,
    Goal,
    GoalKind,
    ListTorrents,
    Priority,
    Remove,
    Resume,
    ShowTorrent,
    TorrentState,
)
from tests.support.box import Box, refused
from tests.support.peer import Peer
from tests.support.torrents import magnet, make_torrent, write_data
from tests.support.tracker import HostileTracker
from tests.support.until import until

MIB = 1024**2


def test_data_that_is_there_already_is_checked_and_not_fetched(box: Box) -> None:
    metainfo = make_torrent(write_data(box.content / "film.bin", 2 * MIB))
    row = box.wait_state(box.add(metainfo), TorrentState.SEEDING)
    assert row.downloaded == 0


def test_data_with_an_error_is_fetched_only_where_it_is_wrong(box: Box, tmp_path: Path) -> None:
    data = write_data(box.content / "film.bin", 2 * MIB)
    good = data.read_bytes()
    metainfo = make_torrent(data)
    data.write_bytes(good[:MIB] + bytes(10) + good[MIB + 10 :])
    (tmp_path / "seed").mkdir()
    (tmp_path / "seed" / "film.bin").write_bytes(good)
    with Peer(tmp_path / "seed", metainfo, call=(box.address, box.port)):
        id = box.add(metainfo)
        box.wait_state(id, TorrentState.SEEDING, 40)
        fetched = until(lambda: box.row(id).downloaded, "the count of what was fetched")
    assert data.read_bytes() == good
    assert fetched <= 4 * 32 * 1024


def test_the_same_torrent_twice_is_one(box: Box) -> None:
    metainfo = make_torrent(write_data(box.content / "film.bin", MIB))
    first = box.call(AddTorrent(metainfo=metainfo))
    again = box.call(AddTorrent(metainfo=metainfo))
    assert again.known
    assert again.id == first.id
    link = magnet(metainfo)
    v1 = next(part for part in link.split("&") if "btih" in part).removeprefix("magnet:?")
    v2 = next(part for part in link.split("&") if "btmh" in part)
    for uri in (link, f"magnet:?{v1}", f"magnet:?{v2}"):
        assert box.call(AddMagnet(uri=uri)).id == first.id
    assert box.call(ListTorrents()).total == 1


def test_a_v1_torrent_and_a_hybrid_of_the_same_files_share_one_copy(box: Box) -> None:
    data = write_data(box.content / "film.bin", MIB)
    hybrid = box.add(make_torrent(data, "hybrid"))
    box.wait_state(hybrid, TorrentState.SEEDING)
    twin = box.call(AddTorrent(metainfo=make_torrent(data, "v1")))
    assert not twin.known
    assert "one copy" in twin.note
    assert box.wait_state(twin.id, TorrentState.SEEDING).downloaded == 0
    kept = box.call(Remove(ids=[twin.id], with_data=True))
    assert "stays" in kept.notes[0]
    assert data.exists()


@pytest.mark.parametrize("size", [MIB, MIB + 1])
def test_another_torrent_of_the_same_name_does_not_touch_the_first(
    box: Box, tmp_path: Path, size: int
) -> None:
    mine = write_data(box.content / "film.bin", MIB, 1)
    good = mine.read_bytes()
    box.wait_state(box.add(make_torrent(mine)), TorrentState.SEEDING)
    other = write_data(tmp_path / "seed" / "film.bin", size, 2)
    metainfo = make_torrent(other)
    with Peer(tmp_path / "seed", metainfo, call=(box.address, box.port)):
        added = box.call(AddTorrent(metainfo=metainfo))
        box.wait_state(added.id, TorrentState.SEEDING, 40)
    assert mine.read_bytes() == good
    assert (box.content / added.id[:8] / "film.bin").read_bytes() == other.read_bytes()


def test_remove_keeps_the_data_and_with_data_deletes_only_its_own(box: Box) -> None:
    first = write_data(box.content / "album" / "a.bin", MIB)
    foreign = write_data(box.content / "album" / "mine.txt", 10)
    metainfo = make_torrent(first.parent)
    foreign.write_text("not part of it")
    foreign.rename(box.content / "album" / "note.txt")
    (box.content / "album" / "mine.txt").write_bytes(write_data(box.folder / "x", 10).read_bytes())
    id = box.add(metainfo)
    box.wait_state(id, TorrentState.SEEDING)
    box.call(Remove(ids=[id]))
    assert first.exists()
    id = box.add(metainfo)
    box.wait_state(id, TorrentState.SEEDING)
    box.call(Remove(ids=[id], with_data=True))
    assert not first.exists()
    assert (box.content / "album" / "note.txt").read_text() == "not part of it"
    assert box.call(ListTorrents()).total == 0


def test_files_shared_in_place_are_never_deleted_nor_written(box: Box, tmp_path: Path) -> None:
    own = write_data(tmp_path / "own" / "a.bin", MIB)
    id = box.share(own.parent)
    answer = box.call(Remove(ids=[id], with_data=True))
    assert "your own" in answer.notes[0]
    assert own.exists()


@pytest.mark.parametrize("path", ["/etc", "/", "relative", "/nowhere", "/proc/self"])
def test_what_is_outside_of_the_shared_folders_is_refused(box: Box, path: str) -> None:
    assert refused(box, ShareFolder(path=path))


def test_a_link_out_of_the_shared_folders_is_refused_and_the_state_is_secret(
    box: Box, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to("/etc")
    assert "outside" in refused(box, ShareFolder(path=str(tmp_path / "link")))
    assert "secrets" in refused(box, ShareFolder(path=str(box.folder / "torrents")))
    assert "secrets" in refused(box, ShareFolder(path=str(box.folder)))
    (tmp_path / ".hidden").mkdir()
    assert "hidden" in refused(box, ShareFolder(path=str(tmp_path / ".hidden")))


def test_the_watch_folder_adds_and_says_how_it_went(box: Box) -> None:
    watch = box.folder / "watch"
    until(watch.is_dir, "the watch folder")
    metainfo = make_torrent(write_data(box.content / "film.bin", MIB))
    (watch / "good.torrent").write_bytes(metainfo)
    (watch / "bad.torrent").write_bytes(b"nonsense")
    (watch / "link.magnet").write_text("magnet:?xt=urn:btih:" + "ab" * 20)
    until(lambda: (watch / "good.torrent.added").exists(), "the good one to be added")
    until(lambda: (watch / "bad.torrent.refused").exists(), "the bad one to be refused")
    until(lambda: (watch / "link.magnet.added").exists(), "the link to be added")
    assert box.call(ListTorrents()).total == 2
    until(lambda: any("bad.torrent" in text for text in box.events()), "an event about the bad one")


@pytest.mark.parametrize("kind", ["v1", "hybrid", "v2"])
def test_a_magnet_link_gets_its_description_and_then_its_data_from_a_peer(
    box: Box, tmp_path: Path, kind: str
) -> None:
    data = write_data(tmp_path / "seed" / "film.bin", 2 * MIB)
    metainfo = make_torrent(data, kind)
    with Peer(tmp_path / "seed", metainfo) as seed:
        uri = f"{magnet(metainfo)}&x.pe={seed.address}:{seed.port}"
        added = box.call(AddMagnet(uri=uri))
        box.wait_state(added.id, TorrentState.SEEDING, 40)
    assert (box.content / "film.bin").read_bytes() == data.read_bytes()
    assert box.call(ShowTorrent(id=added.id)).row.name == "film.bin"


def test_a_torrent_is_fetched_from_a_web_address(box: Box, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (served / "good").write_bytes(make_torrent(write_data(box.content / "film.bin", MIB)))
    (served / "large").write_bytes(b"d" + bytes(33 * MIB))

    def ended(url: str) -> JobAnswer:
        job = box.call(AddUrl(url=url)).job
        return until(lambda: (now := box.call(GetJob(id=job))).done and now, "the job's end")

    with HostileTracker(served) as web:
        made = ended(f"{web.url}/good")
        assert not made.error
        box.wait_state(made.torrent, TorrentState.SEEDING)
        assert "larger than" in ended(f"{web.url}/large").error
        assert "not a .torrent" in ended(f"{web.url}/garbage").error
        assert ended(f"{web.url}/loop").error
    assert ended(f"{web.url}/gone").error
    assert "web address" in ended("file:///etc/passwd").error


def test_a_torrent_rests_when_its_goal_is_reached_and_resumes_on_demand(tmp_path: Path) -> None:
    with Box(tmp_path / "box") as box:
        data = write_data(box.content / "film.bin", MIB)
        metainfo = make_torrent(data)
        id = box.add(metainfo, goal=Goal(GoalKind.RATIO, ratio_percent=50))
        box.wait_state(id, TorrentState.SEEDING)
        with Peer(tmp_path / "peer", metainfo, call=(box.address, box.port)) as peer:
            peer.wait_done()
        row = box.wait_state(id, TorrentState.PAUSED, 45)
        assert "reached its seeding goal" in row.reason
        box.call(Resume(ids=[id]))
        box.wait_state(id, TorrentState.SEEDING)


def test_label_priority_and_rates_outlive_a_restart(box: Box) -> None:
    id = box.add(make_torrent(write_data(box.content / "film.bin", MIB)))
    box.call(Configure(id=id, label="films", priority=Priority.HIGH, upload_limit=50_000))
    assert refused(box, Configure(id=id, label="x" * 41))
    assert refused(box, Configure(id=id, upload_limit=-1))
    assert box.stop() == 0
    box.start()
    detail = box.call(ShowTorrent(id=id))
    assert (detail.row.label, detail.row.priority, detail.upload_limit) == (
        "films",
        Priority.HIGH,
        50_000,
    )
    assert box.wait_state(id, TorrentState.SEEDING)
