"""What the panel asks of the daemon, in a thread of its own: one that hangs must not freeze the light."""

import queue
import threading
from collections.abc import Callable, Mapping
from typing import Any

from appliance.control import machine as api
from appliance.control.client import ControlClient
from appliance.control.command import Command
from appliance.core.clock import Clock
from appliance.core.errors import SeedboxError
from appliance.entrypoints.panel.button import Action
from appliance.entrypoints.panel.light import DaemonState, Show

POLL_S = 2.0
ANSWER_S = 5.0
"""How long an answer may take."""

_COMMANDS: Mapping[Action, Callable[[], Command[api.Done]]] = {
    Action.SHOW_YOURSELF: api.ShowYourself,
    Action.SHUT_DOWN: api.ShutDown,
    Action.RESET: api.ResetSettings,
}


class DaemonTalk:
    """Asks every two seconds what to show, and passes on what the button asks for."""

    def __init__(
        self, client: ControlClient, clock: Clock, power_off: Callable[[], bool], say: Callable[[str], None]
    ) -> None:
        """`power_off` asks systemd to switch the machine off, for a daemon that cannot be asked."""
        self._client = client
        self._clock = clock
        self._power_off = power_off
        self._say = say
        self._wanted: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._trouble = ""
        self.state: DaemonState | None = None
        """What the daemon last answered; None: nothing yet."""

    def start(self) -> None:
        """Talk until the process ends."""
        threading.Thread(target=self._run, name="talk", daemon=True).start()

    def ask(self, action: Action) -> None:
        """Pass on what the owner wants; does not wait."""
        self._wanted.put(action)

    def _run(self) -> None:
        while True:
            self.turn(POLL_S)

    def turn(self, seconds: float) -> None:
        """Ask what to show, then wait up to `seconds` for something to pass on, and pass it on."""
        self._poll()
        try:
            action = self._wanted.get(timeout=seconds)
        except queue.Empty:
            return
        self._pass_on(action)

    def _poll(self) -> None:
        answer = self._call(api.GetPanel())
        if answer is not None:
            self.state = DaemonState(Show(answer.light), self._clock.mono())

    def _pass_on(self, action: Action) -> None:
        answer = self._call(_COMMANDS[action]())
        if answer is not None:
            self._say(answer.sentence)
        elif action is Action.SHUT_DOWN:
            # The daemon is away, or hangs. Systemd ends it in order, as far as it can, before the power goes.
            self._say(
                "The daemon does not answer; the machine shuts down without it."
                if self._power_off()
                else "The daemon does not answer, and the panel has no permission to shut down this machine."
            )

    def _call(self, command: Command[Any]) -> Any:
        """The answer, or None; an error is shown once, not every two seconds."""
        try:
            answer = self._client.call(command)
        except SeedboxError as error:
            if str(error) != self._trouble:
                self._trouble = str(error)
                self._say(self._trouble)
            return None
        self._trouble = ""
        return answer
