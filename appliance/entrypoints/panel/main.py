"""`seedbox panel`: the light and the button as a process of its own."""

import sys
import time
from collections.abc import Callable
from typing import Protocol

from appliance.control.client import ControlClient
from appliance.core.clock import Clock, SystemClock
from appliance.core.config import Config
from appliance.core.power import power_off
from appliance.core.process import notify, serve_until_told
from appliance.core.state import StateFolder
from appliance.core.units import MonoNs
from appliance.entrypoints.panel.button import Action, Button, sampled
from appliance.entrypoints.panel.daemon import ANSWER_S, DaemonTalk
from appliance.entrypoints.panel.light import DaemonState, Feedback, Show, choose, shine
from appliance.entrypoints.panel.pins import NoGpio, PinContact, Pins, open_pins

LOOK_S = 0.08
"""Between two looks at a button that nobody presses: hardly a tap of a finger is shorter."""
PRESSED_S = 0.02
"""Between two looks at one that is pressed."""
IDLE_S = 1.0
"""The longest rest: what the daemon says may have changed."""
_SAID_NS = {Action.SHOW_YOURSELF: 5 * 10**9, Action.RESET: 3 * 10**9, Action.SHUT_DOWN: 60 * 10**9}


class TalksToDaemon(Protocol):
    """Whoever talks to the daemon."""

    state: DaemonState | None
    """What it last answered; None: nothing yet."""

    def ask(self, action: Action) -> None:
        """Pass on what the owner wants."""
        ...


class LightAndButton:
    """The light and the button, turn by turn."""

    def __init__(
        self, pins: Pins, talk: TalksToDaemon, clock: Clock, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """`sleep` lets so many seconds of `clock` go by."""
        self._pins = pins
        self._sleep = sleep
        self._talk = talk
        self._clock = clock
        self._began = clock.mono()
        self._button = Button()
        self._feedback: Feedback | None = None
        self._level: int | None = None

    def run(self) -> None:
        """Serve light and button for ever."""
        while True:
            self.turn()

    def turn(self) -> None:
        """Look at the button, set the light, and rest until there is something to do."""
        now, contact = self._clock.mono(), self._pins.contact
        if contact:
            self._look(contact.closed(), now)
        rest = min(IDLE_S, self._light(now))
        if contact and not self._button.at_rest:
            self._sleep(min(rest, PRESSED_S))
        elif contact:
            self._rest(contact, rest)
        else:
            self._sleep(rest)

    def _light(self, now: MonoNs) -> float:
        """Set the light; returns after how many seconds it changes."""
        if self._pins.lamp is None:
            return IDLE_S
        show, since = choose(self._began, self._talk.state, self._button, self._feedback, now)
        level, change = shine(show, now - since)
        if level != self._level:
            self._level = level
            self._pins.lamp.shine(level)
        return IDLE_S if change is None else change / 1e9

    def _rest(self, contact: PinContact, seconds: float) -> None:
        """Do nothing for so long, or until the button is pressed; short, as all its time is spent here."""
        while seconds > LOOK_S:
            self._sleep(LOOK_S)
            if contact.closed():
                return
            seconds -= LOOK_S
        self._sleep(seconds)

    def _look(self, closed: bool, now: MonoNs) -> None:
        self._button, action = sampled(self._button, closed, now)
        if action is None:
            return
        said = Show.LEAVING if action is Action.SHUT_DOWN else Show.PRESSED
        self._feedback = Feedback(said, now, MonoNs(now + _SAID_NS[action]))
        self._talk.ask(action)

    def close(self) -> None:
        """Go dark, and leave the pins."""
        for part in (self._pins.lamp, self._pins.contact):
            if part:
                part.close()


def serve(state: StateFolder, config: Config) -> int:
    """Serve the light and the button until SIGTERM; returns the exit code.

    A machine without pins is no fault: the panel says so and ends. Raises OwnerMustAct for a pin that cannot
    be had.
    """
    try:
        pins = open_pins(config.panel)
    except NoGpio as none:
        text = f"No light or button here: {none}."
        _say(text)
        notify(f"READY=1\nSTATUS={text}")
        return 0
    client, clock = ControlClient(state.control_socket, ANSWER_S), SystemClock()
    talk = DaemonTalk(client, clock, power_off, _say)
    panel = LightAndButton(pins, talk, clock)
    talk.start()
    _say(f"Panel running: light on pin {config.panel.led}, button on pin {config.panel.button} (-1: none).")
    serve_until_told(panel, "The light and the button are in use.")
    return 0


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
