"""`seedbox doctor --transfer`: 64 MiB go from the box to a second process, every byte checked."""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from appliance.control.box import GetConfig, GetStatus
from appliance.control.intake import GetJob, Options, ShareFolder
from appliance.control.torrents import GetMetainfo, Remove, ShowTorrent, State
from appliance.core.errors import OwnerMustAct, RetryLater
from appliance.core.units import MIB, show_rate
from appliance.entrypoints.cli.context import App

SIZE = 64 * MIB
WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Proof:
    """How the transfer went."""

    bytes: int
    seconds: float
    rate: int
    over: str


def prove(app: App) -> None:
    """Make, share, fetch, compare, tidy up. Raises OwnerMustAct or RetryLater, saying which step failed."""
    entries = {f"{entry.table}.{entry.key}": entry.value for entry in app.box.call(GetConfig()).entries}
    root = app.state.resolve(json.loads(entries["content.root"]))
    addresses = json.loads(entries["network.listen_addresses"])
    address = next((ip for ip in addresses if ":" not in ip), addresses[0] if addresses else "127.0.0.1")
    port = app.box.call(GetStatus()).listen_port
    if not port:
        raise OwnerMustAct("The box listens on no port; `seedbox doctor` says why.")
    shared = ""
    with tempfile.TemporaryDirectory(prefix="transfer-proof-", dir=root) as source, _elsewhere() as target:
        file = Path(source, "proof.bin")
        file.write_bytes(os.urandom(SIZE))
        try:
            shared = _share(app, file)
            proof = _fetch(app, shared, address, port, target)
            _compare(file, Path(target, "proof.bin"))
        finally:
            if shared:
                app.box.call(Remove(ids=[shared]))
    app.answer(
        asdict(proof),
        f"{SIZE // MIB} MiB went from the box to a second process over {proof.over.upper()} in "
        f"{proof.seconds:.1f} s ({show_rate(proof.rate)}). Every byte is right: the box works.",
    )


def _elsewhere() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="seedbox-proof-")


def _share(app: App, file: Path) -> str:
    job = app.box.call(ShareFolder(path=str(file), private=True, options=Options(label="proof"))).job
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        made = app.box.call(GetJob(id=job))
        if made.error:
            raise OwnerMustAct(f"The box could not share a file of its own: {made.error}")
        if made.done and app.box.call(ShowTorrent(id=made.torrent)).row.state is State.SEEDING:
            return made.torrent
        time.sleep(0.1)
    raise RetryLater("The box took more than a minute to share 64 MiB; is its disk busy? Try again.")


def _fetch(app: App, id: str, address: str, port: int, target: str) -> Proof:
    metainfo = app.box.call(GetMetainfo(id=id)).metainfo
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "appliance.adapters.engine.fetcher", address, str(port), target],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    over = "tcp"
    try:
        process.stdin.write(metainfo)
        process.stdin.close()
        hidden = app.as_json or not sys.stderr.isatty()
        with click.progressbar(length=SIZE, label="Fetching", file=sys.stderr, hidden=hidden) as bar:
            for raw in process.stdout:
                line = json.loads(raw)
                bar.update(line["done"] - bar.pos)
                over = line["over"]
                seconds = time.monotonic() - started
        if process.wait() != 0:
            raise RetryLater(
                "The second process got nothing from the box for a minute. See `seedbox doctor`."
            )
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    return Proof(SIZE, round(seconds, 2), round(SIZE / seconds), over)


def _compare(source: Path, target: Path) -> None:
    with source.open("rb") as ours, target.open("rb") as theirs:
        while block := ours.read(MIB):
            if theirs.read(MIB) != block:
                raise OwnerMustAct(
                    "What arrived differs from what was sent. Check memory and disk of this machine."
                )
