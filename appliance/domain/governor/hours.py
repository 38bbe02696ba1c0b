"""Hours of the day: when power is cheap, and when disks shall rest.

They are times of the clock on the wall: one that the change to summer time skips does not come that day, and
one that the change back repeats comes twice.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo

from appliance.core.errors import OwnerMustAct
from appliance.core.units import UtcMs
from appliance.domain.governor.ease import ONE, Cut, Ease, Rule

DAY_MIN = 1_440
SET_SINCE = UtcMs(1_735_689_600_000)
"""2025-01-01: a clock before it was never set, and tells no time of day."""


@dataclass(frozen=True, slots=True)
class Span:
    """From one time of day to another, in minutes since midnight; with `end` before `start` over midnight."""

    start: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether a time of day lies in it; its end does not."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def parse_spans(key: str, texts: Iterable[str]) -> tuple[Span, ...]:
    """Times of day such as `22:00-06:00`. Raises OwnerMustAct naming `key`."""
    return tuple(_parse(key, text) for text in texts)


def _parse(key: str, text: str) -> Span:
    found = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*", text, re.ASCII)
    if found:
        hour, minute, end_hour, end_minute = map(int, found.groups())
        start, end = 60 * hour + minute, 60 * end_hour + end_minute
        if max(minute, end_minute) < 60 and start < DAY_MIN and end <= DAY_MIN and start != end:
            return Span(start, end)
    raise OwnerMustAct(f'{key} holds "{text[:40]}"; write two different times such as 22:00-06:00.')


def minute_of(at: UtcMs, zone: tzinfo) -> int:
    """The minute of the day, on the wall."""
    local = datetime.fromtimestamp(at // 1_000, zone)
    return 60 * local.hour + local.minute


def share_minutes(spans: tuple[Span, ...]) -> int:
    """How many minutes of a day lie in any of the spans."""
    return sum(any(span.holds(minute) for span in spans) for minute in range(DAY_MIN))


def look(
    cheap: tuple[Span, ...],
    quiet: tuple[Span, ...],
    dear_percent: int,
    spin_down: bool,
    at: UtcMs,
    zone: tzinfo,
) -> Iterator[Ease]:
    """What the hour asks for."""
    if at < SET_SINCE or not (cheap or quiet):
        return
    now = minute_of(at, zone)
    if cheap and dear_percent < 100 and not any(span.holds(now) for span in cheap):
        until = _clock(min((span.start for span in cheap), key=lambda start: (start - now) % DAY_MIN))
        much = f"{dear_percent} % of its upload limit" if dear_percent else "nothing"
        yield Ease(
            rule=Rule.TARIFF,
            says=f"Power is dear at this hour; the box sends {much} until {until}.",
            cut=Cut(upload_ppm=dear_percent * ONE // 100, sending=dear_percent > 0),
        )
    if any(span.holds(now) for span in quiet):
        what = "fetched, checked or sent" if spin_down else "fetched or checked"
        yield Ease(
            rule=Rule.QUIET,
            says=f"These are quiet hours; nothing is {what} until {_clock(_end(quiet, now))}.",
            cut=Cut(writing=False, checking=False, sending=not spin_down),
        )


def _end(spans: tuple[Span, ...], now: int) -> int:
    """When no span holds any more; spans may overlap or follow on each other."""
    minute = now
    for _ in spans:
        minute = next((span.end % DAY_MIN for span in spans if span.holds(minute)), minute)
    return minute


def _clock(minute: int) -> str:
    return f"{minute % DAY_MIN // 60:02}:{minute % 60:02}"
