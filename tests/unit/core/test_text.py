"""Texts of strangers, as people may see them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.text import is_text, shown, shown_lines


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("Ünïcödé 中文 👨‍👩", "Ünïcödé 中文 👨‍👩"),
        (b"K\xf6ln", "K\ufffdln"),
        ("K\udcf6ln", "K\ufffdln"),
        ("\ud800", "\ufffd"),
        ("a\x1b[2Jb", "a\ufffd[2Jb"),
        ("a\x9b2Jb", "a\ufffd2Jb"),
        ("a\x7fb", "a\ufffdb"),
        ("film\u202egnp.exe", "film\ufffdgnp.exe"),
        ("two\nlines\u2028three", "two\ufffdlines\ufffdthree"),
        ("  blanks  ", "blanks"),
        ("x" * 600, "x" * 500),
    ],
)
def test_what_steers_breaks_or_reorders_is_marked(text: str | bytes, seen: str) -> None:
    assert shown(text) == seen


@given(st.text(st.characters()) | st.binary())
def test_what_is_shown_can_be_encoded_is_one_line_and_stays_as_it_is(text: str | bytes) -> None:
    seen = shown(text)
    seen.encode()
    assert len(seen.splitlines()) <= 1
    assert not any(ord(char) < 32 or 0x7F <= ord(char) < 0xA0 for char in seen)
    assert shown(seen) == seen


def test_lines_keep_their_breaks() -> None:
    assert shown_lines("a\n\tb\x1b\udcff") == "a\n\tb\ufffd\ufffd"


def test_half_a_character_is_no_text() -> None:
    assert is_text("ü👨")
    assert not is_text("a\udce9")
