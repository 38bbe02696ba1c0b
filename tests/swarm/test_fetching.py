"""The box downloads from other people's libtorrent clients, by every kind of torrent and link."""

import contextlib
import filecmp
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from appliance.control.box import LimitsChange, ResetLimits, SetLimits
from appliance.control.intake import AddMagnet, AddTorrent
from appliance.control.torrents import (
    Configure,
    ListTorrents,
    Pause,
    Remove,
    Resume,
    ShowTorrent,
    TorrentState,
)
from appliance.core.units import BytesPerSecond
from tests.support.box import Box
from tests.support.peer import Peer
from tests.support.torrents import magnet, make_torrent, write_data
from tests.support.until import until

MIB = 1024**2


@contextlib.contextmanager
def seed(box: Box, folder: Path, metainfo: bytes, **settings: object) -> Iterator[Peer]:
    """Somebody who has all of it, and calls the box; over TCP, which fails at once where it fails."""
    settings = {"enable_outgoing_utp": False} | settings
    with Peer(folder, metainfo, call=(box.address, box.port), **settings) as peer:
        until(lambda: peer.listen()["complete"], "the seed")
        yield peer


def album(folder: Path) -> Path:
    write_data(folder / "album" / "one.bin", MIB + 17, 1)
    write_data(folder / "album" / "two" / "ü 2.bin", 300_001, 2)
    write_data(folder / "album" / "two" / "small.bin", 3, 3)
    return folder / "album"


def same(left: Path, right: Path) -> None:
    found = filecmp.dircmp(left, right)
    assert not found.left_only
    assert not found.diff_files
    for folder in found.common_dirs:
        same(left / folder, right / folder)


@pytest.mark.parametrize("kind", ["v1", "hybrid", "v2"])
@pytest.mark.parametrize("by", ["torrent", "magnet"])
def test_every_kind_is_fetched_by_file_and_by_link(box: Box, tmp_path: Path, kind: str, by: str) -> None:
    metainfo = make_torrent(album(tmp_path / "seed"), kind)
    with seed(box, tmp_path / "seed", metainfo):
        id = box.add(metainfo) if by == "torrent" else box.call(AddMagnet(uri=magnet(metainfo))).id
        box.wait_state(id, TorrentState.SEEDING)
        same(tmp_path / "seed" / "album", box.content / "album")
        until(lambda: box.row(id).downloaded >= MIB + 300_021, "the count of what was fetched")
        assert not any("already here" in text for text in box.events())
    detail = box.call(ShowTorrent(id=id))
    assert (bool(detail.v1), bool(detail.v2)) == (kind != "v2", kind != "v1")
    assert detail.files == 3


@pytest.mark.parametrize("version", ["btih", "btmh"])
def test_either_hash_of_a_hybrid_brings_all_of_it(box: Box, tmp_path: Path, version: str) -> None:
    metainfo = make_torrent(album(tmp_path / "seed"))
    part = next(part for part in magnet(metainfo).split("&") if version in part).removeprefix("magnet:?")
    with Peer(tmp_path / "seed", metainfo) as peer:
        # The box calls: a peer that calls names a hybrid by its v1 hash alone.
        uri = f"magnet:?{part}&x.pe={peer.address}:{peer.port}"
        id = box.call(AddMagnet(uri=uri)).id
        box.wait_state(id, TorrentState.SEEDING)
    detail = box.call(ShowTorrent(id=id))
    assert detail.v1
    assert detail.v2
    assert box.call(AddTorrent(metainfo=metainfo)).known
    same(tmp_path / "seed" / "album", box.content / "album")


def test_two_links_to_one_hybrid_end_as_one_torrent(box: Box, tmp_path: Path) -> None:
    metainfo = make_torrent(album(tmp_path / "seed"))
    parts = [part.removeprefix("magnet:?") for part in magnet(metainfo).split("&") if "xt=" in part]
    for part in parts:
        box.call(AddMagnet(uri=f"magnet:?{part}"))
    assert box.call(ListTorrents()).total == 2
    with seed(box, tmp_path / "seed", metainfo):

        def one() -> bool:
            rows = box.call(ListTorrents()).rows
            return len(rows) == 1 and rows[0].state is TorrentState.SEEDING

        until(one, "one seeding torrent", 40)
    same(tmp_path / "seed" / "album", box.content / "album")
    box.kill()
    box.start()
    rows = box.call(ListTorrents()).rows
    assert len(rows) == 1
    box.wait_state(rows[0].id, TorrentState.SEEDING)


def test_a_link_of_data_that_is_there_fetches_the_description_alone(box: Box, tmp_path: Path) -> None:
    metainfo = make_torrent(album(tmp_path / "seed"))
    album(box.content)
    with seed(box, tmp_path / "seed", metainfo):
        id = box.call(AddMagnet(uri=magnet(metainfo))).id
        assert box.wait_state(id, TorrentState.SEEDING).downloaded == 0


def test_a_link_that_nobody_knows_waits_and_outlives_a_power_cut(box: Box) -> None:
    id = box.call(AddMagnet(uri="magnet:?xt=urn:btih:" + "ab" * 20)).id
    until(lambda: "No peer found" in box.row(id).reason, "the reason")
    box.kill()
    box.start()
    box.wait_state(id, TorrentState.ADDING)
    box.call(Remove(ids=[id], with_data=True))
    assert box.call(ListTorrents()).total == 0


def test_a_download_limit_holds(box: Box, tmp_path: Path) -> None:
    data = write_data(tmp_path / "seed" / "film.bin", 6 * MIB)
    metainfo = make_torrent(data)
    box.call(SetLimits(change=LimitsChange(download_rate=BytesPerSecond(MIB))))
    with seed(box, tmp_path / "seed", metainfo):
        id = box.add(metainfo)
        began = time.monotonic()
        until(lambda: box.row(id).downloaded > 3 * MIB, "half of it")
        # libtorrent hands out a second's worth in advance.
        assert time.monotonic() - began > 1.5
        assert box.row(id).state is TorrentState.DOWNLOADING
        box.call(ResetLimits())
        box.wait_state(id, TorrentState.SEEDING)


def test_one_torrents_own_limit_holds_and_leaves_the_other_free(box: Box, tmp_path: Path) -> None:
    slow = make_torrent(write_data(box.content / "slow.bin", 4 * MIB, 1))
    fast = make_torrent(write_data(box.content / "fast.bin", 4 * MIB, 2))
    ids = [box.add(metainfo) for metainfo in (slow, fast)]
    for id in ids:
        box.wait_state(id, TorrentState.SEEDING)
    box.call(Configure(id=ids[0], upload_limit=200_000))
    call = (box.address, box.port)
    with Peer(tmp_path / "a", slow, call=call) as first, Peer(tmp_path / "b", fast, call=call) as second:
        until(lambda: first.listen()["done"], "the first bytes of the slow one")
        second.wait_done(15)
        assert not first.listen()["complete"]
        box.call(Configure(id=ids[0], upload_limit=0))
        first.wait_done(15)


def test_downloads_wait_for_their_turn_and_seeds_do_not(tmp_path: Path) -> None:
    with Box(tmp_path / "box", limits__active_downloads=1) as box:
        box.call(SetLimits(change=LimitsChange(download_rate=BytesPerSecond(100_000))))
        torrents = [
            make_torrent(write_data(tmp_path / f"seed{n}" / f"film{n}.bin", MIB, n)) for n in range(2)
        ]
        there = box.add(make_torrent(write_data(box.content / "there.bin", MIB, 9)))
        box.wait_state(there, TorrentState.SEEDING)
        with (
            seed(box, tmp_path / "seed0", torrents[0]),
            seed(box, tmp_path / "seed1", torrents[1]),
        ):
            ids = [box.add(metainfo) for metainfo in torrents]
            until(lambda: box.row(ids[0]).downloaded, "the first download")
            until(lambda: "Queued" in box.row(ids[1]).reason, "the second to wait")
            assert box.row(there).state is TorrentState.SEEDING
            box.call(ResetLimits())
            for id in ids:
                box.wait_state(id, TorrentState.SEEDING, 40)


def test_a_paused_download_takes_nothing_and_goes_on_where_it_was(box: Box, tmp_path: Path) -> None:
    data = write_data(tmp_path / "seed" / "film.bin", 8 * MIB)
    metainfo = make_torrent(data)
    box.call(SetLimits(change=LimitsChange(download_rate=BytesPerSecond(MIB))))
    with seed(box, tmp_path / "seed", metainfo) as peer:
        id = box.add(metainfo)
        until(lambda: box.row(id).downloaded > MIB, "a part")
        box.call(Pause(ids=[id]))
        until(lambda: not peer.listen()["peers"], "the end of the connection")
        paused = box.wait_state(id, TorrentState.PAUSED).downloaded
        for _ in range(10):
            peer.listen()
        assert box.stop() == 0
        box.start()
        assert box.wait_state(id, TorrentState.PAUSED).downloaded <= paused + MIB
        box.call(ResetLimits())
        box.call(Resume(ids=[id]))
        row = box.wait_state(id, TorrentState.SEEDING)
        assert row.downloaded <= 8 * MIB + 4 * 32 * 1024, "nothing was fetched twice"
    assert filecmp.cmp(data, box.content / "film.bin", shallow=False)


def test_a_peer_that_sends_wrong_data_spoils_nothing(box: Box, tmp_path: Path) -> None:
    data = write_data(tmp_path / "good" / "film.bin", 2 * MIB)
    good, metainfo = data.read_bytes(), make_torrent(data)
    (tmp_path / "liar").mkdir()
    (tmp_path / "liar" / "film.bin").write_bytes(good)
    with seed(box, tmp_path / "liar", metainfo):
        # It was checked; now its file changes under it, and it sends what is wrong.
        (tmp_path / "liar" / "film.bin").write_bytes(bytes(MIB) + good[MIB:])
        id = box.add(metainfo)
        until(lambda: box.row(id).downloaded, "some lies")
        with seed(box, tmp_path / "good", metainfo):
            box.wait_state(id, TorrentState.SEEDING, 60)
    assert (box.content / "film.bin").read_bytes() == good


@pytest.mark.parametrize("encryption", ["require", "off"])
def test_encryption_is_as_configured(tmp_path: Path, encryption: str) -> None:
    with Box(tmp_path / "box", network__encryption=encryption) as box:
        metainfo = make_torrent(write_data(box.content / "film.bin", MIB))
        box.wait_state(box.add(metainfo), TorrentState.SEEDING)
        call = (box.address, box.port)
        plain, forced = {"out_enc_policy": 2, "in_enc_policy": 2}, {"out_enc_policy": 0, "in_enc_policy": 0}
        fits, fails = (forced, plain) if encryption == "require" else (plain, forced)
        with Peer(tmp_path / "a", metainfo, call=call, **fits) as peer:
            peer.wait_done()
        with Peer(tmp_path / "b", metainfo, call=call, **fails) as peer:
            for _ in range(20):
                assert peer.listen()["done"] == 0


@pytest.mark.parametrize("off", ["tcp", "utp"])
def test_a_transport_that_is_switched_off_is_not_used(tmp_path: Path, off: str) -> None:
    keys: dict[str, Any] = {f"network__{off}": False}
    with Box(tmp_path / "box", **keys) as box:
        metainfo = make_torrent(write_data(box.content / "film.bin", MIB))
        box.wait_state(box.add(metainfo), TorrentState.SEEDING)
        call = (box.address, box.port)
        by = {"enable_outgoing_tcp": off == "tcp", "enable_outgoing_utp": off == "utp"}
        with Peer(tmp_path / "a", metainfo, call=call, **by) as peer:
            for _ in range(20):
                assert peer.listen()["done"] == 0
        by = {"enable_outgoing_tcp": off != "tcp", "enable_outgoing_utp": off != "utp"}
        with Peer(tmp_path / "b", metainfo, call=call, **by) as peer:
            peer.wait_done()
