"""`make bench`: the figures of the box, each beside its reference in the same run, as medians of pairs.

`make bench ARGS="upload --pairs 5"` runs some of them. Nothing here fails a test run.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import libtorrent as lt
import msgspec
import psutil

from appliance import __version__
from appliance.adapters.engine.settings import PREAD, engine_settings
from appliance.control.box import GetStatus
from appliance.control.torrents import ListTorrents
from appliance.core.config import NetworkConfig
from appliance.core.units import Bytes, UtcMs
from appliance.domain.catalogue.record import Record
from appliance.services.machine.limits import configured_limits
from tests.bench import auction, care, care_drives, money, uplink_guard
from tests.bench.figure import Figure
from tests.support.addresses import address
from tests.support.box import SEEDBOX, Box
from tests.support.processes import end, pipe, start
from tests.support.torrents import make_torrent, write_data
from tests.support.until import until

MIB = 1024**2
ROUNDS = 3
"""Downloads of four leechers in one measurement: how the kernel schedules one of them varies by half."""
QUIET = {"enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False}


def own_settings(ip: str) -> dict[str, Any]:
    """The engine settings of a box on this machine."""
    network = NetworkConfig(listen_addresses=(ip,), dht=False, lsd=False, upnp=False, natpmp=False)
    ram = Bytes(psutil.virtual_memory().total)
    from appliance.core.config import LimitsConfig

    made = engine_settings(network, configured_limits(LimitsConfig(), ram), ram, "seedbox", __version__)
    return {key: int(value) if not isinstance(value, str | bool) else value for key, value in made.items()}


def default_settings(ip: str) -> dict[str, Any]:
    """libtorrent's own, but for the address."""
    return {"listen_interfaces": f"{ip}:6881", "outgoing_interfaces": ip, **QUIET}


@contextmanager
def reference(folder: Path, resumes: Path, settings: dict[str, Any], disk: str) -> Iterator[psutil.Process]:
    """The reference script, when all its torrents seed."""
    file = folder / "settings.json"
    file.write_text(json.dumps(settings))
    process = start(
        [sys.executable, "-m", "tests.bench.reference", file, resumes, disk],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # As the box: the kernel shares the processor between sessions (sched(7), autogroup).
        start_new_session=True,
    )
    try:
        assert pipe(process.stdout).readline() == b"ready\n"
        yield psutil.Process(process.pid)
    finally:
        pipe(process.stdin).close()
        end(process)
        pipe(process.stdout).close()


def many(folder: Path, count: int) -> tuple[Path, Path]:
    """(a state folder with `count` complete torrents, their resume files): small data, real descriptions."""
    content, resumes, state = folder / "content", folder / "resumes", folder / "state"
    resumes.mkdir()
    box = Box(state, content=content)
    with box:
        made_at = box.call(GetStatus()).now
    box.stop()
    from appliance.adapters.store.database import Database
    from appliance.adapters.store.torrents import TorrentStore, _Rebuild

    database = Database(state / "seedbox.db", check=False)
    store = TorrentStore(database, state / "torrents")
    rows = []
    for number in range(count):
        data = write_data(content / f"file{number:05}.bin", 20_000, number)
        params = lt.load_torrent_buffer(make_torrent(data, "v1", piece=16 * 1024))
        params.save_path = str(content)
        params.have_pieces = [True] * 2
        resume = lt.write_resume_data_buf(params)
        (resumes / f"{number:05}").write_bytes(resume)
        id = str(params.info_hashes.v1)
        record = Record(
            id=id,
            name=data.name,
            root=data.name,
            v1=id,
            v2="",
            folder=str(content),
            size=20_000,
            files=1,
            pieces=2,
            piece_length=16 * 1024,
            added=UtcMs(made_at + number),
            completed=UtcMs(made_at),
        )
        rows.append((record, resume))

    import zlib

    def insert(db: Any) -> None:
        for record, resume in rows:
            db.execute(
                "INSERT INTO torrent (id, record) VALUES (?, ?)",
                (record.id, msgspec.json.encode(record).decode()),
            )
            db.execute(
                "INSERT INTO resume SELECT number, ?, ? FROM torrent WHERE id = ?",
                (zlib.crc32(resume), resume, record.id),
            )

    database.run_now(insert)
    for record, resume in rows:
        (store._folder / f"{record.id}.torrentstate").write_bytes(
            msgspec.msgpack.encode(_Rebuild(record, resume))
        )
    database.close()
    return state, resumes


def seeding(box: Box, count: int) -> None:
    until(lambda: box.call(GetStatus()).torrents["seeding"] == count, f"{count} torrents seeding", 120)


# ------------------------------------------------------------------------------------------------ figures


def upload(folder: Path, pairs: int) -> Iterator[Figure]:
    """MiB uploaded per CPU-second, four fast leechers over TCP."""
    size = 512
    content = folder / "content"
    data = write_data(content / "data.bin", size * MIB)
    metainfo = make_torrent(data, "v1", piece=MIB)
    params = lt.load_torrent_buffer(metainfo)
    params.save_path = str(content)
    params.have_pieces = [True] * size
    resumes = folder / "resumes"
    resumes.mkdir()
    (resumes / "one").write_bytes(lt.write_resume_data_buf(params))
    found: dict[str, list[float]] = {"box": [], "same": [], "default": []}
    rss: dict[str, list[float]] = {kind: [] for kind in found}
    for number in range(pairs):
        for kind in found:
            if kind == "box":
                with Box(folder / f"box{number}", content=content) as box:
                    box.add(metainfo)
                    seeding(box, 1)
                    seconds, most = _leech(folder, metainfo, box.address, psutil.Process(box.process.pid))
            else:
                ip = address()
                settings = own_settings(ip) if kind == "same" else default_settings(ip)
                with reference(folder, resumes, settings, PREAD if kind == "same" else "") as process:
                    seconds, most = _leech(folder, metainfo, ip, process)
            found[kind].append(size * 4 * ROUNDS / seconds)
            rss[kind].append(most / 1e6)
    middle = {kind: statistics.median(values) for kind, values in found.items()}
    yield Figure(
        "upload per CPU-second, against own settings", middle["box"], middle["same"], ">= 0.97", "MiB/s"
    )
    yield Figure(
        "upload per CPU-second, against libtorrent's defaults",
        middle["box"],
        middle["default"],
        ">= 1.8",
        "MiB/s",
    )
    yield Figure(
        "RSS meanwhile, against libtorrent's defaults",
        statistics.median(rss["box"]),
        statistics.median(rss["default"]),
        "the same, +30 MB",
        "MB",
    )


def _calm(process: psutil.Process) -> bool:
    return _cpu(process, 1) < 2


def _leech(folder: Path, metainfo: bytes, ip: str, process: psutil.Process) -> tuple[float, int]:
    """(CPU seconds, most RSS) of the seed of four leechers that write to memory and hash nothing."""
    file = folder / "leech.torrent"
    file.write_bytes(metainfo)
    until(lambda: _cpu(process, 1) < 3, "the end of the seed's other work")
    before = _used(process)
    most = 0
    for _ in range(ROUNDS):
        leech: list[str | Path] = [sys.executable, "-m", "tests.bench.leecher", file, ip]
        leechers = [start([*leech, address()]) for _ in range(4)]
        while any(leecher.poll() is None for leecher in leechers):
            most = max(most, process.memory_info().rss)
            time.sleep(0.05)
        assert not any(leecher.returncode for leecher in leechers)
    return _used(process) - before, most


def idle(folder: Path, pairs: int) -> Iterator[Figure]:
    """RSS and CPU with idle torrents."""
    for count in (100, 1_000):
        base = folder / str(count)
        base.mkdir()
        state, resumes = many(base, count)
        box_rss, script_rss, box_cpu, script_cpu = [], [], [], []
        for _ in range(pairs):
            ip, box = address(), Box(state, content=base / "content")
            # Both at once: neither does anything, and what the machine does falls on both.
            with box, reference(base, resumes, own_settings(ip), PREAD) as script:
                seeding(box, count)
                daemon = psutil.Process(box.process.pid)
                until(partial(_calm, daemon), "the end of the start")
                if count == 1_000:
                    before = _used(daemon), _used(script)
                    time.sleep(60)
                    box_cpu.append((_used(daemon) - before[0]) / 0.6)
                    script_cpu.append((_used(script) - before[1]) / 0.6)
                box_rss.append(daemon.memory_info().rss / 1e6)
                script_rss.append(script.memory_info().rss / 1e6)
        middle = statistics.median
        yield Figure(
            f"RSS of the daemon, {count} idle torrents",
            middle(box_rss),
            middle(script_rss),
            "<= +30 MB",
            "MB",
        )
        if count == 1_000:
            yield Figure(
                "CPU, 1000 idle torrents", middle(box_cpu), middle(script_cpu), "<= +0.3 %", "% of a core"
            )


def _used(process: psutil.Process) -> float:
    """CPU seconds."""
    times = process.cpu_times()
    return float(times.user + times.system)


def _cpu(process: psutil.Process, seconds: int) -> float:
    """% of a core."""
    before = _used(process)
    time.sleep(seconds)
    return 100 * (_used(process) - before) / seconds


def together(folder: Path, pairs: int) -> Iterator[Figure]:
    """RSS of daemon, page and panel together, after the page was used."""
    state, _ = many(folder, 100)
    ip = address()
    box = Box(state, content=folder / "content", web__address=ip, web__port=8080)
    with box:
        seeding(box, 100)
        with (folder / "web.log").open("wb") as log:
            web = start([*SEEDBOX, "--state", state, "web"], log)
        until(lambda: "Page" in (folder / "web.log").read_text(), "the page")
        import urllib.request

        for path in ("/claim", "/healthz", "/static/style.css"):
            with urllib.request.urlopen(f"http://{ip}:8080{path}") as answer:
                answer.read()
        with (folder / "panel.log").open("wb") as log:
            panel = start([sys.executable, "-m", "tests.support.panel", state], log, stdin=subprocess.DEVNULL)
        until(lambda: "led" in (folder / "panel.log").read_text(), "the light")
        all_of_it = [one.pid for one in (box.process, web, panel)]
        used = sum(psutil.Process(pid).memory_info().rss / 1e6 for pid in all_of_it)
        end(panel)
        end(web)
    yield Figure("RSS of daemon, page and panel together, 100 torrents", used, None, "<= 130 MB", "MB")


def second_start(folder: Path, pairs: int) -> Iterator[Figure]:
    """From the start of the process to all torrents seeding."""
    for count in (1_000, 5_000):
        base = folder / str(count)
        base.mkdir()
        state, resumes = many(base, count)
        box_times, script_times = [], []
        for _ in range(pairs):
            box = Box(state, content=base / "content")
            started = time.monotonic()
            with box:
                while box.call(GetStatus()).torrents["seeding"] < count:
                    time.sleep(0.005)
                box_times.append(time.monotonic() - started)
                box.stop()
            ip = address()
            started = time.monotonic()
            with reference(base, resumes, own_settings(ip), PREAD):
                script_times.append(time.monotonic() - started)
        middle = statistics.median
        yield Figure(
            f"second start, {count} torrents", middle(box_times), middle(script_times), "<= 1.2", "s"
        )


def writes(folder: Path, pairs: int) -> Iterator[Figure]:
    """Bytes written and syncs in eleven minutes, idle and seeding, as an hour's."""
    seconds = 330
    for kind in ("idle", "seeding"):
        base = folder / kind
        content = base / "content"
        data = write_data(content / "data.bin", 8 * MIB)
        metainfo = make_torrent(data)
        trace = base / "trace"
        box = Box(
            base / "box",
            content=content,
            prefix=("strace", "-f", "-qq", "-o", str(trace), "-e", "trace=fsync,fdatasync,syncfs"),
        )
        with box:
            box.add(metainfo)
            seeding(box, 1)
            leecher = None
            if kind == "seeding":
                file = base / "t.torrent"
                file.write_bytes(metainfo)
                leecher = start(
                    [sys.executable, "-m", "tests.bench.leecher", file, box.address, address(), "20000"]
                )
            time.sleep(5)
            child = next(
                p for p in psutil.Process(box.process.pid).children(recursive=True) if "python" in p.name()
            )
            before, syncs = child.io_counters().write_bytes, len(trace.read_text().splitlines())
            time.sleep(seconds)
            written = child.io_counters().write_bytes - before
            synced = len(trace.read_text().splitlines()) - syncs
            if leecher:
                leecher.kill()
                leecher.wait()
        yield Figure(f"MB written an hour, {kind}", written * 3_600 / seconds / 1e6, None, "<= 1 MB", "MB/h")
        yield Figure(f"syncs an hour, {kind}", synced * 3_600 / seconds, None, "<= 60", "/h")


def delta(folder: Path, pairs: int) -> Iterator[Figure]:
    """The status delta at 1,000 torrents, as the page asks for it."""
    state, _ = many(folder, 1_000)
    with Box(state, content=folder / "content") as box:
        seeding(box, 1_000)
        revision = box.call(ListTorrents()).revision
        times, sizes = [], []
        for _ in range(200):
            started = time.perf_counter()
            status = box.call(GetStatus())
            page = box.call(ListTorrents(since=revision))
            times.append((time.perf_counter() - started) * 1e3)
            sizes.append(len(msgspec.json.encode(status)) + len(msgspec.json.encode(page)))
        full = len(msgspec.json.encode(box.call(ListTorrents())))
    yield Figure(
        "status delta, 1000 torrents, p99", statistics.quantiles(times, n=100)[98], None, "<= 20 ms", "ms"
    )
    yield Figure(
        "status delta, 1000 torrents, largest",
        max(sizes) / 1024,
        full / 1024,
        "<= 30 KB",
        "KiB (ref: full page)",
    )


BENCHES: dict[str, Callable[[Path, int], Iterator[Figure]]] = {
    "upload": upload,
    "idle": idle,
    "together": together,
    "start": second_start,
    "delta": delta,
    "writes": writes,
    "states": money.states,
    "operator": money.operator,
    "flood": money.flood,
    "money": money.memory,
    "clearing": auction.clearing,
    "slots": auction.slots,
    "whole": auction.whole,
    "selling": auction.selling,
    "uplink": uplink_guard.uplink,
    "governor": care.governor,
    "weather": care.weather,
    "drives": care_drives.drives,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHES)}; all without any")
    parser.add_argument("--pairs", type=int, default=5)
    told = parser.parse_args()
    print(f"{'what':<58} {'value':>10} {'reference':>10} {'ratio':>6}  {'bound':<16} unit")
    for name in told.names or BENCHES:
        folder = Path(tempfile.mkdtemp(prefix="bench-"))
        try:
            for figure in BENCHES[name](folder, told.pairs):
                print(figure.line(), flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
