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
from appliance.core.clock import Clock, SystemClock
from appliance.core.config import Config
from appliance.core.errors import SeedboxError
from appliance.core.logs import set_up
from appliance.core.state import StateFolder
from appliance.entrypoints.daemon.main import REFUSED, holder

log = logging.getLogger(__name__)

STOP_S = 40.0
SHORTEST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0
"""Before a process that has died is started again."""
_PR_SET_PDEATHSIG = 1
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(state: StateFolder, config: Config) -> int:
    """Run the box until Ctrl-C, or until its owner must act; returns the daemon's exit code."""
    set_up(config.box.log_level)
    with _stop_on_signal() as stop:
        processes = _Processes(state)
        try:
            options = []
            if not config.wallet.ledger:
                # Money to try things out with: on this machine alone, and worth what its owner puts in.
                processes.keep_running("ledger")
                options = ["--ledger", _ledger_url(config)]
            processes.start_daemon(*options)
            while not stop.requested and not processes.over():
                processes.restart_the_dead()
                time.sleep(0.2)
        finally:
            processes.terminate()
    return processes.code()


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
        self._daemon: _Restarted | None = None
        self._answered = False
        """Whether the daemon has answered since it was last started."""
        self._with_page = False
        self._others: list[_Restarted] = []

    def start_daemon(self, *options: str) -> None:
        """Start the daemon; the page follows when it answers."""
        self._daemon = _Restarted(self._state, "daemon", options)

    def keep_running(self, command: str) -> None:
        """Start `seedbox COMMAND`, and start it again when it dies."""
        self._others.append(_Restarted(self._state, command))

    def over(self) -> bool:
        """Whether the daemon ended so that another start would help nobody.

        It was told to end, or it says at its start that the owner must act.
        """
        code = self._daemon.process.poll() if self._daemon else 0
        return code == 0 or (code == REFUSED and not self._answered)

    def restart_the_dead(self) -> None:
        """Start again what has died."""
        for other in self._others:
            other.restart_if_dead()
        if self._daemon and self._daemon.restart_if_dead():
            self._answered = False
        if self._daemon and not self._answered and self._daemon.process.poll() is None:
            # Another daemon that holds the folder already would answer in its place.
            self._answered = holder(self._state) == self._daemon.process.pid and _answers(self._state)
        if self._answered and not self._with_page:
            self._with_page = True
            self.keep_running("web")

    def terminate(self) -> None:
        """End all of them, the daemon last."""
        for other in reversed(self._others):
            _terminate(other.process)
        if self._daemon:
            _terminate(self._daemon.process)

    def code(self) -> int:
        """The exit code of the daemon, once it has ended."""
        code = self._daemon.process.returncode if self._daemon else 0
        return code if code >= 0 else 128 - code


class RestartDelay:
    """How long what has died waits for its next start: longer each time, until it lives for a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wait_s = SHORTEST_WAIT_S
        self._died: int | None = None
        self._started = clock.mono()

    def started(self) -> None:
        """Note that it was started at this moment."""
        self._started, self._died = self._clock.mono(), None

    def over(self) -> bool:
        """Whether what is dead now has waited long enough."""
        now = self._clock.mono()
        if self._died is None:
            self._died = now
            if (now - self._started) / 1e9 > LONGEST_WAIT_S:
                self._wait_s = SHORTEST_WAIT_S
        if (now - self._died) / 1e9 < self._wait_s:
            return False
        self._wait_s = min(LONGEST_WAIT_S, self._wait_s * 2)
        return True


@dataclass
class _Restarted:
    """A process that is started again when it dies, later each time."""

    state: StateFolder
    command: str
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] = field(init=False)
    _delay: RestartDelay = field(init=False)

    def __post_init__(self) -> None:
        self._delay = RestartDelay(SystemClock())
        self._start()

    def restart_if_dead(self) -> bool:
        """Start it again if it has died, and has waited for its turn; whether it was."""
        if self.process.poll() is None or not self._delay.over():
            return False
        log.warning(
            "seedbox %s ended (exit code %s) and was started again", self.command, self.process.returncode
        )
        self._start()
        return True

    def _start(self) -> None:
        self._delay.started()
        self.process = _start(self.state, self.command, *self.options)


def _start(state: StateFolder, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "appliance.entrypoints.cli", "--state", str(state.path), *arguments],
        preexec_fn=_die_with_parent,
    )


def _die_with_parent() -> None:
    """A child must not outlive us, however we end (prctl(2)); nor does Ctrl-C reach it before us."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    os.setpgid(0, 0)


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
