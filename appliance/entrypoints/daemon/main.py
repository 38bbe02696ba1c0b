"""`seedbox daemon`: one box, from its state folder to its last line."""

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
from collections.abc import Iterator

from appliance import __version__
from appliance.adapters.store.database import Damaged, Database
from appliance.adapters.store.files import set_aside
from appliance.control.server import ControlServer
from appliance.core.config import Config
from appliance.core.errors import OwnerMustAct
from appliance.core.logs import set_up
from appliance.core.process import notify
from appliance.core.state import StateFolder
from appliance.entrypoints.daemon.box import Box
from appliance.entrypoints.daemon.handlers.table import routes

log = logging.getLogger(__name__)

REFUSED, FAILED = 1, 70
"""Exit codes: the owner must act; the box contradicted itself (sysexits(3) EX_SOFTWARE)."""
_RUNNING = "running"


def main(state: StateFolder, config: Config) -> int:
    """Run a box until SIGTERM or Ctrl-C; returns the process's exit code."""
    set_up(config.box.log_level)
    try:
        with _only_one(state) as unclean:
            asyncio.run(_serve(state, config, check=unclean))
    except BaseException as raised:
        return _last_words(_first(raised))
    return 0


def _last_words(error: BaseException) -> int:
    """Say in the last line why the box ends; returns the exit code."""
    if isinstance(error, OwnerMustAct):
        log.error("%s", error)
        return REFUSED
    log.error("the box ends itself", exc_info=error)
    log.error("%s: %s", type(error).__name__, error)
    return FAILED


async def _serve(state: StateFolder, config: Config, *, check: bool) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    database, report = _open_database(state, check)
    try:
        box = Box(state, config, database)
        if report:
            box.journal.error(report)
        await box.start()
        control = ControlServer(state.control_socket, routes(box), box.failure.fail)
        await control.start()
        log.info("Seedbox %s is running. Torrents: %d.", __version__, len(box.catalogue))
        notify(f"READY=1\nSTATUS={box.overview.sentence()}")
        try:
            await _until(stop, box)
        finally:
            notify("STOPPING=1\nSTATUS=Saving, and leaving the swarms.")
            await control.stop()
            await box.stop()
    finally:
        database.close()


async def _until(stop: asyncio.Event, box: Box) -> None:
    """Run the box until `stop`; a loop that fails raises."""
    running = asyncio.create_task(box.run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if running.done():
        await running
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _open_database(state: StateFolder, check: bool) -> tuple[Database, str]:
    """The database, and what to tell the owner if it had to be set aside."""
    try:
        return Database(state.database, check=check), ""
    except Damaged as error:
        aside = set_aside(state.database)
        report = (
            f"The database was damaged ({error}) and was set aside as {aside}. "
            "Torrents are brought back from their descriptions, and their data is checked."
        )
        return Database(state.database, check=False), report


@contextlib.contextmanager
def _only_one(state: StateFolder) -> Iterator[bool]:
    """Hold the state folder for this process; yields whether the last one ended uncleanly.

    Raises OwnerMustAct where another daemon holds it, or it cannot be used.
    """
    try:
        state.path.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock = os.open(state.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OwnerMustAct(f"The state folder {state.path} cannot be used ({error}).") from error
    with os.fdopen(lock, "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OwnerMustAct(
                f"Another seedbox already runs on {state.path}. Stop it first, or choose another folder "
                "with --state."
            ) from error
        unclean = file.read().startswith(_RUNNING)
        _rewrite(file.fileno(), f"{_RUNNING} {os.getpid()}\n")
        yield unclean
        _rewrite(file.fileno(), "")


def holder(state: StateFolder) -> int:
    """The id of the process that holds the state folder, or held it when it was killed; 0: none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(state.lock.read_text("utf-8").split()[1])
    return 0


def _rewrite(descriptor: int, text: str) -> None:
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, text.encode(), 0)


def _first(error: BaseException) -> BaseException:
    """The first single error in nested groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
