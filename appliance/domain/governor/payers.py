"""What a reduced upload leaves for those who pay, and what the box says to them about it."""

from appliance.core.units import KIB, show_rate
from appliance.domain.governor.model import GovernorMoment
from appliance.domain.governor.throttle import Throttle, ThrottleRule

LEAST_FREE = KIB
"""Bytes a second that those who do not pay keep in any case."""


def left_for_payers(upload: int, usual: int, free_percent: int) -> int:
    """Bytes a second that buyers get of `upload`: all they got of `usual`, until the free share is used up.

    The free peers bear the whole of a reduction first, down to `LEAST_FREE` for all of them together.
    """
    return max(0, min(usual - usual * free_percent // 100, upload - LEAST_FREE))


def _slows(throttle: Throttle) -> bool:
    return throttle.cut.reduces_upload or throttle.rule is ThrottleRule.UPLINK


def notice_to_payers(throttles: list[Throttle], upload: int, usual: int, moment: GovernorMoment) -> str:
    """The sentence for buyers, where there are any and they get less than usual; else empty."""
    slowing = [one for one in throttles if _slows(one)]
    if not slowing or not moment.leased:
        return ""
    worst = min(slowing, key=lambda one: (one.cut.sending, one.cut.upload_ppm))
    if not worst.cut.sending:
        return f"The seller has paused its uploads: {worst.rule.short}."
    left = left_for_payers(upload, usual, moment.free_percent)
    if not upload or left >= left_for_payers(usual, usual, moment.free_percent):
        return ""
    return f"The seller is limited to {show_rate(left)} for all its buyers: {worst.rule.short}."
