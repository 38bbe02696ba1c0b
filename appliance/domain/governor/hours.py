"""Hours of the day: when electricity is expensive, and when disks shall rest.

They are times of the clock on the wall: one that the change to summer time skips does not come that day, and
one that the change back repeats comes twice.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo

from appliance.core.units import UtcMs
from appliance.domain.governor.settings import GovernorSettings
from appliance.domain.governor.spans import DAY_MIN, HourSpan, lies_in
from appliance.domain.governor.throttle import ONE, Cut, Throttle, ThrottleRule

SET_SINCE_YEAR = 2026
"""A clock before this year was never set, and tells no time of day."""
SET_SINCE = UtcMs(int(datetime(SET_SINCE_YEAR, 1, 1, tzinfo=UTC).timestamp()) * 1_000)


def minute_of(at: UtcMs, zone: tzinfo) -> int:
    """The minute of the day, on the wall."""
    local = datetime.fromtimestamp(at // 1_000, zone)
    return 60 * local.hour + local.minute


def assess(settings: GovernorSettings, at: UtcMs) -> Iterator[Throttle]:
    """What the hour asks for; a clock that was never set tells no hour."""
    if at < SET_SINCE:
        return
    now = minute_of(at, settings.zone)
    yield from _tariff(settings, now)
    yield from _quiet(settings, now)


def _tariff(settings: GovernorSettings, now: int) -> Iterator[Throttle]:
    cheap, percent = settings.cheap, settings.dear_percent
    if not cheap or percent >= 100 or lies_in(cheap, now):
        return
    until = _clock(_next_start(cheap, now))
    less = f"upload limited to {percent} %" if percent else "uploads are paused"
    yield Throttle(
        rule=ThrottleRule.TARIFF,
        says=f"Electricity is expensive right now; {less} until {until}.",
        cut=Cut(upload_ppm=percent * ONE // 100, sending=percent > 0),
    )


def _next_start(spans: tuple[HourSpan, ...], now: int) -> int:
    return min((span.start for span in spans), key=lambda start: (start - now) % DAY_MIN)


def _quiet(settings: GovernorSettings, now: int) -> Iterator[Throttle]:
    if not lies_in(settings.quiet, now):
        return
    what = "downloads, uploads or file checks" if settings.spin_down else "downloads or file checks"
    yield Throttle(
        rule=ThrottleRule.QUIET,
        says=f"Quiet hours: no {what} until {_clock(_end(settings.quiet, now))}.",
        cut=Cut(writing=False, checking=False, sending=not settings.spin_down),
    )


def _end(spans: tuple[HourSpan, ...], now: int) -> int:
    """When no span holds any more; spans may overlap or follow on each other."""
    minute = now
    for _ in spans:
        minute = next((span.end % DAY_MIN for span in spans if span.holds(minute)), minute)
    return minute


def _clock(minute: int) -> str:
    return f"{minute % DAY_MIN // 60:02}:{minute % 60:02}"
