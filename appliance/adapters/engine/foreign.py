"""What libtorrent hands on of strangers: its bindings raise where a text is not UTF-8, and much else.

Every text of an alert, a status or a handle that others chose is read through here.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import libtorrent as lt

from appliance.core.text import shown

BROKEN = (
    *(RuntimeError, ValueError, TypeError, LookupError, AttributeError, OverflowError),
    *(SystemError, MemoryError),
)
"""Whatever the bindings raise at the bytes of others: Boost.Python knows no narrower class for most of it."""
REFUSED = 173
"""libtorrent's code where the tracker itself has said no; its words are in `message`."""
UNREADABLE = "How it answered is not known: one of the trackers uses an encoding that cannot be read."


def said(read: Callable[[], str | bytes], most: int = 500) -> str:
    """A text that `read` gets of libtorrent, fit to be shown; one that is not UTF-8 with its gaps marked."""
    try:
        return shown(read(), most)
    except UnicodeDecodeError as error:
        return shown(bytes(error.object), most)


def error_said(error: lt.error_code) -> str:
    """What an error of libtorrent says."""
    return said(error.message)


def trackers(handle: lt.torrent_handle) -> list[dict[str, Any]]:
    """The trackers of a torrent and how they answered; blocks.

    One that answers in an encoding of its own makes the bindings fail for all: then they are named by the
    torrent's link, with that answer for the only one, or for none of them.
    """
    try:
        entries: Any = handle.trackers()
        return list(entries)
    except UnicodeDecodeError as error:
        urls = _linked(lt.make_magnet_uri(handle))
        answer = _answer(bytes(error.object), urls)
        return [_unread(ascii_url(url), answer) for url in urls]


def _answer(unreadable: bytes, urls: list[bytes]) -> str:
    """What could not be read, where it is surely the answer of the only tracker."""
    return shown(unreadable) if len(urls) == 1 and unreadable != urls[0] else ""


def tracker_urls(handle: lt.torrent_handle) -> list[str]:
    """The addresses of a torrent's trackers; blocks."""
    return [ascii_url(str(entry["url"]).encode()) for entry in trackers(handle)]


def _linked(link: str) -> list[bytes]:
    pairs = parse_qsl(urlsplit(link).query, errors="surrogateescape")
    named = [value for key, value in pairs if key == "tr" or key.startswith("tr.")]
    return [url.encode("utf-8", "surrogateescape") for url in named]


def _unread(url: str, answer: str) -> dict[str, Any]:
    """A tracker of which nothing more can be read."""
    attempt = {
        "fails": bool(answer),
        "last_error": {"value": REFUSED if answer else 0, "category": "libtorrent" if answer else ""},
        "message": answer or UNREADABLE,
        "scrape_complete": -1,
        "scrape_incomplete": -1,
    }
    return {"url": url, "tier": 0, "verified": False, "endpoints": [{"info_hashes": [attempt]}]}


def ascii_url(raw: bytes) -> str:
    """A web address as it is sent: what is not printable ASCII is percent-encoded (RFC 3986)."""
    return quote(raw, safe="!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~")
