"""What the governor decided over time, as bands of a graph and the lines below it: pure."""

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
    ThrottleRule.TARIFF: "dear power",
    ThrottleRule.QUIET: "quiet hours",
    ThrottleRule.UPLINK: "others at home",
}
_NARROW = 80
"""What lasts less than this part of a graph cannot be told from its neighbour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A time in which one rule eased the box."""

    number: int
    """In the graphs and in the lines below them; 1 is the newest."""
    rule: str
    says: str
    start: int
    """UtcMs; it may lie before the graph."""
    end: int
    """UtcMs; the end of the graph where it still holds."""
    holds: bool
    decisions: int
    """More than 1 where several were too short to be told apart."""


def bands(decisions: Sequence[PastThrottle], start: int, end: int) -> tuple[Band, ...]:
    """The decisions that held between `start` and `end` (UtcMs), newest first.

    Short ones of the same rule that follow each other become one, with the words of the longest.
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
    """Whether two bands of one rule would be seen as one, as one of them is too short, and the gap too."""
    short = min(before.end - seen_from, band.end - band.start) < narrow
    return short and band.start - before.end < narrow


def rule_name(rule: str) -> str:
    """A rule of the governor as its owner calls it; one of a newer daemon stays as it is."""
    return RULES.get(rule, rule)


def words(band: Band, now: int) -> str:
    """When it held and by which rule: `15:00–15:40 heat`; with the day where that is not today's."""
    first = _clock(band.start, now)
    rule = rule_name(band.rule)
    some = f", {band.decisions} decisions" if band.decisions > 1 else ""
    if band.holds:
        return f"since {first} {rule}{some}"
    same_day = _day(band.start) == _day(band.end)
    last = time.strftime("%H:%M", _local(band.end)) if same_day else _clock(band.end, now)
    between = "–" if same_day else " – "
    return f"{first}{between}{last} {rule}{some}"


def _clock(at: int, now: int) -> str:
    form = "%H:%M" if _day(at) == _day(now) else "%d.%m. %H:%M"
    return time.strftime(form, _local(at))


def _day(at: int) -> tuple[int, int]:
    local = _local(at)
    return local.tm_year, local.tm_yday


def _local(at: int) -> time.struct_time:
    return time.localtime(at / 1_000)
