"""Spans of the day, such as `22:00-06:00`, as owners write them and as rules ask for them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.core.errors import OwnerMustAct

DAY_MIN = 1_440


@dataclass(frozen=True, slots=True)
class HourSpan:
    """From one time of day to another, in minutes since midnight; with `end` before `start` over midnight."""

    start: int
    end: int

    def holds(self, minute: int) -> bool:
        """Whether a time of day lies in it; its end does not."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end


def parse_spans(key: str, texts: Iterable[str]) -> tuple[HourSpan, ...]:
    """Times of day such as `22:00-06:00`. Raises OwnerMustAct naming `key`."""
    return tuple(_parse(key, text) for text in texts)


def _parse(key: str, text: str) -> HourSpan:
    span = _span(text)
    if span is None:
        raise OwnerMustAct(f'{key} holds "{text[:40]}"; write two different times such as 22:00-06:00.')
    return span


def _span(text: str) -> HourSpan | None:
    found = re.fullmatch(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*", text, re.ASCII)
    if not found:
        return None
    hour, minute, end_hour, end_minute = map(int, found.groups())
    start, end = 60 * hour + minute, 60 * end_hour + end_minute
    possible = max(minute, end_minute) < 60 and start < DAY_MIN and end <= DAY_MIN
    return HourSpan(start, end) if possible and start != end else None


def share_minutes(spans: tuple[HourSpan, ...]) -> int:
    """How many minutes of a day lie in any of the spans."""
    return sum(lies_in(spans, minute) for minute in range(DAY_MIN))


def lies_in(spans: tuple[HourSpan, ...], minute: int) -> bool:
    """Whether a time of day, in minutes since midnight, lies in any of the spans."""
    return any(span.holds(minute) for span in spans)
