"""Magnet links as people paste them: decorations never change what is read."""

import html
from base64 import b32encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.errors import OwnerMustAct
from appliance.core.magnets import MOST_LINK, MOST_LINKS, is_link, one_link, pasted_links

V1, V2 = "0123456789abcdef0123456789abcdef01234567", "1220" + "ab" * 32
PLAIN = f"magnet:?xt=urn:btih:{V1}"
blanks = st.text("\u200b\u200c\u200d\ufeff\u00a0\u2003\u2060 \t", max_size=3)


@pytest.mark.parametrize(
    ("pasted", "link"),
    [
        (f"MAGNET:?XT=URN:BTIH:{V1.upper()}", PLAIN),
        (f"magnet:///?xt=urn:btih:{V1}", PLAIN),
        (f"magnet:?xt=urn%3Abtih%3A{V1}", PLAIN),
        (f"magnet:?xt=urn:btih:{b32encode(bytes.fromhex(V1)).decode()}", PLAIN),
        (f"magnet:?xt.1=urn:btih:{V1}&xt.2=urn:btmh:{V2}", f"{PLAIN}&xt=urn:btmh:{V2}"),
        (f"{PLAIN}&amp;dn=a&amp;amp;tr=udp%3A%2F%2Fx%3A1", f"{PLAIN}&dn=a&tr=udp%3A%2F%2Fx%3A1"),
        (f"\ufeff\u201c{PLAIN}\u201d", PLAIN),
        (f"See ({PLAIN}).".removeprefix("See "), PLAIN),
        (f"<{PLAIN}\r\n  &dn=Two words>", f"{PLAIN}&dn=Two%20words"),
        (f"{PLAIN}&\ndn=x", f"{PLAIN}&dn=x"),
        (f"{PLAIN}&dn=K%F6ln", f"{PLAIN}&dn=K%EF%BF%BDln"),
        (f"{PLAIN}&tr=http%3A%2F%2Fx%2F%FF%3Fa%3Db%26c", f"{PLAIN}&tr=http%3A%2F%2Fx%2F%25FF%3Fa%3Db%26c"),
        (f"{PLAIN}&xl=5&as=http://x&ws=http%3A%2F%2Fy%2F%2541", f"{PLAIN}&ws=http%3A%2F%2Fy%2F%2541"),
        (f"{PLAIN}&x.pe=127.0.0.1:6881&so=0,2-4", f"{PLAIN}&x.pe=127.0.0.1:6881&so=0,2-4"),
    ],
)
def test_one_link_has_one_form(pasted: str, link: str) -> None:
    assert one_link(pasted) == link
    assert is_link(pasted)


def test_several_are_read_with_what_stands_around_them() -> None:
    other, third = PLAIN.replace("01", "10"), PLAIN.replace("23", "32")
    assert pasted_links(f"1. {PLAIN}, {other}\n\n* \u201c{third}\u201d\n{PLAIN}\n") == [PLAIN, other, third]


@pytest.mark.parametrize(
    ("pasted", "says"),
    [
        ("", "not a magnet link"),
        ("http://x", "not a magnet link"),
        (f"Here: {PLAIN}", 'Line 1: "Here:" is not understood'),
        (f"{PLAIN}\nhello", 'Line 2: "hello" is not understood'),
        (f"{PLAIN}\n{PLAIN}0", "Line 2: .* is not the info-hash of a magnet link"),
        (f"\n\nmagnet:?xt=urn:btih:{V1[1:]}", "Line 3: .* is not the info-hash of a magnet link"),
        ("magnet:?dn=x", "Line 1: the magnet link names no torrent"),
        (f"{PLAIN}&xt=urn:btih:{'a' * 40}", "more than one torrent"),
        (PLAIN + "&tr=" + "x" * MOST_LINK, "longer than"),
        ("x" * 300_000, "longer than"),
        ("\n".join(f"magnet:?xt=urn:btih:{n:040}" for n in range(MOST_LINKS + 1)), "at most"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_the_place(pasted: str, says: str) -> None:
    with pytest.raises(OwnerMustAct, match=says):
        pasted_links(pasted)


def test_where_one_is_wanted_two_are_refused() -> None:
    with pytest.raises(OwnerMustAct, match="2 magnet links"):
        one_link(f"{PLAIN} {PLAIN.replace('01', '10')}")


@given(
    st.binary(min_size=20, max_size=20),
    st.sampled_from(
        [("", ""), ("<", ">"), ('"', '"'), ("\u201e", "\u201c"), ("(", ")."), ("- ", ","), ("`", "`")]
    ),
    st.sampled_from(["magnet:?", "MAGNET:?", "Magnet:///?", "magnet://?", "magnet: ?"]),
    st.sampled_from(["urn:btih:", "URN:BTIH:", "urn%3Abtih%3A"]),
    st.sampled_from(["hex", "HEX", "base32", "BASE32"]),
    st.lists(blanks, min_size=4, max_size=4),
    st.sampled_from(["&", "&amp;", "\n&", "&\r\n  ", "\u2028 &amp;", " & "]),
    st.sampled_from(["", "dn=A name (2020)", "tr=udp%3A%2F%2Fx", "dn=%FF%00", "xl=1"]),
)
def test_decorations_never_change_the_hash_that_is_read(
    hash: bytes,
    quotes: tuple[str, str],
    start: str,
    urn: str,
    digits: str,
    around: list[str],
    joint: str,
    more: str,
) -> None:
    said = b32encode(hash).decode() if digits.lower() == "base32" else hash.hex()
    said = said.upper() if digits.isupper() else said.lower()
    link = start + "xt=" + urn + said
    words = around[0] + quotes[0] + around[1] + link + (joint + more if more else "") + quotes[1] + around[2]
    for pasted in (words, html.escape(words, quote=False).replace("&lt;", "<").replace("&gt;", ">")):
        assert f"xt=urn:btih:{hash.hex()}" in one_link(pasted)


@given(st.text(st.characters(), max_size=200), st.text("magnet:?xt=urn&\n <>\u00a0\ud800", max_size=200))
def test_no_text_raises_anything_but_a_refusal(before: str, after: str) -> None:
    for pasted in (before, after, f"{PLAIN}{after}", f"{before}{PLAIN}&dn={before}&tr={after}"):
        try:
            for link in pasted_links(pasted):
                assert one_link(link) == link
        except OwnerMustAct as error:
            str(error).encode()
