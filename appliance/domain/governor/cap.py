"""The month's data: spread over its days, what a day leaves goes to the next, and never more than the cap.

What the internet provider counts is more than the payload that the box counts: headers, acknowledgements,
trackers and the DHT. So `OVERHEAD_PPM` is kept for them, and a little besides, for what is under way when the
end comes.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from appliance.core.units import MonoNs, UtcMs, show_bytes
from appliance.domain.governor.ease import LEAST_UPLOAD, ONE, Cut, Ease, Rule
from appliance.domain.governor.hours import SET_SINCE
from appliance.domain.governor.hysteresis import HOUR_NS, Gate
from appliance.domain.governor.readings import Readings
from appliance.domain.governor.settings import Settings

OVERHEAD_PPM = 50_000
"""Of the payload: 40 to 52 bytes of headers in 1,500 are 3 % (RFC 9293, RFC 8200), acknowledgements of the
other direction and small messages the rest."""
RESERVE_PPM = 5_000
"""Of the cap, never used."""
MOST_RUSH = 3
"""How much faster than evenly a day's part may be used up, as demand has its hours."""
LAST_PPM = 50_000
"""When less than this of the month is left, downloads are slowed down as well."""
LEAST_S = 3 * 3_600
"""... and how long it lasts at least: as rates are set anew each hour, it is never overdrawn."""
TRICKLE = 10
"""A day whose part is used up still sends a tenth of an even rate, out of the next day's part."""
CHANGE_PPM = 200_000
"""A rate is set anew where it would differ by more than this, at most each hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What is remembered; rates are bytes a second, None for no bound."""

    upload: int | None = None
    download: int | None = None
    spent: bool = False
    says: str = ""
    day: int = 0
    """Of the cap's month, when the rates were set."""
    set: MonoNs = MonoNs(0)
    known: bool = False
    """The clock has been right since the cap was first looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """The cap's month: days counted from 1."""

    start: UtcMs
    end: UtcMs
    day: int
    days: int
    left_s: int
    """Seconds to the next midnight."""


def month_of(at: UtcMs, first: int, zone: tzinfo) -> Month:
    """The month that `at` lies in, where months begin on the day `first` at midnight; days may have 23 hours.

    `first` is at most 28, so that every month has it.
    """
    today = datetime.fromtimestamp(at // 1_000, zone).date()
    before = today if today.day >= first else today.replace(day=1) - timedelta(days=1)
    start = before.replace(day=first)
    end = (start.replace(day=1) + timedelta(days=32)).replace(day=first)
    return Month(
        start=_midnight(start, zone),
        end=_midnight(end, zone),
        day=(today - start).days + 1,
        days=(end - start).days,
        left_s=max(1, (_midnight(today + timedelta(days=1), zone) - at) // 1_000),
    )


def _midnight(day: date, zone: tzinfo) -> UtcMs:
    return UtcMs(int(datetime.combine(day, time(), zone).timestamp()) * 1_000)


def look(
    spread: Spread, readings: Readings, base: int, settings: Settings, at: UtcMs, gate: Gate
) -> tuple[Spread, Ease | None]:
    """Take a reading. `base` is what the box would send, in bytes a second."""
    if not settings.month_cap:
        return Spread(), None
    # With a clock that was never set nobody knows the month: what held before goes on.
    if at >= SET_SINCE:
        spread = _plan(spread, readings, base, settings, month_of(at, settings.cap_day, settings.zone), gate)
    return spread, _ease(spread, settings)


def usable(cap: int) -> int:
    """Bytes of payload in a month that stay within a cap, as a provider counts."""
    return cap * (ONE - RESERVE_PPM) // (ONE + OVERHEAD_PPM)


def _plan(
    spread: Spread, readings: Readings, base: int, settings: Settings, month: Month, gate: Gate
) -> Spread:
    total = usable(settings.month_cap)
    used = _used(readings, settings)
    even = max(1, total // (month.days * 86_400))
    today = total * month.day // month.days - used
    if used >= total:
        if spread.spent:
            return spread
        says = (
            f"The month's data, {show_bytes(settings.month_cap)}, is used up; {_what(settings)} until "
            f"{_day(month, settings)}. To go on, raise governor.month_cap."
        )
        return Spread(spent=True, says=says, day=month.day, set=gate.now, known=True)
    rate = max(LEAST_UPLOAD, even // TRICKLE)
    if today > 0:
        rate = max(rate, today // max(month.left_s // MOST_RUSH, min(month.left_s, LEAST_S)))
    upload = download = None
    if settings.cap_counts != "download" and rate < base:
        upload = _round(rate)
    if settings.cap_counts == "download":
        download = _round(rate)
    elif settings.cap_counts == "both" and (total - used) * ONE < total * LAST_PPM:
        download = _round(max(LEAST_UPLOAD, (total - used) // 3_600))
    if not _anew(spread, upload, download, month, gate):
        return spread
    says = ""
    if upload is not None or download is not None:
        # The figure of the day's first rate stays: one sentence a day, and not one an hour.
        says = spread.says if spread.day == month.day and not spread.spent else ""
        says = says or (
            f"{show_bytes(max(0, today))} of the month's data were left for today; the box "
            f"{'fetches' if upload is None else 'sends'} slower so that they last."
        )
    return Spread(upload=upload, download=download, says=says, day=month.day, set=gate.now, known=True)


def _anew(spread: Spread, upload: int | None, download: int | None, month: Month, gate: Gate) -> bool:
    """Whether the rates are set anew: at once where they are twice too high, else each hour at most."""
    pairs = ((spread.upload, upload), (spread.download, download))
    if spread.spent or not spread.known:
        return True
    if any(new is not None and (old is None or old > 2 * new) for old, new in pairs):
        return True
    if not (gate.relax and (spread.day != month.day or gate.now - spread.set >= HOUR_NS)):
        # Lower is not asked of the gate: the cap is kept.
        lower = any(
            new is not None and old is not None and _far(old, new) and new < old for old, new in pairs
        )
        return lower and gate.now - spread.set >= HOUR_NS
    return any((old is None) != (new is None) or _far(old, new) for old, new in pairs)


def _far(old: int | None, new: int | None) -> bool:
    return old is not None and new is not None and abs(old - new) * ONE > old * CHANGE_PPM


def _ease(spread: Spread, settings: Settings) -> Ease | None:
    if spread.spent:
        counts = settings.cap_counts
        cut = Cut(sending=counts == "download", writing=counts == "upload", new_work=counts == "download")
        ease = Ease(rule=Rule.CAP, says=spread.says, cut=cut)
        return Ease(rule=Rule.CAP, says=spread.says, cut=cut, kept=ease)
    if spread.upload is None and spread.download is None:
        return None
    return Ease(rule=Rule.CAP, says=spread.says, cut=Cut(upload=spread.upload, download=spread.download))


def _used(readings: Readings, settings: Settings) -> int:
    up = readings.month_up if settings.cap_counts != "download" else 0
    return up + (readings.month_down if settings.cap_counts != "upload" else 0)


def _what(settings: Settings) -> str:
    return {
        "both": "nothing is sent or fetched",
        "upload": "nothing is sent",
        "download": "nothing is fetched",
    }[settings.cap_counts]


def _day(month: Month, settings: Settings) -> str:
    end = datetime.fromtimestamp(month.end // 1_000, settings.zone)
    return f"{end.day} {_MONTHS[end.month - 1]}"


_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def _round(rate: int) -> int:
    """Two digits, downwards: a rate that is set by a plan needs no more."""
    unit = int(10 ** max(0, len(str(rate)) - 2))
    return rate // unit * unit
