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

from appliance.control.box import SayHello
from appliance.control.client import ControlClient, DaemonAway
from appliance.core.config import Config
from appliance.core.errors import SeedboxError
from appliance.core.logs import set_up
from appliance.core.state import StateFolder

log = logging.getLogger(__name__)

START_S = 120.0
"""A database that is checked on a slow card may take a while."""
STOP_S = 40.0
SHORTEST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
"""Before a process that has died is started again."""
_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(state: StateFolder, config: Config) -> int:
    """Run the box until Ctrl-C; returns the daemon's exit code."""
    set_up(config.box.log_level)
    with _stop_on_signal() as stop:
        processes = _Processes(state)
        try:
            options = []
            if not config.wallet.ledger:
                # Money to try things out with: on this machine alone, and worth what its owner puts in.
                processes.keep_running("ledger")
                options = ["--ledger", _ledger_url(config)]
            daemon = processes.start_daemon(*options)
            if _wait_for_daemon(state, daemon, stop):
                processes.keep_running("web")
            while daemon.poll() is None and not stop.requested:
                processes.restart_the_dead()
                time.sleep(0.2)
        finally:
            processes.terminate()
    return daemon.returncode if daemon.returncode >= 0 else 128 - daemon.returncode


def _ledger_url(config: Config) -> str:
    address, port = config.ledger.address, config.ledger.port
    return f"http://[{address}]:{port}" if ":" in address else f"http://{address}:{port}"


@dataclass
class _Stop:
    """Whether somebody asked for the end."""

    requested: bool = False


class _Processes:
    """The daemon, and the processes beside it."""

    def __init__(self, state: StateFolder) -> None:
        self._state = state
        self._daemon: subprocess.Popen[bytes] | None = None
        self._others: list[_Restarted] = []

    def start_daemon(self, *options: str) -> subprocess.Popen[bytes]:
        """Start the daemon."""
        self._daemon = _start(self._state, "daemon", *options)
        return self._daemon

    def keep_running(self, command: str) -> None:
        """Start `seedbox COMMAND`, and start it again when it dies."""
        self._others.append(_Restarted(self._state, command))

    def restart_the_dead(self) -> None:
        """Start again what has died."""
        for other in self._others:
            other.restart_if_dead()

    def terminate(self) -> None:
        """End all of them, the daemon last."""
        for other in reversed(self._others):
            _terminate(other.process)
        if self._daemon is not None:
            _terminate(self._daemon)


@dataclass
class _Restarted:
    """A process beside the daemon: when it dies it is started again, later each time."""

    state: StateFolder
    command: str
    process: subprocess.Popen[bytes] = field(init=False)
    _wait: float = SHORTEST_WAIT_S
    _since: float = 0.0

    def __post_init__(self) -> None:
        self._start()

    def restart_if_dead(self) -> None:
        """Start it again if it has died, and has waited for its turn."""
        if self.process.poll() is None:
            return
        lived = time.monotonic() - self._since
        if lived < self._wait:
            return
        log.warning(
            "seedbox %s ended (exit code %s) and was started again", self.command, self.process.returncode
        )
        self._wait = SHORTEST_WAIT_S if lived > LONGEST_WAIT_S else min(LONGEST_WAIT_S, self._wait * 2)
        self._start()

    def _start(self) -> None:
        self._since = time.monotonic()
        self.process = _start(self.state, self.command)


def _start(state: StateFolder, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "appliance.entrypoints.cli", "--state", str(state.path), *arguments],
        preexec_fn=_die_with_parent,
    )


def _die_with_parent() -> None:
    """A child must not outlive us, however we end (prctl(2)); nor does Ctrl-C reach it before us."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.setpgid(0, 0)


def _wait_for_daemon(state: StateFolder, daemon: subprocess.Popen[bytes], stop: _Stop) -> bool:
    """Wait until the daemon answers; False where it ended instead."""
    deadline = time.monotonic() + START_S
    while daemon.poll() is None and not stop.requested and time.monotonic() < deadline:
        if _answers(state):
            return True
        time.sleep(0.05)
    return False


def _answers(state: StateFolder) -> bool:
    try:
        with ControlClient(state.control_socket, timeout=5) as client:
            client.call(SayHello())
    except DaemonAway:
        return False
    except SeedboxError as error:
        log.error("%s", error)
    return True


def _terminate(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            log.error("a process did not end within %g seconds and was killed", STOP_S)
            child.kill()
            child.wait()


@contextlib.contextmanager
def _stop_on_signal() -> Iterator[_Stop]:
    stop = _Stop()

    def request(number: int, frame: object) -> None:
        stop.requested = True

    before = {number: signal.signal(number, request) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
