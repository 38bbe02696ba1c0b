"""Strangers' torrents and links on the real box: they fail alone, and the honest go on being seeded."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import libtorrent as lt
import pytest

from appliance.control.intake import AddMagnet, AddTorrent, AddUrl, Browse, GetJob, ShareFolder
from appliance.control.torrents import ListTorrents, Remove, ShowTorrent, TorrentState
from tests.support.box import Box, refused
from tests.support.peer import Peer
from tests.support.torrents import magnet, make_torrent, write_data
from tests.support.tracker import HostileTracker
from tests.support.until import until

FIRST = {b"length": 10, b"path": [b"a"]}


def crafted(**more: Any) -> bytes:
    """A torrent that libtorrent loads, and whose description is not what it must be."""
    info = {b"name": b"holiday", b"piece length": 16384, b"pieces": b"x" * 20}
    made: Any = {b"info": info | {key.encode(): value for key, value in more.items()}}
    return lt.bencode(made)


CRAFTED = [
    crafted(files=[{**FIRST, b"attr": 5}, {**FIRST, b"path": [b"b"]}]),
    crafted(files=[{**FIRST, b"path.utf-8": [b"\xff"]}, {**FIRST, b"path": [b"b"]}]),
    crafted(length=10, private=b"yes"),
]


@contextmanager
def giving(folder: Path, metainfo: bytes) -> Iterator[str]:
    """A peer that has a torrent's description; yields the link to it."""
    ti: Any = lt.load_torrent_buffer(metainfo).ti
    hash = ti.info_hashes().v1
    with Peer(folder, metainfo, unchecked=True, enable_outgoing_utp=False) as peer:
        yield f"magnet:?xt=urn:btih:{hash}&x.pe={peer.address}:{peer.port}"


@pytest.mark.parametrize("metainfo", CRAFTED, ids=["attr", "path", "private"])
def test_crafted_metadata_of_a_peer_fails_its_link_alone_also_after_a_restart(
    box: Box, tmp_path: Path, metainfo: bytes
) -> None:
    good = box.add(make_torrent(write_data(box.content / "good.bin", 300_000)))
    box.wait_state(good, TorrentState.SEEDING)
    with giving(tmp_path / "peer", metainfo) as link:
        id = box.call(AddMagnet(uri=link)).id
        for again in range(3):
            row = box.wait_state(id, TorrentState.FAILED)
            assert "Remove it" in row.reason
            box.wait_state(good, TorrentState.SEEDING)
            if again:
                assert box.stop() == 0
            else:
                box.kill()
            box.start()
    assert box.row(id).state is TorrentState.FAILED, "nobody needs to give it once more"
    box.call(Remove(ids=[id]))
    assert box.call(ListTorrents()).total == 1


@pytest.mark.parametrize("metainfo", CRAFTED, ids=["attr", "path", "private"])
def test_a_crafted_torrent_is_refused_and_leaves_nothing(box: Box, metainfo: bytes) -> None:
    assert refused(box, AddTorrent(metainfo=metainfo))
    assert box.call(ListTorrents()).total == 0


def test_a_link_with_bytes_that_are_not_utf_8_gets_its_data(box: Box, tmp_path: Path) -> None:
    data = write_data(tmp_path / "seed" / "film.bin", 300_000)
    metainfo = make_torrent(data)
    ti: Any = lt.load_torrent_buffer(metainfo).ti
    uri = f"magnet:?xt=urn:btih:{ti.info_hashes().v1}&amp;dn=K%F6ln&tr=http%3A%2F%2F127.0.0.1%3A9%2F%FF"
    with Peer(tmp_path / "seed", metainfo, call=(box.address, box.port)):
        id = box.call(AddMagnet(uri=uri)).id
        assert [one.url for one in box.call(ShowTorrent(id=id)).trackers] == ["http://127.0.0.1:9/%FF"]
        box.wait_state(id, TorrentState.SEEDING)
    assert box.stop() == 0
    box.start()
    box.wait_state(id, TorrentState.SEEDING)


def test_what_the_box_died_at_twice_is_set_aside_at_the_third_start_and_told(
    box: Box, tmp_path: Path
) -> None:
    good = box.add(make_torrent(write_data(box.content / "good.bin", 300_000)))
    bad = box.add(make_torrent(write_data(box.content / "bad.bin", 300_000, 2)))
    for id in (good, bad):
        box.wait_state(id, TorrentState.SEEDING)
    box.kill()
    mark = f'{{"reading":["{bad}"],"deaths":{{"{bad}":1}}}}\n'
    (box.folder / "being-read").write_text(mark)
    box.start()
    assert "has ended the box 2 times" in box.wait_state(bad, TorrentState.FAILED).reason
    box.wait_state(good, TorrentState.SEEDING)
    until(lambda: any("has ended the box" in text for text in box.events()), "an event about it")
    metainfo = make_torrent(box.content / "bad.bin")
    box.call(Remove(ids=[bad]))
    box.wait_state(box.add(metainfo), TorrentState.SEEDING)


def test_a_name_that_reorders_what_is_read_is_shown_marked_and_seeded_under_its_own(
    box: Box, tmp_path: Path
) -> None:
    data = write_data(box.content / "film\u202egpj.bin", 300_000)
    id = box.add(make_torrent(data))
    for _ in range(2):
        row = box.wait_state(id, TorrentState.SEEDING)
        assert (row.name, row.downloaded) == ("film\ufffdgpj.bin", 0)
        assert not any("\u202e" in text for text in [*box.events(), box.log()])
        assert box.stop() == 0
        box.start()
    assert data.exists()


def test_what_is_named_in_another_encoding_is_refused_with_words(box: Box, tmp_path: Path) -> None:
    (tmp_path / "mine" / "caf\udce9").mkdir(parents=True)
    (tmp_path / "mine" / "caf\udce9" / "x").write_bytes(b"x" * 1_000)
    found = box.call(Browse(path=str(tmp_path / "mine")))
    assert (found.folders, found.left_out) == ([], 1)
    job = box.call(ShareFolder(path=str(tmp_path / "mine"))).job
    ended = until(lambda: (now := box.call(GetJob(id=job))).done and now, "the end of hashing")
    assert "is not UTF-8; rename it" in ended.error
    assert "half a character" in refused(box, AddUrl(url="http://[\ud800"))
    watch = box.folder / "watch"
    until(watch.is_dir, "the watch folder")
    (watch / "caf\udce9.torrent").write_bytes(b"no torrent")
    until(lambda: any("caf\ufffd.torrent" in text for text in box.events()), "an event about it")


def test_a_tracker_that_refuses_in_an_encoding_of_its_own_ends_nothing(box: Box, tmp_path: Path) -> None:
    data = write_data(tmp_path / "seed" / "film.bin", 300_000)
    metainfo = make_torrent(data)
    failure: Any = {b"failure reason": "Торрент не зарегистрирован".encode("cp1251")}
    (tmp_path / "refusal").write_bytes(lt.bencode(failure))
    with HostileTracker(tmp_path) as tracker:
        url = f"{tracker.url}/announce/refusal"
        id = box.call(AddMagnet(uri=f"{magnet(metainfo)}&tr={quote(url, safe='')}")).id
        until(lambda: "\ufffd" in box.call(ShowTorrent(id=id)).trackers[0].message, "the tracker's answer")
        with Peer(tmp_path / "seed", metainfo, call=(box.address, box.port)):
            box.wait_state(id, TorrentState.SEEDING)
        assert [one.url for one in box.call(ShowTorrent(id=id)).trackers] == [url]
