"""What drives report about themselves, handed over by a process that may ask them.

The daemon faces the internet and may open no raw device. So a small service of root's asks every drive now
and then and leaves the answers in a folder, where the daemon finds them (systemd/seedbox-smart.timer:
`python -m appliance.adapters.board.smartfiles FOLDER CONFIGURATION`). It also sets
when disks spin down, where the configuration says so.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from appliance.adapters.board.blocks import is_usb
from appliance.adapters.board.files import KernelFiles
from appliance.adapters.board.programs import Programs, Run
from appliance.adapters.board.smart import ASK_S, words_for
from appliance.core.config import load

FOLDER = Path("/run/seedbox-smart")
FRESH_S = 2 * 3_600
"""An answer that is older is none: the service that asks has died, or the drive has gone."""


def from_files(other: Run, folder: Path = FOLDER) -> Run:
    """Answers of smartctl from `folder`, where there is one; all other programs by `other`."""

    def run(words: Sequence[str], seconds: float) -> str | None:
        if words[0] != "smartctl" or not folder.is_dir():
            return other(words, seconds)
        try:
            with (folder / _name(words)).open(encoding="utf-8", errors="replace") as file:
                if time.time() - os.fstat(file.fileno()).st_mtime > FRESH_S:
                    return None
                return file.read(1 << 20)
        except OSError:
            return None

    return run


def collect(folder: Path, kernel: KernelFiles, run: Run) -> None:
    """Ask every drive, without waking any, and leave the answers; those of drives that have gone go, too."""
    kept = {_name(words) for words in _questions(kernel) if _left_answer(folder, run, words)}
    for path in folder.glob("*.json*"):
        if path.name not in kept:
            path.unlink(missing_ok=True)


def _questions(kernel: KernelFiles) -> Iterator[tuple[str, ...]]:
    """The commands that ask every drive, behind USB in both ways."""
    for link in kernel.names("sys/class/block/*/device"):
        name = link.split("/")[3]
        if name.startswith("mmcblk") or kernel.has(f"sys/class/block/{name}/partition"):
            continue
        yield words_for(f"/dev/{name}", translated=False)
        if is_usb(kernel, name):
            yield words_for(f"/dev/{name}", translated=True)


def _left_answer(folder: Path, run: Run, words: tuple[str, ...]) -> bool:
    """Leave the answer to a command in the folder, if there is one."""
    said = run(words, ASK_S)
    if said is None:
        return False
    fresh = folder / f"{_name(words)}.new"
    fresh.write_text(said, encoding="utf-8")
    fresh.replace(folder / _name(words))
    return True


def rest(minutes: int, kernel: KernelFiles, run: Run) -> None:
    """Have disks that turn stop when nobody has read them for so long, 1 to 330 minutes; wakes none."""
    # ATA8-ACS, table 61: steps of 5 seconds up to 20 minutes, then of half an hour.
    timer = minutes * 12 if minutes <= 20 else 240 - (-minutes // 30)
    for link in kernel.names("sys/class/block/sd*/queue/rotational"):
        if kernel.number(link) == 1:
            device = f"/dev/{link.split('/')[3]}"
            run(("smartctl", "-n", "standby", "-s", f"standby,{timer}", device), ASK_S)


def _name(words: Sequence[str]) -> str:
    return f"{words[-1].rpartition('/')[2]}{'.sat' if '-d' in words else ''}.json"


if __name__ == "__main__":
    collect(Path(sys.argv[1]), KernelFiles(), Programs())
    if minutes := load(Path(sys.argv[2])).governor.spin_down:
        rest(minutes, KernelFiles(), Programs())
