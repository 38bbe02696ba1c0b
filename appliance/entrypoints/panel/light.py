"""What the light shows, as brightness over time: pure, from what is known and since when."""

from dataclasses import dataclass
from enum import StrEnum

from appliance.core.units import MonoNs
from appliance.entrypoints.panel.button import RESET_NS, SHUT_DOWN_NS, Button, held

START_NS = 60 * 10**9
"""So long after the panel's own start a daemon that has not answered yet is starting, not silent."""
SILENT_NS = 8 * 10**9
"""A daemon that answered once and then not for so long is silent: four questions and more."""
_MS = 1_000_000


class Show(StrEnum):
    """What the light shows; the value is the daemon's word for it where the daemon has one."""

    WELL = "well"
    """All is well."""
    BUSY = "busy"
    """The box is starting, or checking data."""
    NEEDS_YOU = "needs-you"
    """Something is wrong that only the owner can mend."""
    SOLD_OUT = "sold-out"
    """Well, and every slot is sold."""
    SILENT = "silent"
    """The daemon does not answer."""
    PRESSED = "pressed"
    """The button was pressed: this is the box that it belongs to."""
    COUNTDOWN = "countdown"
    """Let go now, and the box shuts down; hold on, and its settings are reset."""
    LET_GO = "let-go"
    """Let go now, and the settings are reset."""
    LEAVING = "leaving"
    """The box saves everything and shuts down; the light goes out with it."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """Steps of (brightness in per cent, milliseconds)."""

    steps: tuple[tuple[int, int], ...]
    again: bool = True
    """From the first step, over and over; else the last one stays."""


def _breath() -> tuple[tuple[int, int], ...]:
    """Up, a rest, down, a longer rest.

    Few steps, as each wakes the processor; squares, as the eye sees ratios and not differences.
    """
    rising = tuple((100 * n * n // 100, 110) for n in range(1, 10))
    return (*rising, (100, 500), *reversed(rising), (0, 1_000))


def _faster() -> tuple[tuple[int, int], ...]:
    """One flash in the first second, two in the second, and so on: seven seconds, then steady."""
    seconds = (RESET_NS - SHUT_DOWN_NS) // 10**9
    flashes = [half for n in range(1, seconds + 1) for half in [(100, 500 // n), (0, 500 // n)] * n]
    return (*flashes, (100, 0))


_PATTERNS = {
    Show.WELL: Pattern(((100, 0),), again=False),
    Show.BUSY: Pattern(((100, 1_000), (0, 1_000))),
    Show.NEEDS_YOU: Pattern(((100, 125), (0, 125))),
    Show.SOLD_OUT: Pattern(_breath()),
    # Two short flashes and a long darkness: like nothing that the daemon says.
    Show.SILENT: Pattern(((100, 100), (0, 200), (100, 100), (0, 1_600))),
    Show.PRESSED: Pattern((*((100, 80), (0, 80)) * 4, (0, 400))),
    Show.COUNTDOWN: Pattern(_faster(), again=False),
    Show.LET_GO: Pattern(((100, 0),), again=False),
    Show.LEAVING: Pattern(((100, 900), (0, 100))),
}


def pattern(show: Show) -> Pattern:
    """The pattern for something."""
    return _PATTERNS[show]


def shine(show: Show, elapsed: int) -> tuple[int, int | None]:
    """(brightness in per cent, nanoseconds until it changes or None) `elapsed` ns after it began."""
    steps = _PATTERNS[show].steps
    if _PATTERNS[show].again:
        elapsed %= sum(lasts for _, lasts in steps) * _MS
    for level, lasts in steps:
        if elapsed < lasts * _MS:
            return level, lasts * _MS - elapsed
        elapsed -= lasts * _MS
    return steps[-1][0], None


@dataclass(frozen=True, slots=True)
class DaemonState:
    """What the daemon last answered, and when."""

    show: Show
    at: MonoNs


@dataclass(frozen=True, slots=True)
class Feedback:
    """What the light shows for a while because the button was pressed."""

    show: Show
    at: MonoNs
    until: MonoNs


def choose(
    began: MonoNs, daemon: DaemonState | None, button: Button, feedback: Feedback | None, now: MonoNs
) -> tuple[Show, MonoNs]:
    """What to show at `now`, and since when, for what has its own beginning.

    The hand on the button comes first, then what it asked for, then the daemon.
    """
    if (hold := held(button, now)) >= RESET_NS:
        return Show.LET_GO, now
    if hold >= SHUT_DOWN_NS:
        return Show.COUNTDOWN, MonoNs(now - hold + SHUT_DOWN_NS)
    if feedback and now < feedback.until:
        return feedback.show, feedback.at
    return _by_daemon(began, daemon, now), MonoNs(0)


def _by_daemon(began: MonoNs, daemon: DaemonState | None, now: MonoNs) -> Show:
    if daemon is None:
        return Show.BUSY if now - began < START_NS else Show.SILENT
    return daemon.show if now - daemon.at < SILENT_NS else Show.SILENT
