"""Texts of strangers made fit to be shown: on the page, a terminal, in the log, and in the list of events.

What a text says stays; what would break a line, hide or reorder what stands beside it, or cannot be encoded
at all, becomes U+FFFD, one for each character.
"""

import re

_UNFIT = (
    "\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: they steer a terminal
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # bidirectional controls (UAX #9)
    "\u2028\u2029"  # line and paragraph separators
    "\ufff9-\ufffb"
    "\ud800-\udfff"  # halves of characters: no text can be encoded with one
)
_NEVER = re.compile(f"[{_UNFIT}]")
_NOT_IN_LINES = re.compile(f"(?![\\t\\n])[{_UNFIT}]")
_HALF = re.compile("[\ud800-\udfff]")
MOST_SHOWN = 500
"""Characters of one text."""


def shown(text: str | bytes, most: int = MOST_SHOWN) -> str:
    """One line of a stranger's, as people may see it; bytes are taken for UTF-8."""
    return _NEVER.sub("\ufffd", readable(text)[:most]).strip()


def shown_lines(text: str) -> str:
    """Several lines, with their line breaks and tabs kept: what is logged."""
    return _NOT_IN_LINES.sub("\ufffd", readable(text))


def is_text(text: str) -> bool:
    """Whether a string can be encoded; file names that are not UTF-8 and halves of characters cannot."""
    return text.isascii() or not _HALF.search(text)


def readable(text: str | bytes) -> str:
    """A text that can be encoded: what is not UTF-8 in it becomes U+FFFD, all else stays."""
    if isinstance(text, bytes):
        return text.decode("utf-8", "replace")
    # A file name that is not UTF-8 comes with its bytes as halves of characters (PEP 383).
    if is_text(text):
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return _HALF.sub("\ufffd", text)
