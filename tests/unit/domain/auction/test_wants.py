"""What is bid for, how much, and to whom: B3 and B4 of auction/buyer.py as sums."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from appliance.core.keys import Address
from appliance.core.units import MIB, MicroBtt, MicroBttPerMib, UtcMs
from appliance.domain.auction.lease import CREDIT
from appliance.domain.auction.records import LIED, SellerRecord, cost, dealt, rank
from appliance.domain.auction.wants import Need, Want, automatic, bids, in_time, lock_for

PRICE = MicroBttPerMib(1_000)
NOW = UtcMs(10**12)
HOUR_MS = 3_600_000
NEED = Need(missing=100 * MIB, free_rate=0, spent=MicroBtt(0), sellers=0, rate=MIB)


def test_nothing_is_bid_for_what_is_here_or_comes_in_time_or_cannot_be_paid() -> None:
    want = Want(PRICE, MicroBtt(10**9))
    plenty = MicroBtt(10**12)
    assert bids(want, NEED, None, plenty, NOW)[1] > 0
    assert bids(want, replace(NEED, missing=0), None, plenty, NOW)[1] == 0
    assert bids(want, replace(NEED, spent=MicroBtt(10**9)), None, plenty, NOW)[1] == 0
    assert bids(want, NEED, None, MicroBtt(0), NOW)[1] == 0
    soon = Want(PRICE, MicroBtt(10**9), UtcMs(NOW + HOUR_MS))
    assert bids(soon, replace(NEED, free_rate=MIB), None, plenty, NOW)[1] == 0
    assert in_time(soon, replace(NEED, free_rate=MIB), NOW)
    assert bids(soon, replace(NEED, free_rate=10_000), None, plenty, NOW)[1] > 0


def test_what_the_box_bids_on_its_own_is_due_some_hours_after_the_torrent_was_added() -> None:
    assert automatic(1_000, 2, NOW).deadline == NOW + 2 * HOUR_MS
    assert automatic(1_000, 0, NOW).deadline == 0, "as soon as possible"


@given(
    price=st.integers(1, 10**6),
    budget=st.integers(0, 10**9),
    day=st.integers(0, 10**9),
    missing=st.integers(0, 10**11),
    rate=st.integers(0, 10**9),
    spent=st.integers(0, 10**9),
    rounds=st.integers(1, 40),
)
def test_no_bid_is_above_what_is_allowed_or_left(
    price: int, budget: int, day: int, missing: int, rate: int, spent: int, rounds: int
) -> None:
    """B3."""
    want = Want(MicroBttPerMib(price), MicroBtt(budget))
    need = Need(missing=missing, free_rate=0, spent=MicroBtt(spent), sellers=0, rate=rate)
    pace = None
    for _ in range(rounds):
        pace, said = bids(want, need, pace, MicroBtt(day), NOW)
        assert 0 <= said <= price
        left = max(0, min(budget - spent, day))
        lock = lock_for(MicroBttPerMib(said), missing, MicroBtt(left), CREDIT, sole=True)
        assert lock <= left


def test_sellers_are_ranked_by_what_a_gib_really_costs_and_shunned_ones_left_out() -> None:
    cheap, dear, thief, unknown = (Address(name) for name in ("Ta", "Tb", "Tc", "Td"))
    offers = {
        one: MicroBttPerMib(price) for one, price in ((cheap, 10), (dear, 30), (thief, 1), (unknown, 20))
    }
    records = {
        # It asks for little, and delivers a third of what is paid for.
        cheap: SellerRecord(received=100 * MIB, paid=MicroBtt(100 * 40)),
        dear: SellerRecord(received=100 * MIB, paid=MicroBtt(100 * 30)),
        thief: dealt(SellerRecord(), 0, MicroBtt(0), NOW, LIED),
    }
    assert cost(records[cheap], offers[cheap]) == 40 * 1_024
    assert rank(offers, records, NOW) == [unknown, dear, cheap]
    assert rank(offers, records, UtcMs(NOW + 25 * HOUR_MS))[0] == thief, "not for ever"
