"""Notices: what is new about the issues of the box, in words for its owner."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from appliance.core.units import show_span
from appliance.domain.doctor.delivery import (
    MOST_AN_HOUR,
    DeliveryState,
    LastNotice,
    News,
    NoticeRules,
    reached,
)
from appliance.domain.doctor.issues import Issue
from appliance.domain.doctor.model import Verdict

MOST_ITEMS = 10
"""Issues that a notice describes in full."""
_MOST_NAMED = 300
"""Characters of the names of the others."""
_SUBJECT = 90
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")

_TITLES = {
    News.BEGUN: "",
    News.RISEN: "Worse: ",
    News.MENDED: "Resolved: ",
    News.LOST: "No longer known: ",
    News.PASSED: "Already resolved: ",
}
_ENDS = {
    News.MENDED: "Resolved: {says}\nIt lasted {lasted}.",
    News.LOST: "The box can no longer tell whether this is still so: {says}",
    News.PASSED: "Began and was resolved while you could not be reached: {says}\nIt lasted {lasted}.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A message, and what its address knows once it has arrived."""

    kind: Literal["failure", "warning", "success"]
    title: str
    """One line."""
    body: str
    id: str = ""
    """The same for every attempt to tell the same, so that a receiver can drop repeats; may be empty."""
    last_notices: Mapping[int, LastNotice] = field(default_factory=dict)
    """What the address knows of each issue once this is sent, by the issue's id."""


def compose(
    items: Sequence[tuple[News, Issue]], state: DeliveryState, rules: NoticeRules, name: str, page: str
) -> Notice:
    """One notice about all of `items`, which are not empty.

    `name` is the box's, `page` the address of its status page, empty where nobody knows it.
    """
    known = {issue.id: _known(issue, rules) for _, issue in items}
    body = "\n\n".join(_parts(items, state, name, page))
    title = _title(items, name)
    return Notice(kind=_kind(items), title=title, body=body, id=_id(items, name), last_notices=known)


def trial_notice(name: str, page: str) -> Notice:
    """The notice that `seedbox notify test` sends."""
    where = f"\n\n{name}: {page}" if page else ""
    return Notice(
        kind="success",
        title=f"{name}: test notification",
        body=f"This is how {name} notifies you when something is wrong. This is only a test.{where}",
    )


def _id(items: Sequence[tuple[News, Issue]], name: str) -> str:
    """By what is told, and not by its words: how long it has lasted grows with every attempt."""
    told = sorted((issue.id, issue.first, news.value) for news, issue in items)
    return hashlib.sha256(repr((name, told)).encode()).hexdigest()[:32]


def _known(issue: Issue, rules: NoticeRules) -> LastNotice:
    return LastNotice(reached(issue, rules)) if issue.open else LastNotice(over=True)


def _title(items: Sequence[tuple[News, Issue]], name: str) -> str:
    news, issue = items[0]
    subject = f"{_TITLES[news]}{_plain(issue.says)}"
    if len(subject) > _SUBJECT:
        subject = f"{subject[: _SUBJECT - 1]}…"
    more = f" (and {len(items) - 1} more)" if len(items) > 1 else ""
    return f"{name}: {subject}{more}"


def _parts(items: Sequence[tuple[News, Issue]], state: DeliveryState, name: str, page: str) -> Iterator[str]:
    """The paragraphs of a notice."""
    for news, issue in items[:MOST_ITEMS]:
        yield _item(news, issue)
    if rest := [issue.check for _, issue in items[MOST_ITEMS:]]:
        yield _and_more(rest)
    if state.recent + 1 >= MOST_AN_HOUR:
        yield (
            f"This is notification {MOST_AN_HOUR} within an hour. Whatever comes next is sent as one message "
            "an hour from now."
        )
    yield f"{name}: {page}" if page else f"For more, run on {name}: seedbox issues"


def _and_more(checks: Sequence[str]) -> str:
    names = _plain(", ".join(checks))[:_MOST_NAMED]
    return f"And {len(checks)} more: {names}. To see them all, run: seedbox issues"


def _kind(items: Sequence[tuple[News, Issue]]) -> Literal["failure", "warning", "success"]:
    if any(_is_failure(news, issue) for news, issue in items):
        return "failure"
    resolved = {news for news, _ in items} <= {News.MENDED, News.PASSED}
    return "success" if resolved else "warning"


def _is_failure(news: News, issue: Issue) -> bool:
    return issue.severity is Verdict.ERROR and news not in _ENDS


def _label(news: News, issue: Issue) -> str:
    label = "Error" if issue.severity is Verdict.ERROR else "Warning"
    return f"{label}: It got worse. " if news is News.RISEN else f"{label}: "


def _item(news: News, issue: Issue) -> str:
    says, lasted = _plain(issue.says), show_span(issue.lasted_s)
    if news in _ENDS:
        return _ENDS[news].format(says=says, lasted=lasted)
    lines = [f"{_label(news, issue)}{says}"]
    if issue.remedy:
        lines.append(f"What to do: {_plain(issue.remedy)}")
    if issue.lasted_s:
        lines.append(f"It has lasted {lasted}.")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """The text in one line, without control characters: drives and peers choose some of the names in it."""
    return " ".join(_UNPRINTABLE.sub(" ", text).split())
