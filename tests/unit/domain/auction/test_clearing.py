"""Clearing: A1 to A4 of auction/clearing.py."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.core.units import BTT, MicroBttPerMib
from appliance.domain.auction.clearing import (
    Cleared,
    RoundReport,
    Rule,
    SlotBid,
    breaker,
    clear,
    commitment,
    fair,
)

SEED = b"s" * 32


def bid(price: float, name: int = 0, torrent: str = "t", ip: str = "") -> SlotBid:
    key = (name or round(price * 10)).to_bytes(33, "big")
    return SlotBid(key, ip or f"10.0.{key[-2]}.{key[-1]}", torrent, MicroBttPerMib(round(price * BTT)))


def prices(cleared: Cleared) -> list[int]:
    return [one.price // BTT for one in cleared.winners]


def test_the_worked_example_five_winners_pay_the_lowest_winning_bid() -> None:
    """5 slots; 10000, 1000, 100, 10, 1, 0.5: five winners, each pays 1 (BitTorrent Speed)."""
    bids = [bid(price) for price in (10_000, 1_000, 100, 10, 1, 0.5)]
    cleared = clear(bids, slots=5, reserve=MicroBttPerMib(0), seed=SEED)
    assert prices(cleared) == [10_000, 1_000, 100, 10, 1]
    assert cleared.price == MicroBttPerMib(BTT)
    other = clear(bids, slots=5, reserve=MicroBttPerMib(0), seed=SEED, rule=Rule.HIGHEST_LOSING)
    assert prices(other) == prices(cleared)
    assert other.price == BTT // 2


@pytest.mark.parametrize(("rule", "price"), [(Rule.LOWEST_WINNING, 30), (Rule.HIGHEST_LOSING, 7)])
def test_with_fewer_bids_than_slots_the_reserve_may_be_all_there_is_to_pay(rule: Rule, price: int) -> None:
    bids = [bid(50), bid(30), bid(6.9)]
    cleared = clear(bids, slots=5, reserve=MicroBttPerMib(7 * BTT), seed=SEED, rule=rule)
    assert prices(cleared) == [50, 30]
    assert cleared.price == price * BTT


def test_nobody_at_all_leaves_the_reserve_as_the_price() -> None:
    assert clear([], slots=5, reserve=MicroBttPerMib(7), seed=SEED) == Cleared((), MicroBttPerMib(7), None)
    assert clear([bid(9)], slots=0, reserve=MicroBttPerMib(7), seed=SEED).winners == ()


def test_one_address_gets_one_slot_for_its_best_bid() -> None:
    bids = [bid(50, 1, ip="a"), bid(60, 2, ip="a"), bid(40, 3, ip="b")]
    cleared = clear(bids, slots=3, reserve=MicroBttPerMib(0), seed=SEED)
    assert [one.key[-1] for one in cleared.winners] == [2, 3]


def test_a_torrents_own_slots_are_a_limit_and_the_next_torrent_gets_the_rest() -> None:
    bids = [bid(50, 1, "x"), bid(40, 2, "x"), bid(30, 3, "y"), bid(20, 4, "y")]
    cleared = clear(bids, slots=3, reserve=MicroBttPerMib(0), seed=SEED, per_torrent=1)
    assert [one.key[-1] for one in cleared.winners] == [1, 3]
    assert cleared.price == 30 * BTT


many = st.lists(
    st.builds(
        lambda name, ip, torrent, price: SlotBid(
            name.to_bytes(33, "big"), f"10.0.0.{ip}", f"t{torrent}", MicroBttPerMib(price)
        ),
        st.integers(1, 60),
        st.integers(1, 40),
        st.integers(0, 3),
        st.integers(0, 12),
    ),
    max_size=60,
    unique_by=lambda one: one.key,
)


@given(
    many,
    st.integers(0, 8),
    st.integers(0, 6),
    st.sampled_from(Rule),
    st.integers(0, 3),
    st.binary(min_size=1),
)
def test_the_rules_hold_whatever_is_bid(
    bids: list[SlotBid], slots: int, reserve: int, rule: Rule, per_torrent: int, seed: bytes
) -> None:
    told = {"slots": slots, "reserve": MicroBttPerMib(reserve), "seed": seed, "rule": rule}
    cleared = clear(bids, per_torrent=per_torrent, **told)  # type: ignore[arg-type]
    winners = cleared.winners
    assert len(winners) <= slots
    assert all(reserve <= cleared.price <= one.price for one in winners), "A1"
    assert len({one.key for one in winners}) == len({one.ip for one in winners}) == len(winners), "A3"
    best = {ip: max(one.price for one in bids if one.ip == ip) for ip in {one.ip for one in bids}}
    lost = [one for one in bids if one not in winners and one.price == best[one.ip] and one.price >= reserve]
    full = {
        t
        for t in {one.torrent for one in bids}
        if per_torrent and sum(w.torrent == t for w in winners) >= per_torrent
    }
    for one in lost:
        alone = [other for other in winners if other.ip == one.ip]
        assert alone or not slots or one.torrent in full or one.price <= cleared.price, "A2"
    if len(winners) < slots:
        assert all(one.torrent in full or any(w.ip == one.ip for w in winners) for one in lost)
    shuffled = list(bids)
    random.Random(1).shuffle(shuffled)
    assert clear(shuffled, per_torrent=per_torrent, **told) == cleared, "A4"  # type: ignore[arg-type]


@given(many, st.integers(1, 8), st.sampled_from(Rule), st.binary(min_size=1))
def test_an_honest_round_looks_fair_to_everybody(
    bids: list[SlotBid], slots: int, rule: Rule, seed: bytes
) -> None:
    bids = list({one.ip: one for one in bids}.values())
    cleared = clear(bids, slots=slots, reserve=MicroBttPerMib(0), seed=seed, rule=rule)
    for one in bids:
        told = RoundReport(rule, commitment(seed), seed, one in cleared.winners, cleared.price, cleared.tie)
        assert fair(one.key, one.price, told), (one, told)


def test_a_seller_that_lies_is_found_out() -> None:
    high, low = bid(50), bid(30)
    commit = commitment(SEED)

    def told(won: bool, price: int, tie: bytes | None = None, seed: bytes = SEED) -> RoundReport:
        return RoundReport(Rule.LOWEST_WINNING, commit, seed, won, MicroBttPerMib(price * BTT), tie)

    assert not fair(high.key, high.price, told(False, 30)), "it has bid more than the price, and lost"
    assert not fair(low.key, low.price, told(True, 31)), "it would pay more than it has bid"
    assert not fair(low.key, low.price, told(False, 30)), "it has bid the price, and no tie is told of"
    mine = breaker(SEED, low.key)
    assert not fair(
        low.key,
        low.price,
        told(False, 30, tie=mine[:-1] + bytes([mine[-1] ^ 1]) if mine[-1] & 1 == 0 else mine),
    )
    assert not fair(low.key, low.price, told(False, 40, seed=b"another"))


def test_equal_bids_are_decided_by_the_seed_and_not_by_who_came_first() -> None:
    bids = [bid(5, name) for name in range(1, 40)]
    first = clear(bids, slots=3, reserve=MicroBttPerMib(0), seed=b"a")
    assert {one.key for one in first.winners} == {
        one.key for one in sorted(bids, key=lambda one: breaker(b"a", one.key))[:3]
    }
    assert first.winners != clear(bids, slots=3, reserve=MicroBttPerMib(0), seed=b"b").winners
