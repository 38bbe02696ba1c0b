"""The seller: S1 to S4 of auction/seller.py."""

import random
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from appliance.auction.clearing import Bid, Rule, Told, fair
from appliance.auction.lease import CREDIT, ROUND_NS, Standing, Why, charge
from appliance.auction.reserve import Reserve
from appliance.auction.seller import (
    Asks,
    Effect,
    Keep,
    Look,
    Narrow,
    Offer,
    Over,
    Receipts,
    Results,
    Seats,
    Seller,
    Terms,
    Wide,
)
from appliance.errors import PeerMisbehaved
from appliance.units import MIB, MicroBtt, MicroBttPerMib, MonoNs

E = TypeVar("E")
PLENTY = MicroBtt(10**12)


def key(number: int) -> bytes:
    return number.to_bytes(33, "big")


def offer(number: int, price: int, channel: int = 0) -> Offer:
    return Offer(
        key=key(number),
        ip=f"10.0.0.{number}",
        torrent="t",
        port=6_881,
        price=MicroBttPerMib(price),
        wants=100 * MIB,
        channel=key(channel or number)[1:],
    )


class Stall:
    """A seller and its effects, in virtual time."""

    def __init__(self, slots: int = 2, rule: Rule = Rule.LOWEST_WINNING) -> None:
        self.now = MonoNs(0)
        reserve = Reserve(
            price=MicroBttPerMib(10), floor=MicroBttPerMib(10), ceiling=MicroBttPerMib(10), adaptive=False
        )
        self.seller = Seller(Terms(slots=slots, rule=rule), reserve, random.Random(1).randbytes, self.now)
        self.wide: dict[bytes, bool] = {}
        self.done: list[Effect] = []
        self.sent: dict[str, dict[str, int]] = {}

    def do(self, effects: list[Effect]) -> list[Effect]:
        for one in effects:
            if isinstance(one, Wide | Narrow):
                self.wide[one.key] = isinstance(one, Wide)
        self.done += effects
        return effects

    def comes(self, number: int, price: int, available: int = PLENTY) -> None:
        if number not in self.seller.bidders:
            self.do(self.seller.opened(number, key(number), f"10.0.0.{number}", "t", self.now))
        for look in self.do(self.seller.bid(number, self.seller.round, offer(number, price))):
            assert isinstance(look, Look)
            self.do(self.seller.funded(number, look.channel, MicroBtt(0), MicroBtt(available)))

    def round(self) -> list[Effect]:
        self.now = MonoNs(self.now + ROUND_NS)
        return self.do(self.seller.tick(self.now))

    def serve(self, number: int, count: int) -> list[Effect]:
        there = self.sent.setdefault(f"10.0.0.{number}", {"c": 0})
        there["c"] += count
        return self.count()

    def count(self) -> list[Effect]:
        return self.do(self.seller.counted(self.sent, self.now))

    def pays(self, number: int, total: int) -> list[Effect]:
        one = offer(number, 1)
        return self.do(self.seller.paid(one.key, one.channel, MicroBtt(total), PLENTY))


def some(effects: list[Effect], kind: type[E]) -> list[E]:
    return [one for one in effects if isinstance(one, kind)]


def test_a_round_is_told_decided_and_served() -> None:
    stall = Stall()
    for number, price in ((1, 500), (2, 300), (3, 100)):
        stall.comes(number, price)
    asks = some(stall.done, Asks)
    assert {(one.round, one.slots, one.reserve) for one in asks} == {(1, 2, 10)}
    effects = stall.round()
    results = {one.line: one for one in some(effects, Results)}
    assert {line: one.won for line, one in results.items()} == {1: True, 2: True, 3: False}
    assert {one.price for one in results.values()} == {300}
    assert stall.wide == {key(1): True, key(2): True, key(3): False}
    assert [len(one.wishes) for one in some(effects, Seats)] == [3], "who has not won has a lane too"
    assert {one.lease.key for one in some(effects, Keep)} == {key(1), key(2)}
    for number, price in ((1, 500), (3, 100)):
        one = results[number]
        told = Told(Rule.LOWEST_WINNING, asks[0].commit, one.seed, one.won, one.price, one.tie)
        bid = offer(number, price)
        assert fair(Bid(bid.key, bid.ip, bid.torrent, bid.price), told), "S4"
    assert {one.round for one in some(effects, Asks)} == {2}


def test_who_does_not_pay_is_warned_stopped_and_ended_and_owes() -> None:
    stall = Stall()
    stall.comes(1, 100)
    stall.round()
    stall.count()
    assert some(stall.serve(1, CREDIT // 2), Receipts)
    assert stall.wide[key(1)]
    stall.serve(1, CREDIT // 2)
    assert not stall.wide[key(1)], "S2"
    assert some(stall.pays(1, 200), Wide)
    stall.serve(1, CREDIT // 2)
    assert not stall.wide[key(1)]
    (over,) = some(stall.serve(1, CREDIT // 2), Over)
    assert over.lease.ended is Why.UNPAID
    assert stall.seller.debts == {key(1): over.lease.unpaid}
    assert not some(stall.round(), Keep), "S3"
    stall.pays(1, 200 + over.lease.unpaid)
    assert stall.seller.debts == {}
    assert some(stall.round(), Keep)


def test_a_bid_that_its_channel_does_not_cover_is_not_heard() -> None:
    stall = Stall()
    stall.comes(1, 100, available=charge(CREDIT, MicroBttPerMib(100)) - 1)
    assert not some(stall.round(), Keep)
    stall.seller.funded(1, offer(1, 100).channel, MicroBtt(0), charge(CREDIT, MicroBttPerMib(100)))
    assert some(stall.round(), Keep)


def test_winning_again_goes_on_with_the_same_lease_and_losing_lets_it_end() -> None:
    stall = Stall(slots=1)
    stall.comes(1, 100)
    stall.round()
    stall.comes(2, 200)
    effects = stall.round()
    assert {one.lease.key for one in some(effects, Keep)} == {key(2)}
    assert set(stall.seller.served) == {key(1), key(2)}, "it has a round left"
    stall.round()
    stall.count()
    assert set(stall.seller.served) == {key(2)}


def test_a_bid_can_be_taken_back_and_a_line_can_break() -> None:
    stall = Stall()
    stall.comes(1, 100)
    stall.do(stall.seller.bid(1, 1, offer(1, 0)))
    assert not some(stall.round(), Results)
    stall.comes(1, 100)
    stall.seller.closed(1)
    assert not some(stall.round(), Keep)


def test_nobody_bids_for_another() -> None:
    stall = Stall()
    stall.comes(1, 100)
    with pytest.raises(PeerMisbehaved):
        stall.seller.bid(1, 1, offer(2, 100))


def test_a_torrent_that_is_gone_ends_its_leases() -> None:
    stall = Stall()
    stall.comes(1, 100)
    stall.round()
    stall.do(stall.seller.gone("t"))
    assert not stall.wide[key(1)]
    (over,) = some(stall.count(), Over)
    assert over.lease.ended is Why.GONE
    assert not some(stall.round(), Keep)


class Day(RuleBasedStateMachine):
    """Bidders that come, go, pay or do not, and a seller that serves."""

    def __init__(self) -> None:
        super().__init__()
        self.stall = Stall(slots=3)
        self.prices: dict[bytes, int] = {}
        self.totals: dict[int, int] = {}
        self.highest: dict[bytes, int] = {}

    @rule(
        number=st.integers(1, 8), price=st.integers(0, 1_000), available=st.sampled_from([0, 10**4, 10**12])
    )
    def bids(self, number: int, price: int, available: int) -> None:
        self.stall.comes(number, price, available)
        self.prices[key(number)] = price

    @rule(number=st.integers(1, 8))
    def leaves(self, number: int) -> None:
        if number in self.stall.seller.bidders:
            self.stall.do(self.stall.seller.closed(number))

    @rule(number=st.integers(1, 8), mib=st.integers(0, 3))
    def is_sent(self, number: int, mib: int) -> None:
        if self.stall.wide.get(key(number)):
            self.stall.serve(number, mib * MIB)

    @rule(number=st.integers(1, 8), more=st.integers(0, 3_000))
    def pays(self, number: int, more: int) -> None:
        self.totals[number] = self.totals.get(number, 0) + more
        self.stall.pays(number, self.totals[number])

    @rule(number=st.integers(1, 8))
    def reconnects(self, number: int) -> None:
        self.stall.sent.pop(f"10.0.0.{number}", None)
        self.stall.count()

    @rule()
    def round(self) -> None:
        effects = self.stall.round()
        self.stall.count()
        for one in some(effects, Keep):
            assert one.lease.price <= self.prices[one.lease.key], "S1"

    @invariant()
    def it_holds(self) -> None:
        seller = self.stall.seller
        for owner, served in seller.served.items():
            lease = served.lease
            assert lease.key == owner
            if lease.standing in (Standing.STOPPED, Standing.ENDED):
                assert not self.stall.wide.get(owner), "S2"
            most = charge(lease.credit * 5 // 4 + 3 * MIB, lease.price)
            assert lease.ended or lease.unpaid <= max(most, charge(CREDIT * 2, MicroBttPerMib(1_000)))
        for owner, wide in self.stall.wide.items():
            assert not wide or owner in seller.served, "S2"
        assert len([one for one in seller.served.values() if not one.lease.ended]) <= 2 * seller.terms.slots


TestDay = Day.TestCase
TestDay.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
