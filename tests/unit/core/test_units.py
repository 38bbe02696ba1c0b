"""Units as people read them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.units import (
    MicroBttPerMib,
    parse_price,
    plural,
    price_of,
    show_bytes,
    show_price,
    show_rate,
    show_span,
)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1536, "1.50 KiB"), (10 * 1024**2, "10.0 MiB"), (1024**5, "1.00 PiB")],
)
def test_bytes_have_three_digits(count: int, shown: str) -> None:
    assert show_bytes(count) == shown


@given(st.integers(0, 10**18))
def test_any_count_is_short(count: int) -> None:
    assert len(show_bytes(count)) <= 12
    assert show_rate(count).endswith("/s")


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "0 s"), (59, "59 s"), (3_600, "1 h"), (3_660, "1 h 1 min"), (90_061, "1 d 1 h")],
)
def test_spans_name_two_units(seconds: int, shown: str) -> None:
    assert show_span(seconds) == shown


@given(st.integers(0, 10**9))
def test_a_price_with_two_decimals_is_shown_as_it_was_typed(hundredths: int) -> None:
    typed = f"{hundredths // 100}.{hundredths % 100:02}".rstrip("0").rstrip(".")
    assert show_price(parse_price(typed)) == typed


@given(st.integers(0, 10**15))
def test_what_is_shown_of_a_price_means_that_price(price: int) -> None:
    assert price_of(Decimal(show_price(MicroBttPerMib(price)))) == price
    assert "E" not in show_price(MicroBttPerMib(price))


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 torrents"), (1, "1 torrent"), (2, "2 torrents"), (1_000, "1000 torrents")]
)
def test_one_is_singular_and_nothing_else(count: int, shown: str) -> None:
    assert plural(count, "torrent") == shown


def test_a_plural_may_be_irregular() -> None:
    assert [plural(count, "entry", "entries") for count in (1, 2)] == ["1 entry", "2 entries"]
