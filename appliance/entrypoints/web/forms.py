"""Commands from form fields and query strings; whatever a browser sends, only OwnerMustAct is raised."""

import re
from collections.abc import Mapping
from typing import Any, get_args

from appliance.control.box import LimitsChange, Span
from appliance.control.intake import Options, ShareFolder
from appliance.control.torrents import Goal, GoalKind, ListTorrents, SortKey, TorrentState
from appliance.core.errors import OwnerMustAct
from appliance.core.units import KIB, BytesPerSecond

PAGE = 50
"""Torrents on one page of the list."""
SPANS: tuple[Span, ...] = ("hour", "day", "month")
MOST_TRACKERS = 20


def query(args: Mapping[str, str], *, since: int = 0) -> ListTorrents:
    """The list that a query string asks for; defaults replace what makes no sense."""
    state, sort = args.get("state", ""), args.get("sort", "added")
    number = whole(args.get("page"), 1, 1, 100_000)
    known_sort: Any = sort if sort in get_args(SortKey) else "added"
    return ListTorrents(
        text=args.get("text", "").strip()[:200],
        state=TorrentState(state) if state in list(TorrentState) else None,
        label=args.get("label") or None,
        sort=known_sort,
        descending=args.get("desc", "1" if sort == "added" else "") == "1",
        offset=(number - 1) * PAGE,
        count=PAGE,
        since=since,
    )


def whole(text: str | None, default: int, least: int, most: int) -> int:
    """A whole number, kept between two bounds; the default for anything else."""
    try:
        return max(least, min(most, int(text or default)))
    except ValueError:
        return default


def span(asked: str | None, default: Span) -> Span:
    """The time that a graph covers; the default for anything else than hour, day or month."""
    return next((span for span in SPANS if span == asked), default)


def options(form: Mapping[str, str]) -> Options:
    """The owner's choices for a torrent that is added."""
    return Options(label=form.get("label", ""), paused=form.get("paused") == "1", goal=goal(form))


def share(form: Mapping[str, str]) -> ShareFolder:
    """The command to share a folder or file in place."""
    trackers = [line.strip() for line in form.get("trackers", "").splitlines() if line.strip()]
    return ShareFolder(
        path=form.get("path", ""),
        trackers=trackers[:MOST_TRACKERS],
        comment=form.get("comment", "")[:500],
        private=form.get("private") == "1",
        v1_only=form.get("v1") == "1",
        options=options(form),
    )


def limits(form: Mapping[str, str]) -> LimitsChange:
    """The limits of the settings page. Raises OwnerMustAct for an impossible number."""
    return LimitsChange(
        upload_rate=rate(form.get("upload_rate", ""), "Upload limit"),
        download_rate=rate(form.get("download_rate", ""), "Download limit"),
        connections=number(form.get("connections", ""), "Maximum connections"),
        upload_slots=number(form.get("upload_slots", ""), "Upload slots"),
        active_downloads=number(form.get("active_downloads", ""), "Active downloads"),
    )


def goal(form: Mapping[str, str]) -> Goal | None:
    """The goal of a form; None: the configured one. Raises OwnerMustAct for an impossible number."""
    kind = form.get("goal", "")
    if kind not in list(GoalKind):
        return None
    if kind == GoalKind.RATIO:
        return Goal(GoalKind.RATIO, ratio_percent=_percent(form.get("ratio", "")))
    if kind == GoalKind.TIME:
        return Goal(GoalKind.TIME, hours=number(form.get("days", ""), "Days") * 24)
    return Goal()


def rate(text: str, name: str) -> BytesPerSecond:
    """A rate typed in KiB/s; empty is unlimited (0). Raises OwnerMustAct."""
    text = text.strip()
    if not text:
        return BytesPerSecond(0)
    if not re.fullmatch(r"\d{1,7}", text):
        raise OwnerMustAct(f"{name}: enter a whole number of KiB/s, or leave it empty for unlimited.")
    return BytesPerSecond(int(text) * KIB)


def number(text: str, name: str) -> int:
    """A whole number that was typed. Raises OwnerMustAct."""
    if not re.fullmatch(r"\s*\d{1,6}\s*", text):
        raise OwnerMustAct(f"{name}: enter a whole number.")
    return int(text)


def _percent(text: str) -> int:
    try:
        return round(float(text.replace(",", ".")) * 100)
    except (ValueError, OverflowError) as error:
        raise OwnerMustAct("Ratio: enter a number such as 2 or 1.5.") from error
