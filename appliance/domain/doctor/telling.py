"""Telling the owner of issues: what is due to each address, and in which words.

A message is made when it can be sent, from what is so then: what piled up while the network was away goes as
one. What an address has been told is kept with it, so that nothing is told twice or forgotten over a restart.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from appliance.core.units import show_span
from appliance.domain.doctor.issues import RANK, Issue, Known
from appliance.domain.doctor.model import Verdict

MOST_AN_HOUR = 6
"""Messages to an address; then an hour of silence, and one that sums it up."""
HOUR_S = 3_600
FIRST_WAIT_S = 60
LONGEST_WAIT_S = 3_600
MOST_ITEMS = 10
"""Issues that a message tells in full."""
_SUBJECT = 90


@dataclass(frozen=True, slots=True)
class Rules:
    """What the owner wants to be told (configuration: `notify`)."""

    least: Verdict
    after_s: int
    """Only what has lasted so long."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an address knows of an issue."""

    severity: Verdict = Verdict.OK
    """The worst that it was told; `ok`: nothing."""
    over: bool = False
    """Nothing more is to be told of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One address: what it was told, and when it may be told more."""

    told: Mapping[int, Told] = field(default_factory=dict)
    """By the id of the issue."""
    failures: int = 0
    """Attempts since the last that went through."""
    wait_s: int = 0
    """Until the next attempt after one that failed."""
    recent: int = 0
    """Messages of the running hour."""
    hour_s: int = 0
    """Since the running hour began, or the silence after too many."""


class News(StrEnum):
    """What is to be told of an issue."""

    BEGUN = "begun"
    RISEN = "risen"
    """It was told as a warning, and is an error now."""
    MENDED = "mended"
    LOST = "lost"
    """It was told, and nobody can see any more whether it is still so."""
    PASSED = "passed"
    """It came and went while the address could not be reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message, and what its address knows once it has arrived."""

    kind: Literal["failure", "warning", "success"]
    title: str
    """One line."""
    body: str
    told: Mapping[int, Told] = field(default_factory=dict)


def opened(known: Known) -> Line:
    """The line to a new address: it need not hear of what is mended already."""
    return Line(told={issue.id: Told(over=True) for issue in known if not issue.open})


def aged(line: Line, known: Known, rules: Rules, passed_s: int) -> Line:
    """A line some seconds later; issues that have gone are forgotten, those never worth a word ticked off."""
    ids = {issue.id for issue in known}
    told = {id: one for id, one in line.told.items() if id in ids}
    for issue in known:
        before = told.get(issue.id, Told())
        if issue.settled and before == Told() and _reached(issue, rules) is Verdict.OK:
            told[issue.id] = Told(over=True)
    hour = line.hour_s + passed_s if line.recent else 0
    over = hour >= HOUR_S
    return replace(
        line,
        told=told,
        wait_s=max(0, line.wait_s - passed_s),
        recent=0 if over else line.recent,
        hour_s=0 if over else hour,
    )


def due(line: Line, known: Known, rules: Rules) -> list[tuple[News, Issue]]:
    """What an address is to be told now; nothing while it has to wait."""
    if line.wait_s or line.recent >= MOST_AN_HOUR:
        return []
    found = [(news, issue) for issue in known if (news := _news(issue, line, rules))]
    order = list(News)
    return sorted(found, key=lambda one: (order.index(one[0]) > 1, -RANK[one[1].severity], one[1].id))


def _news(issue: Issue, line: Line, rules: Rules) -> News | None:
    told = line.told.get(issue.id, Told())
    if told.over:
        return None
    reached = _reached(issue, rules)
    if issue.open:
        if RANK[reached] <= RANK[told.severity]:
            return None
        return News.RISEN if told.severity is Verdict.WARNING else News.BEGUN
    if not issue.settled:
        return None
    if told.severity is not Verdict.OK:
        return News.LOST if issue.lost else News.MENDED
    return News.PASSED if reached is not Verdict.OK else None


def _reached(issue: Issue, rules: Rules) -> Verdict:
    """The worst that an issue has been for long enough to be told; `ok`: nothing."""
    was_error = issue.severity is Verdict.ERROR or issue.error_s
    if was_error and issue.error_s >= rules.after_s:
        return Verdict.ERROR
    if rules.least is Verdict.WARNING and issue.lasted_s >= rules.after_s:
        return Verdict.WARNING
    return Verdict.OK


def sent(line: Line, notice: Notice) -> Line:
    """After a message went through."""
    first = not line.recent
    recent = line.recent + 1
    return replace(
        line,
        told={**line.told, **notice.told},
        failures=0,
        wait_s=0,
        recent=recent,
        # With the last of them the silence begins.
        hour_s=0 if first or recent >= MOST_AN_HOUR else line.hour_s,
    )


def failed(line: Line) -> Line:
    """After a message did not go through: wait twice as long each time, up to an hour."""
    wait = min(FIRST_WAIT_S << min(line.failures, 10), LONGEST_WAIT_S)
    return replace(line, failures=line.failures + 1, wait_s=wait)


# ------------------------------------------------------------------------------------------------- words


def notice(items: Sequence[tuple[News, Issue]], line: Line, rules: Rules, name: str, page: str) -> Notice:
    """One message about all of `items`, which are not empty.

    `name` is the box's, `page` the address of its status page, empty where nobody knows it.
    """
    worst, (news, issue) = _kind(items), items[0]
    more = f" (and {len(items) - 1} more)" if len(items) > 1 else ""
    subject = f"{_WORDS[news]}{_plain(issue.says)}"
    if len(subject) > _SUBJECT:
        subject = f"{subject[: _SUBJECT - 1]}…"
    parts = [_item(news, issue) for news, issue in items[:MOST_ITEMS]]
    if rest := [issue.check for _, issue in items[MOST_ITEMS:]]:
        parts.append(f"And {len(rest)} more: {_plain(', '.join(rest))[:300]}. All of it: seedbox issues")
    if line.recent + 1 >= MOST_AN_HOUR:
        parts.append(
            f"This is message {MOST_AN_HOUR} within an hour. What comes now is told in one, an hour from now."
        )
    parts.append(f"{name}: {page}" if page else f"More on the box {name}: seedbox issues")
    told = {issue.id: Told(_reached(issue, rules)) if issue.open else Told(over=True) for _, issue in items}
    return Notice(kind=worst, title=f"{name}: {subject}{more}", body="\n\n".join(parts), told=told)


def trial(name: str, page: str) -> Notice:
    """What `seedbox notify test` sends."""
    where = f"\n\n{name}: {page}" if page else ""
    return Notice(
        kind="success",
        title=f"{name}: a test",
        body=f"This is how the box {name} tells you when something is wrong. Nothing is.{where}",
    )


_WORDS = {
    News.BEGUN: "",
    News.RISEN: "Worse: ",
    News.MENDED: "Mended: ",
    News.LOST: "Not known any more: ",
    News.PASSED: "Came and went: ",
}


def _kind(items: Sequence[tuple[News, Issue]]) -> Literal["failure", "warning", "success"]:
    now = [issue.severity for news, issue in items if news in (News.BEGUN, News.RISEN)]
    if Verdict.ERROR in now:
        return "failure"
    return "warning" if now or any(news is News.LOST for news, _ in items) else "success"


def _item(news: News, issue: Issue) -> str:
    says, lasted = _plain(issue.says), show_span(issue.lasted_s)
    if news is News.MENDED:
        return f"Mended: {says}\nIt had lasted {lasted}."
    if news is News.LOST:
        return f"The box cannot see any more whether this is still so: {says}"
    if news is News.PASSED:
        return f"Came and went while you could not be told: {says}\nIt had lasted {lasted}."
    head = "It got worse. " if news is News.RISEN else ""
    need = "Needs you" if issue.severity is Verdict.ERROR else "Warning"
    remedy = f"\nWhat to do: {_plain(issue.remedy)}" if issue.remedy else ""
    since = f"\nIt has lasted {lasted}." if issue.lasted_s else ""
    return f"{need}: {head}{says}{remedy}{since}"


def _plain(text: str) -> str:
    """In one line, without control characters: drives and peers choose names that are told here."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+", " ", text).split())
