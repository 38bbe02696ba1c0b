"""From form fields and query strings to commands: whatever a browser sends, only refusals are raised."""

import re
from collections.abc import Mapping
from typing import Any, get_args

from appliance.control.intake import Options
from appliance.control.torrents import Goal, GoalKind, ListTorrents, SortKey, State
from appliance.core.errors import OwnerMustAct
from appliance.core.units import KIB

PAGE = 50


def query(args: Mapping[str, str], *, since: int = 0) -> ListTorrents:
    """The list that a query string asks for; what makes no sense falls back to the default."""
    state, sort = args.get("state", ""), args.get("sort", "added")
    number = whole(args.get("page"), 1, 1, 100_000)
    known_sort: Any = sort if sort in get_args(SortKey) else "added"
    return ListTorrents(
        text=args.get("text", "").strip()[:200],
        state=State(state) if state in list(State) else None,
        label=args.get("label") or None,
        sort=known_sort,
        descending=args.get("desc", "1" if sort == "added" else "") == "1",
        offset=(number - 1) * PAGE,
        count=PAGE,
        since=since,
    )


def whole(text: str | None, default: int, least: int, most: int) -> int:
    """A whole number between two bounds; the default for what is none."""
    try:
        return max(least, min(most, int(text or default)))
    except ValueError:
        return default


def options(form: Mapping[str, str]) -> Options:
    """What is said of a torrent that is added."""
    return Options(label=form.get("label", ""), paused=form.get("paused") == "1", goal=goal(form))


def goal(form: Mapping[str, str]) -> Goal | None:
    """The goal of a form; None for "as configured". Raises OwnerMustAct for an impossible number."""
    kind = form.get("goal", "")
    if kind not in list(GoalKind):
        return None
    if kind == GoalKind.RATIO:
        return Goal(GoalKind.RATIO, ratio_percent=_percent(form.get("ratio", "")))
    if kind == GoalKind.TIME:
        return Goal(GoalKind.TIME, hours=_days(form.get("days", "")) * 24)
    return Goal()


def rate(text: str, name: str) -> int:
    """KiB per second of a form, as bytes per second; empty is unlimited. Raises OwnerMustAct."""
    text = text.strip()
    if not text:
        return 0
    if not re.fullmatch(r"\d{1,7}", text):
        raise OwnerMustAct(f"{name}: write a whole number of KiB/s, or leave it empty for unlimited.")
    return int(text) * KIB


def number(text: str, name: str) -> int:
    """A whole number of a form. Raises OwnerMustAct."""
    if not re.fullmatch(r"\s*\d{1,6}\s*", text):
        raise OwnerMustAct(f"{name}: write a whole number.")
    return int(text)


def _percent(text: str) -> int:
    try:
        return round(float(text.replace(",", ".")) * 100)
    except (ValueError, OverflowError) as error:
        raise OwnerMustAct("Ratio: write a number such as 2 or 1.5.") from error


def _days(text: str) -> int:
    return number(text, "Days")
