"""Web addresses are shown without what is secret in them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.urls import shown_url


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.org/film.torrent", "https://example.org/film.torrent"),
        (
            "https://example.org:81/a/b/film.torrent?passkey=SECRET#SECRET",
            "https://example.org:81/.../film.torrent",
        ),
        ("http://me:SECRET@example.org/SECRET/announce", "http://example.org/.../announce"),
        ("http://[fd00::1]:80/x", "http://[fd00::1]:80/x"),
        ("http://me:SECRET@example.org:SECRET/", "an address that cannot be read"),
        ("http://[SECRET", "an address that cannot be read"),
    ],
)
def test_what_may_be_secret_is_left_out(url: str, shown: str) -> None:
    assert shown_url(url) == shown


@given(st.text(max_size=300))
def test_any_text_is_shown_short_and_printable(text: str) -> None:
    for url in (text, f"http://{text}", f"http://me:{text}@host/?{text}"):
        assert len(shown_url(url)) <= 100
        assert shown_url(url).isprintable()
