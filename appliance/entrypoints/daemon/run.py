"""`seedbox run`: everything a newcomer needs, in the foreground: daemon, page and ledger, watched over."""

import contextlib
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from appliance.control.api import SayHello
from appliance.control.client import ControlClient, DaemonAway
from appliance.core.config import Config
from appliance.core.errors import SeedboxError
from appliance.core.logs import set_up
from appliance.core.state import StateFolder

log = logging.getLogger(__name__)

START_S = 120.0
"""A database that is checked on a slow card may take a while."""
STOP_S = 40.0
_PR_SET_PDEATHSIG = 1


def run(state: StateFolder, config: Config) -> int:
    """Run the box until Ctrl-C; returns the daemon's exit code."""
    set_up(config.box.log_level)
    helpers: list[_Helper] = []
    with _stoppable() as stop:
        words = ["daemon"]
        if not config.wallet.ledger:
            # Money to try things out with: on this machine alone, and worth what its owner puts in.
            host = f"[{config.ledger.address}]" if ":" in config.ledger.address else config.ledger.address
            words += ["--ledger", f"http://{host}:{config.ledger.port}"]
            helpers.append(_Helper(state, "ledger"))
        daemon = _start(state, *words)
        try:
            if _answers(state, daemon, stop):
                helpers.append(_Helper(state, "web"))
            while daemon.poll() is None and not stop.wanted:
                for helper in helpers:
                    helper.keep()
                time.sleep(0.2)
        finally:
            for child in (*[helper.process for helper in reversed(helpers)], daemon):
                _end(child)
    return daemon.returncode if daemon.returncode >= 0 else 128 - daemon.returncode


@dataclass
class _Stop:
    """Whether somebody asked for the end."""

    wanted: bool = False


@dataclass
class _Helper:
    """A process beside the daemon: when it dies it is started again, later and later."""

    state: StateFolder
    command: str
    process: subprocess.Popen[bytes] = field(init=False)
    _wait: float = 1.0
    _since: float = 0.0

    def __post_init__(self) -> None:
        self._begin()

    def keep(self) -> None:
        """Start it again if it has died."""
        if self.process.poll() is None:
            return
        lived = time.monotonic() - self._since
        if lived < self._wait:
            return
        log.warning(
            "seedbox %s ended (exit code %s) and is started again", self.command, self.process.returncode
        )
        self._wait = 1.0 if lived > 60 else min(60.0, self._wait * 2)
        self._begin()

    def _begin(self) -> None:
        self._since = time.monotonic()
        self.process = _start(self.state, self.command)


def _start(state: StateFolder, *words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "appliance.entrypoints.cli", "--state", str(state.path), *words],
        preexec_fn=_die_with_parent,
    )


def _die_with_parent() -> None:
    """A child must not outlive us, however we end (prctl(2)); nor does Ctrl-C reach it before us."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.setpgid(0, 0)


def _answers(state: StateFolder, daemon: subprocess.Popen[bytes], stop: _Stop) -> bool:
    """Wait until the daemon answers; False where it ended instead."""
    deadline = time.monotonic() + START_S
    while daemon.poll() is None and not stop.wanted and time.monotonic() < deadline:
        with contextlib.suppress(DaemonAway), ControlClient(state.control_socket, timeout=5) as client:
            try:
                client.call(SayHello())
            except DaemonAway:
                raise
            except SeedboxError as error:
                log.error("%s", error)
            return True
        time.sleep(0.05)
    return False


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            log.error("a process did not end within %g seconds and was killed", STOP_S)
            child.kill()
            child.wait()


@contextlib.contextmanager
def _stoppable() -> Iterator[_Stop]:
    stop = _Stop()

    def ask(number: int, frame: object) -> None:
        stop.wanted = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
