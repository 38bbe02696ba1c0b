"""Other people's clients download from the box, byte for byte."""

import filecmp
from pathlib import Path

import pytest

from appliance.adapters.engine.metainfo import parse_torrent
from appliance.control.box import LimitsChange, ResetLimits, SetLimits
from appliance.control.intake import AddMagnet, GetJob, ShareFolder
from appliance.control.torrents import GetMetainfo, Pause, Reannounce, Resume, ShowTorrent, TorrentState
from appliance.core.units import BytesPerSecond
from tests.support.box import Box
from tests.support.peer import Peer
from tests.support.torrents import magnet, make_torrent, write_data
from tests.support.tracker import OpenTracker
from tests.support.transmission import Transmission
from tests.support.until import until

MIB = 1024**2


def folder_of(tmp_path: Path) -> Path:
    folder = tmp_path / "holiday films"
    write_data(folder / "one.bin", 3 * MIB, 1)
    write_data(folder / "deep" / "two ü.bin", 700_001, 2)
    (folder / "empty").touch()
    return folder


def announce(box: Box, tracker: OpenTracker, id: str) -> None:
    """Let the tracker serve a torrent of the box, and the box announce it."""
    box.wait_state(id, TorrentState.SEEDING)
    tracker.allow(id)
    box.call(Reannounce(ids=[id]))

    def working() -> bool:
        return any(one.verdict == "working" for one in box.call(ShowTorrent(id=id)).trackers)

    until(working, "a working tracker")


def same(left: Path, right: Path) -> None:
    """Both trees hold the same files, byte for byte; Transmission makes no empty ones."""
    files = sorted(
        path.relative_to(left) for path in left.rglob("*") if path.is_file() and path.stat().st_size
    )
    assert set(files) <= {path.relative_to(right) for path in right.rglob("*")}
    for path in files:
        assert filecmp.cmp(left / path, right / path, shallow=False), path


@pytest.mark.parametrize("by", ["torrent", "magnet"])
def test_transmission_downloads_a_shared_folder(box: Box, tmp_path: Path, by: str) -> None:
    """As v1: Transmission 3 refuses every hybrid; 4 reads them. Hybrids go to libtorrent peers below."""
    folder = folder_of(tmp_path)
    with OpenTracker() as tracker, Transmission(tmp_path / "transmission") as other:
        job = box.call(ShareFolder(path=str(folder), trackers=[tracker.url], v1_only=True)).job
        made = until(lambda: (now := box.call(GetJob(id=job))).done and now, "hashing")
        assert not made.error
        announce(box, tracker, made.torrent)
        detail = box.call(ShowTorrent(id=made.torrent))
        source = detail.magnet if by == "magnet" else box.call(GetMetainfo(id=made.torrent)).metainfo
        # A link that names the other peer makes the box call it.
        call = AddMagnet(uri=f"{detail.magnet}&x.pe={other.address}:{other.port}")
        other.wait_done(other.add(source), nudge=lambda: box.call(call))
        same(folder, other.downloads / folder.name)
        assert until(lambda: box.row(made.torrent).uploaded >= 3_700_000, "the count of what was sent")


def test_transmission_downloads_a_v1_torrent_from_the_box(box: Box, tmp_path: Path) -> None:
    data = write_data(box.content / "film.bin", 2 * MIB)
    with OpenTracker() as tracker, Transmission(tmp_path / "transmission") as other:
        metainfo = make_torrent(data, "v1", (tracker.url,))
        id = box.add(metainfo)
        announce(box, tracker, id)
        other.wait_done(other.add(metainfo), nudge=lambda: box.call(Reannounce(ids=[id])))
        assert filecmp.cmp(data, other.downloads / "film.bin", shallow=False)


@pytest.mark.parametrize("by", ["torrent", "magnet"])
def test_the_box_downloads_from_transmission(box: Box, tmp_path: Path, by: str) -> None:
    with OpenTracker() as tracker, Transmission(tmp_path / "transmission") as other:
        data = write_data(other.downloads / "book.bin", 2 * MIB)
        metainfo = make_torrent(data, "v1", (tracker.url,))
        tracker.allow(parse_torrent(metainfo).description.v1)
        number = other.add(metainfo)
        other.wait_done(number)
        if by == "torrent":
            id = box.add(metainfo)
        else:
            id = box.call(AddMagnet(uri=f"{magnet(metainfo)}&tr={tracker.url}")).id
        again = Reannounce(ids=[id])
        until(lambda: box.call(again) and box.row(id).state is TorrentState.SEEDING, "the download", 50)
        assert until(lambda: box.row(id).downloaded >= 2 * MIB, "the count of what was fetched")
        assert filecmp.cmp(data, box.content / "book.bin", shallow=False)


@pytest.mark.parametrize("kind", ["v1", "hybrid", "v2"])
@pytest.mark.parametrize("over", ["tcp", "utp"])
def test_a_libtorrent_peer_fetches_every_kind_over_tcp_and_utp(
    box: Box, tmp_path: Path, kind: str, over: str
) -> None:
    data = write_data(box.content / "data.bin", MIB + 12_345)
    metainfo = make_torrent(data, kind)
    box.wait_state(box.add(metainfo), TorrentState.SEEDING)
    only = {"enable_outgoing_utp": over == "utp", "enable_outgoing_tcp": over == "tcp"}
    # Slow enough to be seen at it.
    with Peer(tmp_path / "peer", metainfo, call=(box.address, box.port), download_limit=MIB, **only) as peer:
        said = peer.wait_done()
        assert over in said["over"]
        assert any("Seedbox" in name or "seedbox" in name for name in said["clients"]), said["clients"]
    assert filecmp.cmp(data, tmp_path / "peer" / "data.bin", shallow=False)


@pytest.mark.parametrize("kind", ["hybrid", "v2"])
def test_a_magnet_link_made_by_the_box_brings_the_description_to_a_peer(
    box: Box, tmp_path: Path, kind: str
) -> None:
    data = write_data(box.content / "data.bin", MIB)
    id = box.add(make_torrent(data, kind))
    box.wait_state(id, TorrentState.SEEDING)
    link = box.call(ShowTorrent(id=id)).magnet
    with Peer(tmp_path / "peer", link, call=(box.address, box.port)) as peer:
        peer.wait_done()
    assert filecmp.cmp(data, tmp_path / "peer" / "data.bin", shallow=False)


def test_a_peer_fetches_over_ipv6(tmp_path: Path) -> None:
    data = write_data(tmp_path / "box" / "content" / "data.bin", MIB)
    metainfo = make_torrent(data)
    box = Box(tmp_path / "box")
    box.configure(network__listen_addresses=["::1"], network__dht=False, network__lsd=False)
    with box:
        box.wait_state(box.add(metainfo), TorrentState.SEEDING)
        with Peer(tmp_path / "peer", metainfo, call=("::1", box.port), address="::1") as peer:
            peer.wait_done()
    assert filecmp.cmp(data, tmp_path / "peer" / "data.bin", shallow=False)


def test_pause_stops_serving_and_resume_serves_again(box: Box, tmp_path: Path) -> None:
    data = write_data(box.content / "data.bin", 4 * MIB)
    metainfo = make_torrent(data)
    id = box.add(metainfo)
    box.wait_state(id, TorrentState.SEEDING)
    box.call(Pause(ids=[id]))
    box.wait_state(id, TorrentState.PAUSED)
    with Peer(tmp_path / "peer", metainfo, call=(box.address, box.port)) as peer:
        for _ in range(20):
            assert peer.listen()["done"] == 0
        box.call(Resume(ids=[id]))
        box.wait_state(id, TorrentState.SEEDING)
        peer.wait_done()


def test_an_upload_limit_holds_for_a_loopback_peer_too(box: Box, tmp_path: Path) -> None:
    data = write_data(box.content / "data.bin", 8 * MIB)
    metainfo = make_torrent(data)
    box.wait_state(box.add(metainfo), TorrentState.SEEDING)
    box.call(SetLimits(change=LimitsChange(upload_rate=BytesPerSecond(500 * 1024))))
    with Peer(tmp_path / "peer", metainfo, call=(box.address, box.port)) as peer:
        until(lambda: peer.listen()["rate"] > 100_000, "some data")
        rates = [peer.listen()["rate"] for _ in range(40)]
        assert sorted(rates)[len(rates) // 2] < 700_000
        assert not peer.said["complete"]
        box.call(ResetLimits())
        peer.wait_done()
