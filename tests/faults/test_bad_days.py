"""Bad days: whatever happens, the box says what is wrong and how to mend it, runs on, and loses nothing."""

import contextlib
import filecmp
import os
import shutil
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from appliance.control.box import (
    GetHealth,
    GetStatus,
    GetTraffic,
    LimitsChange,
    ResetLimits,
    SetLimits,
    Verdict,
)
from appliance.control.intake import AddTorrent
from appliance.control.torrents import (
    ListFiles,
    ListTorrents,
    Pause,
    Recheck,
    Remove,
    Resume,
    ShowTorrent,
    TorrentState,
)
from appliance.core.units import BytesPerSecond
from tests.support.addresses import address
from tests.support.box import Box, refused
from tests.support.netns import TwoHosts
from tests.support.peer import Peer
from tests.support.processes import start
from tests.support.torrents import make_torrent, write_data
from tests.support.tracker import HOSTILE, HostileTracker
from tests.support.until import until

MIB = 1024**2


def test_a_second_daemon_on_one_state_folder_refuses(box: Box) -> None:
    second = subprocess.run(
        [sys.executable, "-m", "appliance.entrypoints.cli", "--state", box.folder, "daemon"],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert second.returncode == 1
    assert "Another seedbox already runs" in second.stderr
    assert box.call(GetStatus())


def test_a_port_that_is_taken_is_told_and_the_next_one_used(tmp_path: Path) -> None:
    box = Box(tmp_path / "box")
    with socket.socket() as other:
        other.bind((box.address, 6881))
        other.listen()
        with box:
            assert box.port == 6882
            findings = {finding.check: finding for finding in box.call(GetHealth()).findings}
            assert findings["listen-port"].verdict is Verdict.WARNING
            assert "6882" in findings["listen-port"].says + findings["listen-port"].remedy


def test_no_network_and_then_network_needs_nobody(tmp_path: Path) -> None:
    with TwoHosts() as hosts:
        call = (hosts.addresses[0], 6881)
        there = {"address": hosts.addresses[1], "prefix": hosts.inside(1)}
        box = Box(tmp_path / "box", prefix=hosts.inside(0), network__listen_addresses=[])
        data = write_data(box.content / "film.bin", 2 * MIB)
        metainfo = make_torrent(data)
        with box:
            box.wait_state(box.add(metainfo), TorrentState.SEEDING)
            findings = {finding.check: finding.verdict for finding in box.call(GetHealth()).findings}
            assert findings["reachable"] is Verdict.UNKNOWN
            for visit in range(2):
                hosts.plug()
                with Peer(tmp_path / f"peer{visit}", metainfo, call=call, **there) as peer:
                    peer.wait_done()
                assert filecmp.cmp(data, tmp_path / f"peer{visit}" / "film.bin", shallow=False)
                hosts.unplug()
            until(lambda: box.call(GetHealth()).findings, "an answer without a network")
            assert "Traceback" not in box.log()


def test_content_that_is_truncated_is_missing_and_goes_on_when_it_is_put_back(
    box: Box, tmp_path: Path
) -> None:
    data = write_data(box.content / "film.bin", 4 * MIB)
    good, metainfo = data.read_bytes(), make_torrent(data)
    id = box.add(metainfo)
    box.wait_state(id, TorrentState.SEEDING)
    os.truncate(data, 100_000)
    with Peer(tmp_path / "peer", metainfo, call=(box.address, box.port)) as peer:
        row = box.wait_state(id, TorrentState.MISSING_DATA)
        assert "Put it back" in row.reason
        assert data.stat().st_size == 100_000, "nothing was fetched or written unasked"
        data.write_bytes(good)
        box.wait_state(id, TorrentState.SEEDING, 60)
        peer.wait_done()
    assert (tmp_path / "peer" / "film.bin").read_bytes() == good


def test_content_that_is_deleted_is_not_fetched_unasked_but_on_demand(box: Box, tmp_path: Path) -> None:
    data = write_data(box.content / "film.bin", 2 * MIB)
    good, metainfo = data.read_bytes(), make_torrent(data)
    id = box.add(metainfo)
    box.wait_state(id, TorrentState.SEEDING)
    assert box.stop() == 0
    data.unlink()
    (tmp_path / "seed").mkdir()
    (tmp_path / "seed" / "film.bin").write_bytes(good)
    box.start()
    with Peer(tmp_path / "seed", metainfo, call=(box.address, box.port)) as seed:
        box.wait_state(id, TorrentState.MISSING_DATA)
        for _ in range(20):
            seed.listen()
        assert not data.exists()
        box.call(Resume(ids=[id]))
        box.wait_state(id, TorrentState.SEEDING, 60)
    assert data.read_bytes() == good


def test_a_vanished_content_folder_stops_writing_and_comes_back(box: Box) -> None:
    data = write_data(box.content / "film.bin", MIB)
    id = box.add(make_torrent(data))
    box.wait_state(id, TorrentState.SEEDING)
    box.content.rename(box.folder / "away")
    # On the state folder's own file system the folder is made anew; its torrents lack their data.
    box.call(Recheck(ids=[id]))
    box.wait_state(id, TorrentState.MISSING_DATA, 40)
    shutil.rmtree(box.content, ignore_errors=True)
    (box.folder / "away").rename(box.content)
    box.call(Recheck(ids=[id]))
    box.wait_state(id, TorrentState.SEEDING, 40)


@pytest.mark.parametrize("lie", [*HOSTILE, "hang", "loop"])
def test_a_tracker_that_lies_or_hangs_harms_nobody(box: Box, tmp_path: Path, lie: str) -> None:
    data = write_data(box.content / "film.bin", MIB)
    with HostileTracker() as tracker:
        url = f"{tracker.url}/announce/{lie.replace(' ', '%20')}"
        metainfo = make_torrent(data, "hybrid", (url,))
        id = box.add(metainfo)
        box.wait_state(id, TorrentState.SEEDING)
        until(lambda: tracker.asked, "the announce")
        with Peer(tmp_path / "peer", metainfo, call=(box.address, box.port)) as peer:
            peer.wait_done()
        assert box.call(ShowTorrent(id=id)).trackers[0].url == url


def test_2000_connections_of_one_host_do_not_keep_an_honest_peer_out(box: Box, tmp_path: Path) -> None:
    data = write_data(box.content / "film.bin", 2 * MIB)
    metainfo = make_torrent(data)
    box.wait_state(box.add(metainfo), TorrentState.SEEDING)
    attacker, sockets = address(), []
    try:
        for _ in range(2_000):
            one = socket.socket()
            sockets.append(one)
            one.bind((attacker, 0))
            one.setblocking(False)
            one.connect_ex((box.address, box.port))
        with Peer(tmp_path / "peer", metainfo, call=(box.address, box.port)) as peer:
            peer.wait_done(40)
    finally:
        for one in sockets:
            one.close()
    assert box.call(GetStatus()).health is not Verdict.ERROR


def test_a_torrent_of_100000_files_is_listed_page_by_page(box: Box, tmp_path: Path) -> None:
    import libtorrent as lt

    entries = [lt.create_file_entry(f"many/d{n % 100}/f{n}", 10) for n in range(100_000)]
    torrent = lt.create_torrent(entries, 1024 * 1024, lt.create_torrent.v1_only)
    for piece in range(torrent.num_pieces()):
        torrent.set_hash(piece, b"x" * 20)
    id = box.add(lt.bencode(torrent.generate()), paused=True)
    page = box.call(ListFiles(id=id, offset=99_990, count=100))
    assert page.total == 100_000
    assert len(page.files) == 10
    assert box.call(ShowTorrent(id=id)).files == 100_000
    box.call(Remove(ids=[id]))


def test_hostile_torrents_are_refused_and_write_nothing(box: Box, tmp_path: Path) -> None:
    from tests.unit.adapters.engine.test_metainfo import hostile

    for path in ([b"..", b"..", b"out"], [b"/abs"], [b"\xff"], [b"d"] * 80):
        assert refused(box, AddTorrent(metainfo=hostile(path)))
    assert "larger" in refused(box, AddTorrent(metainfo=b"d" + bytes(33 * MIB)))
    assert sorted(path.name for path in box.content.iterdir()) == [".seedbox-content"]
    assert box.call(ListTorrents()).total == 0


def test_a_damaged_database_is_set_aside_and_everything_comes_back(box: Box) -> None:
    ids = [box.add(make_torrent(write_data(box.content / f"film{n}.bin", MIB, n))) for n in range(3)]
    for id in ids:
        box.wait_state(id, TorrentState.SEEDING)
    assert box.stop() == 0
    database = box.folder / "seedbox.db"
    raw = bytearray(database.read_bytes())
    raw[100:9_000] = os.urandom(8_900)
    database.write_bytes(raw)
    box.start()
    for id in ids:
        assert box.wait_state(id, TorrentState.SEEDING).downloaded == 0
    assert list(box.folder.glob("seedbox.db.damaged-*"))
    assert any("damaged" in text for text in box.events())


def test_damaged_resume_data_is_set_aside_and_the_data_checked(box: Box) -> None:
    import sqlite3

    id = box.add(make_torrent(write_data(box.content / "film.bin", MIB)))
    box.wait_state(id, TorrentState.SEEDING)
    assert box.stop() == 0
    with sqlite3.connect(box.folder / "seedbox.db") as database:
        database.execute("UPDATE resume SET data = x'6465'")
    database.close()
    box.start()
    assert box.wait_state(id, TorrentState.SEEDING).downloaded == 0
    assert any("resume data" in text for text in box.events())


@pytest.mark.slow
def test_a_download_killed_twenty_times_is_right_in_every_byte(tmp_path: Path) -> None:
    import random

    chance = random.Random(20)
    data = write_data(tmp_path / "seed" / "film.bin", 48 * MIB)
    metainfo = make_torrent(data)
    box = Box(tmp_path / "box")
    # TCP tells the peer at once that the box died; uTP would wait two minutes.
    peer = Peer(tmp_path / "seed", metainfo, call=(box.address, 6881), enable_outgoing_utp=False)
    with box, peer:
        until(lambda: peer.listen()["complete"], "the seed")
        box.call(SetLimits(change=LimitsChange(download_rate=BytesPerSecond(MIB))))
        id = box.add(metainfo)
        interrupted = 0
        for kill in range(20):
            target = box.row(id).downloaded + chance.randrange(100_000, 900_000)

            def there(target: int = target) -> bool:
                row = box.row(id)
                return row.downloaded >= target or row.state is TorrentState.SEEDING

            until(there, f"progress before kill {kill}", 20)
            interrupted += box.row(id).state is not TorrentState.SEEDING
            box.kill()
            box.start()
            assert box.call(ListTorrents()).total == 1
        box.call(ResetLimits())
        box.wait_state(id, TorrentState.SEEDING, 60)
        assert interrupted == 20
        assert (box.content / "film.bin").read_bytes() == data.read_bytes()


def test_kill_while_seeding_loses_nothing_and_needs_no_check(box: Box) -> None:
    ids = [box.add(make_torrent(write_data(box.content / f"film{n}.bin", 2 * MIB, n))) for n in range(20)]
    for id in ids:
        box.wait_state(id, TorrentState.SEEDING)
    until(lambda: "its data was already here" in " ".join(box.events()), "the events")
    box.call(Pause(ids=[ids[0]]))
    box.call(Resume(ids=[ids[0]]))
    box.kill()
    box.start()
    for id in ids:
        box.wait_state(id, TorrentState.SEEDING)
    read = next(
        int(line.split()[1])
        for line in Path(f"/proc/{box.process.pid}/io").read_text().splitlines()
        if "rchar" in line
    )
    assert read < 30 * MIB, "40 MiB of content would have been read by a check"


def test_an_added_torrent_survives_the_kill_of_the_next_moment(box: Box) -> None:
    for n in range(5):
        id = box.add(make_torrent(write_data(box.content / f"film{n}.bin", 100_000, n)))
        box.kill()
        box.start()
        assert box.row(id)
    assert box.call(ListTorrents()).total == 5


def test_sigterm_ends_in_order_and_at_once(box: Box) -> None:
    box.add(make_torrent(write_data(box.content / "film.bin", MIB)))
    box.process.send_signal(signal.SIGTERM)
    assert box.process.wait(15) == 0
    assert (box.folder / "lock").read_text() == ""
    assert not (box.folder / "control.sock").exists()


def small_disk(path: Path, size: str) -> bool:
    """Mount a small tmpfs on `path`; False where that is not allowed here."""
    path.mkdir(parents=True, exist_ok=True)
    return (
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", path], capture_output=True
        ).returncode
        == 0
    )


def test_a_full_disk_eases_the_download_which_goes_on_when_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    if not small_disk(disk, "400m"):
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(390 * MIB))
        data = write_data(tmp_path / "seed" / "film.bin", 20 * MIB)
        metainfo = make_torrent(data)
        with (
            Box(tmp_path / "box", content=disk / "content") as box,
            # By TCP: a peer may take a uTP connection that was closed for alive, for a minute or two.
            Peer(tmp_path / "seed", metainfo, call=(box.address, box.port), enable_outgoing_utp=False),
        ):
            id = box.add(metainfo)
            row = box.wait_state(id, TorrentState.THROTTLED, 40)
            assert "The disk is full" in row.reason
            ballast.unlink()
            box.wait_state(id, TorrentState.SEEDING, 75)
            assert (disk / "content" / "film.bin").read_bytes() == data.read_bytes()
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_while_saving_is_told_and_loses_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    if not small_disk(disk, "8m"):
        pytest.skip("mounting a tmpfs is not allowed here")
    try:
        with Box(disk / "box", content=tmp_path / "content") as box:
            first = box.add(make_torrent(write_data(tmp_path / "content" / "film.bin", MIB)))
            box.wait_state(first, TorrentState.SEEDING)
            ballast = disk / "ballast"
            with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(4096)):
                    pass
            second = make_torrent(write_data(tmp_path / "content" / "book.bin", 4 * MIB, 2), piece=16 * 1024)
            assert "Make room" in refused(box, AddTorrent(metainfo=second))
            assert box.row(first).state is TorrentState.SEEDING
            ballast.unlink()
            added = box.add(second)
            box.wait_state(added, TorrentState.SEEDING)
            box.kill()
            box.start()
            assert box.row(first)
            assert box.row(added)
    finally:
        subprocess.run(["umount", "-l", disk], check=True)


def _is_in(box: Box, year: int) -> bool:
    return abs(box.call(GetStatus()).now / 31_556_952_000 + 1970 - year) < 2


def test_the_clock_may_jump_by_years(tmp_path: Path) -> None:
    library = next(iter(sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))), None)
    if library is None:
        pytest.skip("libfaketime is not installed")
    stamp = tmp_path / "time"
    stamp.write_text("@1970-01-02 00:00:00\n")
    box = Box(tmp_path / "box")
    box.env = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(stamp),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    data = write_data(box.content / "film.bin", MIB)
    metainfo = make_torrent(data)
    with box:
        id = box.add(metainfo)
        box.wait_state(id, TorrentState.SEEDING)
        clock = next(finding for finding in box.call(GetHealth()).findings if finding.check == "clock")
        assert clock.verdict is Verdict.ERROR
        for year in (2040, 1999, 2027):
            stamp.write_text(f"@{year}-06-01 12:00:00\n")
            until(partial(_is_in, box, year), "the jump")
            assert box.row(id).state is TorrentState.SEEDING
            assert box.call(GetTraffic(span="month"))
        with Peer(tmp_path / "peer", metainfo, call=(box.address, box.port)) as peer:
            peer.wait_done()


def test_a_dead_loop_ends_the_process_with_the_reason_as_its_last_line(tmp_path: Path) -> None:
    script = tmp_path / "broken.py"
    script.write_text(
        "import sys\n"
        "from pathlib import Path\n"
        "from appliance.core.config import load\n"
        "from appliance.entrypoints.daemon import box, main\n"
        "from appliance.core.errors import Bug\n"
        "from appliance.core.state import StateFolder\n"
        "def read(self, sent, received):\n"
        "    raise Bug('the meter is broken')\n"
        "box.Meter.read = read\n"
        "state = StateFolder(Path(sys.argv[1]))\n"
        "sys.exit(main.main(state, load(state.config)))\n"
    )
    box = Box(tmp_path / "box")
    with (tmp_path / "log").open("wb") as log:
        process = start([sys.executable, script, box.folder], log)
    assert process.wait(30) == 70
    assert (tmp_path / "log").read_text().splitlines()[-1].endswith("Bug: the meter is broken")
