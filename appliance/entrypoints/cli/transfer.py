"""`seedbox doctor --transfer`: a second process downloads 64 MiB from the box and verifies them."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from appliance.control.box import GetConfig, GetStatus
from appliance.control.intake import GetJob, Options, ShareFolder
from appliance.control.torrents import GetMetainfo, Remove, ShowTorrent, TorrentState
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.units import MIB, show_rate
from appliance.entrypoints.cli.adding import progress_bar
from appliance.entrypoints.cli.context import App

SIZE = 64 * MIB
WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Proof:
    """The result of the transfer."""

    bytes: int
    seconds: float
    rate: int
    """Bytes per second."""
    over: str
    """`tcp` or `utp`."""


def prove(app: App) -> None:
    """Share a new file, download it again, compare, and tidy up.

    Raises OwnerMustAct or RetryLater, naming the step that failed.
    """
    root, address, port = _where(app)
    shared = ""
    with tempfile.TemporaryDirectory(prefix="transfer-proof-", dir=root) as source, _elsewhere() as target:
        file = Path(source, "proof.bin")
        file.write_bytes(os.urandom(SIZE))
        try:
            shared = _share(app, file)
            proof = _download(app, shared, address, port, target)
            _compare(file, Path(target, "proof.bin"))
        finally:
            if shared:
                app.box.call(Remove(ids=[shared]))
    app.answer(
        asdict(proof),
        f"A second process downloaded {SIZE // MIB} MiB from the box over {proof.over.upper()} in "
        f"{proof.seconds:.1f} s ({show_rate(proof.rate)}). Every byte is correct: the box works.",
    )


def _where(app: App) -> tuple[Path, str, int]:
    """The content folder, and an address and port that the box listens on."""
    entries = {f"{entry.table}.{entry.key}": entry.value for entry in app.box.call(GetConfig()).entries}
    addresses = [*json.loads(entries["network.listen_addresses"]), "127.0.0.1"]
    address = next((ip for ip in addresses[:-1] if ":" not in ip), addresses[0])
    port = app.box.call(GetStatus()).listen_port
    if not port:
        raise OwnerMustAct("The box has no open port. To find out why: seedbox doctor")
    return app.state.resolve(json.loads(entries["content.root"])), address, port


def _elsewhere() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="seedbox-proof-")


def _share(app: App, file: Path) -> str:
    job = app.box.call(ShareFolder(path=str(file), private=True, options=Options(label="proof"))).job
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        made = app.box.call(GetJob(id=job))
        if made.error:
            raise OwnerMustAct(f"The box could not share a test file: {made.error}")
        if made.done and app.box.call(ShowTorrent(id=made.torrent)).row.state is TorrentState.SEEDING:
            return made.torrent
        time.sleep(0.1)
    raise RetryLater("The box took more than a minute to share 64 MiB. Its disk may be busy; try again.")


def _download(app: App, id: str, address: str, port: int, target: str) -> Proof:
    metainfo = app.box.call(GetMetainfo(id=id)).metainfo
    started = time.monotonic()
    with _process(address, port, target) as process:
        assert process.stdin is not None
        process.stdin.write(metainfo)
        process.stdin.close()
        over = _follow(app, process)
        seconds = time.monotonic() - started
        if process.wait() != 0:
            raise RetryLater(
                "The second process received nothing from the box for a minute. See: seedbox doctor"
            )
    return Proof(SIZE, round(seconds, 2), round(SIZE / seconds), over)


@contextmanager
def _process(address: str, port: int, target: str) -> Iterator["subprocess.Popen[bytes]"]:
    """The second process, which never outlives the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "appliance.adapters.engine.fetcher", address, str(port), target],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _follow(app: App, process: "subprocess.Popen[bytes]") -> str:
    """Show the progress that the second process reports, and return the protocol that it used."""
    assert process.stdout is not None
    over = "tcp"
    with progress_bar(app, "Downloading", SIZE) as bar:
        for raw in process.stdout:
            line = json.loads(raw)
            bar.update(line["done"] - bar.pos)
            over = line["over"]
    return over


def _compare(source: Path, target: Path) -> None:
    with source.open("rb") as ours, target.open("rb") as theirs:
        while block := ours.read(MIB):
            if theirs.read(MIB) != block:
                raise OwnerMustAct(
                    "The downloaded data differs from the original. Check this machine's memory and disk."
                )
