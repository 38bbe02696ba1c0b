"""The month's data: spread over its days, what a day leaves goes to the next, and never more than the cap.

What the internet provider counts is more than the payload that the box counts: headers, acknowledgements,
trackers and the DHT. So `OVERHEAD_PPM` is kept for them, and a little besides, for what is under way when the
end comes.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo

from appliance.core.units import MonoNs, UtcMs, show_bytes
from appliance.domain.governor.hours import SET_SINCE
from appliance.domain.governor.hysteresis import HOUR_NS, Gate
from appliance.domain.governor.readings import Readings
from appliance.domain.governor.settings import Counts, GovernorSettings
from appliance.domain.governor.throttle import LEAST_UPLOAD, ONE, Cut, Throttle, ThrottleRule, always

OVERHEAD_PPM = 50_000
"""Overhead on top of the payload: 40 to 52 bytes of headers in 1,500 are 3 % (RFC 9293, RFC 8200), and
acknowledgements of the other direction and small messages are the rest."""
RESERVE_PPM = 5_000
"""The part of the cap that is never used."""
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
class AllowanceState:
    """What is remembered; rates are bytes a second, None for no bound."""

    upload: int | None = None
    download: int | None = None
    spent: bool = False
    says: str = ""
    day: int = 0
    """The day of the cap's month on which the rates were set."""
    set: MonoNs = MonoNs(0)
    known: bool = False
    """The clock has been right since the cap was first looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CapMonth:
    """The cap's month: days counted from 1."""

    start: UtcMs
    end: UtcMs
    day: int
    days: int
    left_s: int
    """Seconds to the next midnight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Budget:
    """What is left of the month's data, in bytes of payload."""

    total: int
    left: int
    today: int
    """What today's part and the days before have left; below zero where they were overdrawn."""
    rate: int
    """Bytes a second that today may be used at."""

    @property
    def nearly_over(self) -> bool:
        """Whether so little is left that downloads must be slowed down as well."""
        return self.left * ONE < self.total * LAST_PPM


_Rates = tuple[int | None, int | None]
"""Upload and download, in bytes a second; None: no bound."""


def month_of(at: UtcMs, first: int, zone: tzinfo) -> CapMonth:
    """The month that `at` lies in, where months begin on the day `first` at midnight; days may have 23 hours.

    `first` is at most 28, so that every month has it.
    """
    today = datetime.fromtimestamp(at // 1_000, zone).date()
    before = today if today.day >= first else today.replace(day=1) - timedelta(days=1)
    start = before.replace(day=first)
    end = (start.replace(day=1) + timedelta(days=32)).replace(day=first)
    return CapMonth(
        start=_midnight(start, zone),
        end=_midnight(end, zone),
        day=(today - start).days + 1,
        days=(end - start).days,
        left_s=max(1, (_midnight(today + timedelta(days=1), zone) - at) // 1_000),
    )


def _midnight(day: date, zone: tzinfo) -> UtcMs:
    return UtcMs(int(datetime.combine(day, time(), zone).timestamp()) * 1_000)


def assess(
    state: AllowanceState, readings: Readings, base: int, settings: GovernorSettings, at: UtcMs, gate: Gate
) -> tuple[AllowanceState, list[Throttle]]:
    """Take a reading: the next state, and what throttles the box.

    `base` is what the box would send, in bytes a second.
    """
    if not settings.month_cap:
        return AllowanceState(), []
    # With a clock that was never set nobody knows the month: what held before goes on.
    if at >= SET_SINCE:
        month = month_of(at, settings.cap_day, settings.zone)
        state = _planned(state, _budget(readings, settings, month), base, settings, month, gate)
    return state, _throttle(state, settings.cap_counts)


def usable(cap: int) -> int:
    """Bytes of payload in a month that stay within a cap, as a provider counts."""
    return cap * (ONE - RESERVE_PPM) // (ONE + OVERHEAD_PPM)


def _budget(readings: Readings, settings: GovernorSettings, month: CapMonth) -> _Budget:
    total = usable(settings.month_cap)
    used = _used(readings, settings.cap_counts)
    today = total * month.day // month.days - used
    trickle = max(LEAST_UPLOAD, total // (month.days * 86_400) // TRICKLE)
    lasts_s = max(month.left_s // MOST_RUSH, min(month.left_s, LEAST_S))
    return _Budget(total=total, left=total - used, today=today, rate=max(trickle, today // lasts_s))


def _used(readings: Readings, counts: Counts) -> int:
    counted = {
        "both": readings.month_up + readings.month_down,
        "upload": readings.month_up,
        "download": readings.month_down,
    }
    return counted[counts]


def _planned(
    state: AllowanceState, budget: _Budget, base: int, settings: GovernorSettings, month: CapMonth, gate: Gate
) -> AllowanceState:
    if budget.left <= 0:
        return state if state.spent else _spent(settings, month, gate)
    rates = _rates(budget, base, settings.cap_counts)
    if not _due(state, rates, month, gate):
        return state
    says = _says(budget, rates, _said_today(state, month))
    upload, download = rates
    return AllowanceState(
        upload=upload, download=download, says=says, day=month.day, set=gate.now, known=True
    )


def _said_today(state: AllowanceState, month: CapMonth) -> str:
    """The figure of the day's first rate stays: one sentence a day, and not one an hour."""
    same_day = state.day == month.day and not state.spent
    return state.says if same_day else ""


def _rates(budget: _Budget, base: int, counts: Counts) -> _Rates:
    """The rates that make the month's data last; `base` is what the box would send."""
    if counts == "download":
        return None, _round(budget.rate)
    upload = _round(budget.rate) if budget.rate < base else None
    slowed = counts == "both" and budget.nearly_over
    return upload, _round(max(LEAST_UPLOAD, budget.left // 3_600)) if slowed else None


def _due(state: AllowanceState, rates: _Rates, month: CapMonth, gate: Gate) -> bool:
    """Whether the rates are set anew: at once where they are twice too high, else each hour at most."""
    pairs = tuple(zip((state.upload, state.download), rates, strict=True))
    fresh = state.spent or not state.known
    if fresh or _any(_twice_too_high, pairs):
        return True
    hour_over = gate.now - state.set >= HOUR_NS
    new_day = state.day != month.day
    if gate.relax and (hour_over or new_day):
        return _any(_differs, pairs)
    # Lower is not asked of the gate: the cap is kept.
    return hour_over and _any(_lower, pairs)


def _any(
    test: Callable[[int | None, int | None], bool], pairs: Iterable[tuple[int | None, int | None]]
) -> bool:
    return any(test(old, new) for old, new in pairs)


def _twice_too_high(old: int | None, new: int | None) -> bool:
    return new is not None and (old is None or old > 2 * new)


def _differs(old: int | None, new: int | None) -> bool:
    if old is None or new is None:
        return old is not new
    return abs(old - new) * ONE > old * CHANGE_PPM


def _lower(old: int | None, new: int | None) -> bool:
    return old is not None and new is not None and new < old and _differs(old, new)


# --------------------------------------------------------------------------------------------- in words


def _says(budget: _Budget, rates: _Rates, before: str) -> str:
    if rates == (None, None):
        return ""
    what = "downloads" if rates[0] is None else "upload"
    return before or (
        f"{show_bytes(max(0, budget.today))} of data allowance left for today; {what} limited to make it "
        "last."
    )


def _spent(settings: GovernorSettings, month: CapMonth, gate: Gate) -> AllowanceState:
    says = (
        f"The month's data allowance of {show_bytes(settings.month_cap)} is used up; "
        f"{_PAUSED[settings.cap_counts]} are paused until {_day(month.end, settings.zone)}. To continue, "
        "raise governor.month_cap."
    )
    return AllowanceState(spent=True, says=says, day=month.day, set=gate.now, known=True)


_PAUSED: dict[Counts, str] = {"both": "uploads and downloads", "upload": "uploads", "download": "downloads"}


def _throttle(state: AllowanceState, counts: Counts) -> list[Throttle]:
    if state.spent:
        return [always(Throttle(rule=ThrottleRule.CAP, says=state.says, cut=_SPENT_CUTS[counts]))]
    cut = Cut(upload=state.upload, download=state.download)
    return [] if cut == Cut() else [Throttle(rule=ThrottleRule.CAP, says=state.says, cut=cut)]


_SPENT_CUTS: dict[Counts, Cut] = {
    "both": Cut(sending=False, writing=False, new_work=False),
    "upload": Cut(sending=False, new_work=False),
    "download": Cut(writing=False),
}


def _day(at: UtcMs, zone: tzinfo) -> str:
    day = datetime.fromtimestamp(at // 1_000, zone)
    return f"{day.day} {_MONTHS[day.month - 1]}"


_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)


def _round(rate: int) -> int:
    """Two digits, downwards: a rate that is set by a plan needs no more."""
    unit = int(10 ** max(0, len(str(rate)) - 2))
    return rate // unit * unit
