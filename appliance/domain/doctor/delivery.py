"""Which issues each address is notified of, and when.

A notice is composed when it can be sent, from what is so then: what piled up while the network was away goes
out as one. What an address was last notified of is kept with it, so that a restart neither repeats nor
forgets anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from appliance.domain.doctor.issues import RANK, Issue, IssueList
from appliance.domain.doctor.model import Verdict

MOST_AN_HOUR = 6
"""Notices to an address; then an hour of silence, and one that sums it up."""
HOUR_S = 3_600
FIRST_WAIT_S = 60
LONGEST_WAIT_S = 3_600


@dataclass(frozen=True, slots=True)
class NoticeRules:
    """What the owner wants to be notified of (configuration: `notify`)."""

    least: Verdict
    after_s: int
    """Only what has lasted so long."""


@dataclass(frozen=True, slots=True)
class LastNotice:
    """What an address knows of an issue."""

    severity: Verdict = Verdict.OK
    """The worst that it was notified of; `ok`: nothing."""
    over: bool = False
    """No further notice of it is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryState:
    """What one address was notified of, and when it may be sent more."""

    last_notices: Mapping[int, LastNotice] = field(default_factory=dict)
    """What the address knows of each issue, by the issue's id."""
    failures: int = 0
    """Attempts since the last that went through."""
    wait_s: int = 0
    """Until the next attempt after one that failed."""
    recent: int = 0
    """Notices of the running hour."""
    hour_s: int = 0
    """Since the running hour began, or the silence after too many."""


class News(StrEnum):
    """What is new about an issue."""

    BEGUN = "begun"
    RISEN = "risen"
    """The address knows it as a warning, and it is an error now."""
    MENDED = "mended"
    LOST = "lost"
    """The address knows of it, and nobody can see any more whether it is still so."""
    PASSED = "passed"
    """It came and went while the address could not be reached."""


_OPEN = (News.BEGUN, News.RISEN)


def new_delivery(issues: IssueList) -> DeliveryState:
    """The state of a new address: it need not hear of what is mended already."""
    return DeliveryState(last_notices={issue.id: LastNotice(over=True) for issue in issues if not issue.open})


def aged(state: DeliveryState, issues: IssueList, rules: NoticeRules, passed_s: int) -> DeliveryState:
    """The state some seconds later; issues that have gone are forgotten, those never due are ticked off."""
    notices = {issue.id: _ticked_off(issue, state.last_notices.get(issue.id), rules) for issue in issues}
    known = {id: last for id, last in notices.items() if last}
    later = replace(state, last_notices=known, wait_s=max(0, state.wait_s - passed_s))
    return _hour_on(later, passed_s)


def _hour_on(state: DeliveryState, passed_s: int) -> DeliveryState:
    """The running hour some seconds later; none begins before a notice is sent."""
    hour = state.hour_s + passed_s if state.recent else 0
    return replace(state, recent=0, hour_s=0) if hour >= HOUR_S else replace(state, hour_s=hour)


def _ticked_off(issue: Issue, last: LastNotice | None, rules: NoticeRules) -> LastNotice | None:
    """What an address knows of an issue; of one that is over and was never due, that it is over."""
    never_due = issue.settled and reached(issue, rules) is Verdict.OK
    return LastNotice(over=True) if never_due and last in (None, LastNotice()) else last


def due(state: DeliveryState, issues: IssueList, rules: NoticeRules) -> list[tuple[News, Issue]]:
    """What an address is to be notified of now, what is open and worst first; nothing while it must wait."""
    if state.wait_s or state.recent >= MOST_AN_HOUR:
        return []
    found = [(news, issue) for issue in issues if (news := _news(issue, state, rules))]
    return sorted(found, key=lambda one: (one[0] not in _OPEN, -RANK[one[1].severity], one[1].id))


def _news(issue: Issue, state: DeliveryState, rules: NoticeRules) -> News | None:
    last, worst = state.last_notices.get(issue.id, LastNotice()), reached(issue, rules)
    if last.over:
        return None
    if issue.open:
        return _worse(last, worst)
    return _ended(issue, last, worst) if issue.settled else None


def _worse(last: LastNotice, worst: Verdict) -> News | None:
    if RANK[worst] <= RANK[last.severity]:
        return None
    return News.RISEN if last.severity is Verdict.WARNING else News.BEGUN


def _ended(issue: Issue, last: LastNotice, worst: Verdict) -> News | None:
    if last.severity is not Verdict.OK:
        return News.LOST if issue.lost else News.MENDED
    return None if worst is Verdict.OK else News.PASSED


def reached(issue: Issue, rules: NoticeRules) -> Verdict:
    """The worst that an issue has been for long enough to notify of it; `ok`: nothing."""
    if _was_error(issue) and issue.error_s >= rules.after_s:
        return Verdict.ERROR
    if rules.least is Verdict.WARNING and issue.lasted_s >= rules.after_s:
        return Verdict.WARNING
    return Verdict.OK


def _was_error(issue: Issue) -> bool:
    return issue.severity is Verdict.ERROR or issue.error_s > 0


def sent(state: DeliveryState, last_notices: Mapping[int, LastNotice]) -> DeliveryState:
    """The state after a notice went through; `last_notices` is what its address knows by it."""
    recent = state.recent + 1
    # An hour begins with the first notice, and the silence with the last.
    begins = not state.recent or recent >= MOST_AN_HOUR
    return replace(
        state,
        last_notices={**state.last_notices, **last_notices},
        failures=0,
        wait_s=0,
        recent=recent,
        hour_s=0 if begins else state.hour_s,
    )


def failed(state: DeliveryState) -> DeliveryState:
    """The state after a notice did not go through: wait twice as long each time, up to an hour."""
    wait = min(FIRST_WAIT_S << min(state.failures, 10), LONGEST_WAIT_S)
    return replace(state, failures=state.failures + 1, wait_s=wait)
