"""What a tracker's failure is called."""

from typing import Any

import pytest

from appliance.adapters.engine.trackers import tracker_row


def attempt(category: str = "system", value: int = 0, message: str = "", fails: int = 1) -> dict[str, Any]:
    """One announce, as libtorrent tells it."""
    return {
        "fails": fails,
        "last_error": {"category": category, "value": value},
        "message": message,
        "scrape_complete": -1,
        "scrape_incomplete": -1,
    }


def says(*attempts: dict[str, Any]) -> str:
    """The message about a tracker that has never answered well."""
    endpoints = [{"info_hashes": [one]} for one in attempts]
    row = tracker_row({"url": "http://t/announce", "tier": 0, "verified": False, "endpoints": endpoints})
    assert row.verdict == "failing"
    return row.message


@pytest.mark.parametrize(
    ("category", "value", "message", "words"),
    [
        ("asio.netdb", 1, "", "unknown host"),
        ("system", 111, "", "connection refused"),
        ("system", 110, "", "does not answer"),
        ("libtorrent", 36, "", "does not answer"),
        ("http", 404, "Nope", "HTTP 404 Not Found"),
        ("http", 302, "Found", "HTTP 302 Moved"),
        ("bdecode", 4, "", "not that of a tracker"),
        ("asio.ssl", 337047686, "", "certificate"),
        ("libtorrent", 173, "unregistered torrent", "unregistered torrent"),
        ("libtorrent", 173, "", "without a reason"),
        ("of tomorrow", 7, "", "error 7 (of tomorrow)"),
    ],
)
def test_a_failure_is_told_in_words(category: str, value: int, message: str, words: str) -> None:
    assert words in says(attempt(category, value, message))


def test_what_the_tracker_says_counts_more_than_another_address_that_cannot_reach_it() -> None:
    assert says(attempt("system", 101), attempt("libtorrent", 173, "banned")) == "banned"


def test_words_of_a_stranger_are_short_and_printable() -> None:
    told = says(attempt("libtorrent", 173, "no\x1b[31m" * 1_000))
    assert told.isprintable()
    assert len(told) <= 300
