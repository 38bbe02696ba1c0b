"""The button: from samples of its contact to what the owner wants. Pure; all times are monotonic.

Shorter than a second: show yourself. Three seconds: shut down. Ten: reset the settings. Everything happens
when the button is let go, so that a hand can still change its mind, and furniture never does any harm.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from appliance.core.units import MonoNs

STEADY_NS = 30_000_000
"""A contact bounces for some milliseconds; what lasts so long is meant."""
SHORT_NS = 1_000_000_000
SHUT_DOWN_NS = 3_000_000_000
RESET_NS = 10_000_000_000
STUCK_NS = 30_000_000_000
"""No hand presses for so long: something leans on the button, or it is broken."""
UNSEEN_NS = 500_000_000
"""Between two samples of a press; after a longer gap nobody knows whether it was held all the time."""


class Action(StrEnum):
    """What the owner wants."""

    SHOW_YOURSELF = "show-yourself"
    SHUT_DOWN = "shut-down"
    RESET = "reset"


_MEANINGS = (
    (SHORT_NS, Action.SHOW_YOURSELF),
    (SHUT_DOWN_NS, None),
    (RESET_NS, Action.SHUT_DOWN),
    (STUCK_NS, Action.RESET),
    (math.inf, None),
)
"""(nanoseconds, what a press means that is shorter), the shortest first."""


@dataclass(frozen=True, slots=True)
class Button:
    """What is known of the button.

    It does nothing before it was seen released: who holds it while the box starts, or a contact that is
    stuck from the start, asks for nothing.
    """

    contact: bool = True
    """Closed at the last sample."""
    since: MonoNs = MonoNs(0)
    """When the first sample in a row said so."""
    seen: MonoNs = MonoNs(0)
    """When the last sample was taken."""
    pressed: MonoNs | None = None
    """Since when it is pressed; None: it is not, or the press does not count."""
    armed: bool = False
    """It was seen released, so the next press counts."""

    @property
    def at_rest(self) -> bool:
        """It is released, and nothing is going on: looking at it less often misses nothing of a press."""
        return self.armed and not self.contact


def sampled(button: Button, closed: bool, now: MonoNs) -> tuple[Button, Action | None]:
    """The button after a look at its contact at `now`, and what its owner wants, if anything."""
    busy = button.contact or button.pressed is not None
    if busy and now - button.seen > UNSEEN_NS:
        # Whatever was going on does not count, and it must be seen released anew.
        return Button(contact=closed, since=now, seen=now), None
    if closed != button.contact:
        return replace(button, contact=closed, since=now, seen=now), None
    button = replace(button, seen=now)
    if now - button.since < STEADY_NS:
        return button, None
    return (_closed(button), None) if closed else _opened(button)


def _closed(button: Button) -> Button:
    """The button, once its contact has been closed for long enough to be meant."""
    begins = button.armed and button.pressed is None
    return replace(button, pressed=button.since, armed=False) if begins else button


def _opened(button: Button) -> tuple[Button, Action | None]:
    """The button, once its contact has been open for long enough, and what the press before it meant."""
    action = None if button.pressed is None else _meant(button.since - button.pressed)
    return replace(button, pressed=None, armed=True), action


def held(button: Button, now: MonoNs) -> int:
    """The time that it has been held, in nanoseconds; 0 where nothing comes of it."""
    if button.pressed is None:
        return 0
    lasted = (now if button.contact else button.since) - button.pressed
    return lasted if lasted < STUCK_NS else 0


def _meant(lasted: int) -> Action | None:
    """What a press means that lasted for so many nanoseconds."""
    return next(action for most, action in _MEANINGS if lasted < most)
