"""Magnet links as people paste them: out of chats, mails, web pages and documents (BEP 9, BEP 53).

A pasted text may hold several, with quotes, brackets, blanks that cannot be seen and broken lines. What is
handed on is each link in one plain form; what cannot be understood is refused, and the line is named.
"""

import re
from base64 import b32decode
from collections.abc import Iterator
from itertools import pairwise
from urllib.parse import quote, unquote, unquote_to_bytes

from appliance.core.errors import OwnerMustAct
from appliance.core.text import readable, shown

MOST_LINK = 16 * 1024
"""Characters of one link."""
MOST_LINKS = 100
MOST_PASTED = 256 * 1024

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\ufffe\x00]")
_AMPERSAND = re.compile(r"&(?:(?:amp|#38|#x26);)+", re.IGNORECASE)
"""Also `&amp;amp;`, what was escaped twice."""
_START = re.compile(r"(?<![\w=%/])magnet\s*:\s*/{0,3}\s*\?", re.IGNORECASE)
_LINES = re.compile(r"\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_AROUND = " \t\"'`´<>«»‹›“”„‟‘’‚‛()[]{}*_~|,;.:-–—•·#0123456789"
"""What stands around links in texts: quotes, brackets, marks of lists."""
_CLOSING = " \t\"'`´<>«»‹›“”„‟‘’‚‛,;"
_CLOSING_HASH = _CLOSING + ".)]}*_~|!?:"
_HASH = re.compile(r"urn:(btih|btmh):([0-9a-z]+)", re.IGNORECASE)
_FORMS = {
    "btih": re.compile(r"[0-9a-f]{40}|[2-7a-z]{32}", re.IGNORECASE),
    "btmh": re.compile("1220[0-9a-f]{64}", re.IGNORECASE),
}
_BASE32 = 32
"""Digits of a v1 hash in base32, as old links have it."""
_URLS = ("tr", "ws")
_KEPT = ("x.pe", "so")
_URL_SAFE = "!\"#$%&'()*+,/:;<=>?@[\\]^`{|}~"


def is_link(pasted: str) -> bool:
    """Whether a pasted text begins with a magnet link, behind whatever stands around it."""
    return bool(_START.match(_INVISIBLE.sub("", pasted).strip().lstrip(_AROUND)))


def one_link(pasted: str) -> str:
    """The only link in a pasted text, in plain form. Raises OwnerMustAct."""
    links = pasted_links(pasted)
    if len(links) > 1:
        raise OwnerMustAct(f"There are {len(links)} magnet links in this; add one at a time.")
    return links[0]


def pasted_links(pasted: str) -> list[str]:
    """The links in a pasted text, each in plain form and once. Raises OwnerMustAct, naming the line."""
    if len(pasted) > MOST_PASTED:
        raise OwnerMustAct(f"This is longer than {MOST_PASTED} characters; paste fewer links at once.")
    if not _START.search(_bare(pasted)):
        raise OwnerMustAct('This is not a magnet link: it does not start with "magnet:?".')
    links = list(dict.fromkeys(_plain(text, line) for line, text in _pieces(pasted)))
    if len(links) > MOST_LINKS:
        raise OwnerMustAct(f"There are {len(links)} magnet links in this; paste {MOST_LINKS} at most.")
    return links


def _pieces(pasted: str) -> Iterator[tuple[int, str]]:
    """(number of its line, text) of each link, with lines that were broken put together again."""
    number, text = 0, ""
    for line, words in enumerate(_LINES.split(_bare(pasted)), 1):
        before, links = _split(words)
        if text and _goes_on(text, before):
            text += before.strip()
        elif before.strip().strip(_AROUND):
            raise OwnerMustAct(_not_understood(line, before))
        for link in links:
            if text:
                yield number, text
            number, text = line, link
    if text:
        yield number, text


def _split(words: str) -> tuple[str, list[str]]:
    """What stands before the first link of a line, and its links."""
    starts = [found.start() for found in _START.finditer(words)]
    before = words[: starts[0]] if starts else words
    return before, [words[start:end] for start, end in pairwise([*starts, len(words)])]


def _bare(pasted: str) -> str:
    return _AMPERSAND.sub("&", _INVISIBLE.sub("", readable(pasted)))


def _plain(text: str, line: int) -> str:
    """One link in plain form."""
    if len(text) > MOST_LINK:
        raise OwnerMustAct(
            f"Line {line}: the magnet link is longer than {MOST_LINK} characters; leave out trackers."
        )
    _, _, query = text.partition("?")
    named = list(map(_pair, query.rstrip(_CLOSING).split("&")))
    topics = _topics([value for key, value in named if re.fullmatch(r"xt(\.\d+)?", key)], line)
    rest = [made for key, value in named if (made := _parameter(re.sub(r"\.\d+$", "", key), value))]
    return "magnet:?" + "&".join([*topics, *rest])


def _pair(text: str) -> tuple[str, str]:
    key, _, value = text.partition("=")
    return key.strip().lower(), value.strip()


def _topics(values: list[str], line: int) -> list[str]:
    """The hashes that a link names, v1 before v2."""
    found = dict.fromkeys(_topic(value, line) for value in values if _is_topic(value))
    kinds = [kind for kind, _ in found]
    if not found:
        missing = 'no torrent: "xt=urn:btih:" or "xt=urn:btmh:" is missing'
        raise OwnerMustAct(f"Line {line}: the magnet link names {missing}. Copy it again.")
    if len(set(kinds)) < len(kinds):
        raise OwnerMustAct(f"Line {line}: the magnet link names more than one torrent. Copy it again.")
    return [f"xt=urn:{kind}:{hash}" for kind, hash in sorted(found)]


def _is_topic(value: str) -> bool:
    return unquote(value).strip().lower().startswith(("urn:btih:", "urn:btmh:"))


def _topic(value: str, line: int) -> tuple[str, str]:
    plain = unquote(value).strip().rstrip(_CLOSING_HASH)
    found = _HASH.fullmatch(plain)
    if not found or not _FORMS[found[1].lower()].fullmatch(found[2]):
        broken = f'Line {line}: "{shown(plain, 90)}"'
        raise OwnerMustAct(f"{broken} is not the info-hash of a magnet link. Copy it again.")
    hash = found[2].lower()
    return found[1].lower(), b32decode(hash.upper()).hex() if len(hash) == _BASE32 else hash


def _parameter(key: str, value: str) -> str:
    """Another parameter in plain form; empty where it is of no use, or empty."""
    plain = _plain_value(key, value)
    return f"{key}={plain}" if plain else ""


def _plain_value(key: str, value: str) -> str:
    if key == "dn":
        return quote(shown(unquote_to_bytes(value.replace("+", " "))), safe="")
    if key in _URLS:
        return quote(quote(unquote_to_bytes(value), safe=_URL_SAFE), safe="")
    return quote(shown(unquote_to_bytes(value)), safe=":[],-") if key in _KEPT else ""


def _goes_on(text: str, line: str) -> bool:
    """Whether a line is the rest of a link that was broken off."""
    rest = line.strip()
    return bool(rest) and (rest.startswith("&") or text.rstrip().endswith(("&", "?", "=", "%")))


def _not_understood(line: int, words: str) -> str:
    return (
        f'Line {line}: "{shown(words.strip(), 60)}" is not understood; a magnet link starts with "magnet:?".'
    )
