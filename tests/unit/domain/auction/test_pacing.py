"""Pacing of a budget, and the reserve price that follows demand."""

from hypothesis import given
from hypothesis import strategies as st

from appliance.core.units import MIB, MicroBtt, MicroBttPerMib
from appliance.domain.auction import pacing, reserve
from appliance.domain.auction.pacing import Pace
from appliance.domain.auction.reserve import Reserve

VALUE = MicroBttPerMib(10_000)


def pace(budget: int, rounds: int = 100, ceiling: int = 8_000) -> Pace:
    return Pace(value=VALUE, ceiling=MicroBttPerMib(ceiling), left=MicroBtt(budget), rounds=rounds)


@given(st.integers(0, 10**9), st.integers(1, 1_000), st.integers(0, 10**5), st.integers(0, 10**9))
def test_no_bid_exceeds_value_ceiling_or_what_is_left(left: int, rounds: int, ceiling: int, mu: int) -> None:
    one = Pace(
        value=VALUE,
        ceiling=MicroBttPerMib(ceiling),
        left=MicroBtt(left),
        rounds=rounds,
        mu=min(mu, pacing.MOST_MU),
    )
    said = pacing.bid(one, 8 * MIB)
    assert 0 <= said <= min(VALUE, ceiling)
    assert said * 8 <= left


def spend(one: Pace, price_of: list[int], mib: int = 8) -> tuple[Pace, list[int]]:
    """Rounds against a market whose price is given; what was spent in each."""
    spent = []
    for price in price_of:
        said = pacing.bid(one, mib * MIB)
        paid = price * mib if said >= price else 0
        spent.append(paid)
        one = pacing.after(one, MicroBtt(paid), said)
    return one, spent


def test_a_budget_lasts_as_long_as_it_should() -> None:
    """It could win every round of 8,000 µBTT; its budget is for a quarter of them."""
    _, spent = spend(pace(2_000 * 400, rounds=400), [1_000] * 400)
    assert sum(spent) <= 2_000 * 400
    assert sum(spent) > 1_000 * 400, "most of it was used"
    halves = sum(spent[:200]), sum(spent[200:])
    assert halves[1] > halves[0] // 4, "and not all of it at the beginning"


def test_who_has_plenty_bids_what_it_is_worth() -> None:
    one, spent = spend(pace(10**9, rounds=10), [5_000] * 10)
    assert spent == [40_000] * 10
    assert one.mu == 0


def test_small_changes_are_not_worth_a_new_bid() -> None:
    one = pace(10**9)
    first = pacing.bid(one, MIB)
    nudged = Pace(
        value=MicroBttPerMib(VALUE + 300), ceiling=one.ceiling, left=one.left, rounds=one.rounds, last=first
    )
    assert pacing.bid(nudged, MIB) == first


def test_the_reserve_falls_until_somebody_buys_and_rises_with_demand() -> None:
    one = Reserve(price=MicroBttPerMib(1_000), floor=MicroBttPerMib(10), ceiling=MicroBttPerMib(5_000))
    for _ in range(100):
        one = reserve.after(one, slots=4, sold=0, waiting=0, clearing=one.price)
    assert one.price == 10
    for _ in range(1_000):
        one = reserve.after(one, slots=4, sold=4, waiting=3, clearing=MicroBttPerMib(2_000))
    assert one.price == 2_000, "not above what was paid"
    posted = Reserve(
        price=MicroBttPerMib(7), floor=MicroBttPerMib(1), ceiling=MicroBttPerMib(9), adaptive=False
    )
    assert reserve.after(posted, slots=4, sold=0, waiting=0, clearing=MicroBttPerMib(7)) == posted


@given(st.integers(0, 10**6), st.integers(0, 4), st.integers(0, 9), st.integers(0, 10**7))
def test_the_reserve_stays_between_its_bounds(price: int, sold: int, waiting: int, clearing: int) -> None:
    one = Reserve(
        price=MicroBttPerMib(min(max(price, 10), 5_000)),
        floor=MicroBttPerMib(10),
        ceiling=MicroBttPerMib(5_000),
    )
    after = reserve.after(one, slots=4, sold=sold, waiting=waiting, clearing=MicroBttPerMib(clearing))
    assert 10 <= after.price <= 5_000
