"""Times of throttling, as bands of a graph and as lines of the list below it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from appliance.control.machine import PastThrottle, ThrottleRule

MOST_SHOWN = 8
RULES: dict[str, str] = {
    ThrottleRule.HEAT: "heat",
    ThrottleRule.UNDER_VOLTAGE: "weak power supply",
    ThrottleRule.UPS: "battery",
    ThrottleRule.IO: "busy disks",
    ThrottleRule.MEMORY: "memory",
    ThrottleRule.ROOM: "full disks",
    ThrottleRule.CAP: "data allowance",
    ThrottleRule.TARIFF: "expensive hours",
    ThrottleRule.QUIET: "quiet hours",
    ThrottleRule.UPLINK: "others at home",
}
_NARROW = 80
"""A band shorter than this fraction of a graph cannot be told from its neighbour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A time in which one rule throttled the box."""

    number: int
    """Its number in the graphs and the list below them; 1 is the newest."""
    rule: str
    says: str
    start: int
    """UtcMs; may be before the graph."""
    end: int
    """UtcMs; the end of the graph if it has not ended."""
    holds: bool
    decisions: int
    """More than 1 if several were too short to be told apart."""


def bands(decisions: Sequence[PastThrottle], start: int, end: int) -> tuple[Band, ...]:
    """The decisions in force between `start` and `end` (UtcMs), newest first.

    Short ones of the same rule that follow each other are merged, with the reason of the longest.
    """
    narrow = (end - start) // _NARROW
    found: list[Band] = []
    last: dict[str, int] = {}
    longest: dict[str, int] = {}
    for one in sorted(decisions, key=lambda one: one.at):
        until = one.until or end
        if until <= start or one.at >= end:
            continue
        length, place = until - one.at, last.get(one.rule)
        band = Band(
            number=0, rule=one.rule, says=one.says, start=one.at, end=until, holds=not one.until, decisions=1
        )
        if place is None or not _alike(found[place], band, max(start, found[place].start), narrow):
            last[one.rule], longest[one.rule] = len(found), length
            found.append(band)
            continue
        before = found[place]
        found[place] = replace(
            before,
            says=band.says if length > longest[one.rule] else before.says,
            end=max(before.end, band.end),
            holds=before.holds or band.holds,
            decisions=before.decisions + 1,
        )
        longest[one.rule] = max(length, longest[one.rule])
    found.sort(key=lambda band: band.start, reverse=True)
    return tuple(replace(band, number=number) for number, band in enumerate(found, 1))


def _alike(before: Band, band: Band, seen_from: int, narrow: int) -> bool:
    """Whether two bands of one rule would look like one, as one of them and the gap are too short."""
    short = min(before.end - seen_from, band.end - band.start) < narrow
    return short and band.start - before.end < narrow


def rule_name(rule: str) -> str:
    """A rule of the governor in words; one of a newer daemon stays as it is, without its hyphens."""
    return RULES.get(rule, rule.replace("-", " "))


def words(band: Band, now: int) -> str:
    """When a band was, and its rule: `15:00–15:40 heat`; with the day if it is not today."""
    first = _clock(band.start, now)
    rule = rule_name(band.rule)
    some = f", {band.decisions} times" if band.decisions > 1 else ""
    if band.holds:
        return f"since {first} {rule}{some}"
    return f"{first}{_until(band, now)} {rule}{some}"


def _until(band: Band, now: int) -> str:
    same_day = _day(band.start) == _day(band.end)
    last = time.strftime("%H:%M", _local(band.end)) if same_day else _clock(band.end, now)
    between = "–" if same_day else " – "
    return f"{between}{last}"


def _clock(at: int, now: int) -> str:
    form = "%H:%M" if _day(at) == _day(now) else "%-d %b %H:%M"
    return time.strftime(form, _local(at))


def _day(at: int) -> tuple[int, int]:
    local = _local(at)
    return local.tm_year, local.tm_yday


def _local(at: int) -> time.struct_time:
    return time.localtime(at / 1_000)
