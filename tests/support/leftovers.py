"""What tests have left behind on this machine: processes, network namespaces, mounts, loop devices."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.addresses import RUN

MARK = "TESTS_STARTED_BY"
"""Environment variable that every process of a run inherits, wherever it has gone since."""
GRACE_S = 10


def mark() -> None:
    """Mark all processes that are started from now on."""
    os.environ[MARK] = str(os.getpid())


def leftovers(folder: Path) -> list[str]:
    """What is still there of this run, whose files are in `folder`, a moment after its end."""
    _, alive = psutil.wait_procs(list(_processes()), GRACE_S)
    return [
        *(f"process {_shown(process)}" for process in alive),
        *_namespaces(),
        *_mounts(folder),
        *_drives(folder),
    ]


def _processes() -> Iterator[psutil.Process]:
    """Children, and all others that have inherited the mark: a daemon is nobody's child."""
    children = psutil.Process().children(recursive=True)
    yield from (child for child in children if not _is_over(child))
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(MARK) == str(os.getpid()) and process.pid != os.getpid():
                yield process


def _is_over(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _shown(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return f"{process.pid}: {' '.join(process.cmdline())[:200]}"
    return str(process.pid)


def _namespaces() -> Iterator[str]:
    """Those that have this run's number in their name."""
    for path in Path("/run/netns").glob(f"seedbox-{RUN}-*"):
        yield f"network namespace {path.name}"


def _mounts(folder: Path) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        point = Path(line.split()[4].encode().decode("unicode_escape"))
        if point.is_relative_to(folder):
            yield f"mount on {point}"


def _drives(folder: Path) -> Iterator[str]:
    for file in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            if Path(file.read_text().strip()).is_relative_to(folder):
                yield f"loop device {file.parts[3]}"
    for file in Path("/sys/block").glob("dm-*/dm/name"):
        with suppress(OSError):
            if (name := file.read_text().strip()).startswith(f"seedbox-{RUN}-"):
                yield f"mapped device {name}"
