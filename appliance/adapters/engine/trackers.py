"""Trackers as people read about them: the verdict, and what went wrong in words."""

from typing import Any

import libtorrent as lt

from appliance.adapters.engine.foreign import REFUSED, error_said
from appliance.core.text import shown
from appliance.domain.catalogue.swarm import TrackerRow, Verdict

_LONGEST = 300
_WORDS = {
    ("asio.netdb", 1): "unknown host: check the tracker's address and the box's DNS",
    ("asio.netdb", 2): "the host's name cannot be looked up at the moment",
    ("asio.misc", 2): "the tracker closed the connection without an answer",
    ("system", 101): "the network cannot be reached",
    ("system", 104): "the tracker closed the connection without an answer",
    ("system", 110): "the tracker does not answer",
    ("system", 111): "connection refused: no tracker is running there",
    ("system", 113): "the tracker's host cannot be reached",
    ("libtorrent", 36): "the tracker does not answer",
}
_OF_ALL = {
    "bdecode": "the answer is not that of a tracker",
    "asio.ssl": "no secure connection: the tracker's certificate is not valid",
}
"""Words for every error of a category."""
_CATEGORIES = {
    "system": lt.system_category,
    "libtorrent": lt.libtorrent_category,
}


def tracker_row(entry: Any) -> TrackerRow:
    """One tracker, from all addresses that we announce from and both info-hashes."""
    attempts = [hashes for endpoint in entry["endpoints"] for hashes in endpoint["info_hashes"]]
    verdict = _verdict(entry["verified"], attempts)
    return TrackerRow(
        url=shown(entry["url"], 4_096),
        tier=entry["tier"],
        verdict=verdict,
        message=shown(_message(attempts, verdict), _LONGEST),
        seeds=_most("scrape_complete", attempts),
        peers=_most("scrape_incomplete", attempts),
    )


def _most(name: str, attempts: list[Any]) -> int:
    return max((attempt[name] for attempt in attempts), default=-1)


def _failed(attempt: Any) -> bool:
    return bool(attempt["fails"] or attempt["last_error"]["value"])


def _verdict(verified: bool, attempts: list[Any]) -> Verdict:
    if not attempts:
        return "off"
    errors = sum(map(_failed, attempts))
    if verified and errors < len(attempts):
        return "working"
    return "failing" if errors else "waiting"


def _message(attempts: list[Any], verdict: Verdict) -> str | bytes:
    """What the tracker has said, or else why it cannot be reached."""
    failed = list(filter(_failed, attempts)) if verdict == "failing" else []
    if failed:
        return _why(next(filter(_told, failed), failed[0]))
    return next((attempt["message"] for attempt in attempts if attempt["message"]), "")


def _told(attempt: Any) -> bool:
    """The tracker was reached, and has said no: that tells more than another address's silence."""
    error = attempt["last_error"]
    return (error["category"], error["value"]) == ("libtorrent", REFUSED)


def _why(attempt: Any) -> str | bytes:
    error = attempt["last_error"]
    category, value = error["category"], error["value"]
    if _told(attempt) or not value:
        said: str | bytes = attempt["message"]
        return said or "the tracker refuses the torrent without a reason"
    if category == "http":
        return f"the tracker answered HTTP {error_said(lt.error_code(value, lt.http_category()))}"
    return _OF_ALL.get(category) or _WORDS.get((category, value)) or _other(category, value)


def _other(category: str, value: int) -> str:
    make = _CATEGORIES.get(category)
    return error_said(lt.error_code(value, make())) if make else f"error {value} ({category})"
