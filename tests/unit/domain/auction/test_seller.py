"""The seller: S1 to S4 of auction/seller.py."""

import random
from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from appliance.core.errors import PeerMisbehaved
from appliance.core.units import MIB, MicroBtt, MicroBttPerMib, MonoNs
from appliance.domain.auction.clearing import RoundReport, Rule, fair
from appliance.domain.auction.effects import (
    AssignLanes,
    Effect,
    Inspect,
    Keep,
    LeaseOver,
    Send,
    SetService,
)
from appliance.domain.auction.lanes import Lanes, LaneService
from appliance.domain.auction.lease import CREDIT, GRACE_NS, ROUND_NS, LeaseEnd, LeaseStanding, charge
from appliance.domain.auction.messages import THROTTLED, Ask, Message, Receipt, Result, Trouble
from appliance.domain.auction.meter import PeerConnection
from appliance.domain.auction.model import Offer, SellerMemory, Terms
from appliance.domain.auction.reserve import Reserve
from appliance.domain.auction.seller import Seller

E = TypeVar("E", bound=Effect)
M = TypeVar("M", bound=Message)
LEDGER = b"L" * 32
PLENTY = MicroBtt(10**12)


def key(number: int) -> bytes:
    return number.to_bytes(33, "big")


def offer(number: int, price: int, channel: int = 0, ip: str = "") -> Offer:
    return Offer(
        key=key(number),
        ip=ip or f"10.0.0.{number}",
        torrent="t",
        port=6_881,
        price=MicroBttPerMib(price),
        wants=100 * MIB,
        channel=key(channel or number)[1:],
    )


def connection(ip: str) -> PeerConnection:
    return PeerConnection("t", ip, 6_881)


class Stall:
    """A seller and its effects, in virtual time."""

    def __init__(self, slots: int = 2, rule: Rule = Rule.LOWEST_WINNING) -> None:
        self.now = MonoNs(0)
        reserve = Reserve(
            price=MicroBttPerMib(10), floor=MicroBttPerMib(10), ceiling=MicroBttPerMib(10), adaptive=False
        )
        self.reserve = reserve
        self.seller = Seller(
            Terms(slots=slots, rule=rule, ledger=LEDGER), reserve, random.Random(1).randbytes, self.now
        )
        self.prioritised: dict[bytes, bool] = {}
        self.receipts: dict[bytes, Receipt] = {}
        self.kept = SellerMemory()
        self.totals: dict[bytes, MicroBtt] = {}
        """What each channel has paid, as the wallet knows it."""
        self.done: list[Effect] = []
        self.sent: dict[str, dict[PeerConnection, int]] = {}

    def do(self, effects: list[Effect]) -> list[Effect]:
        for one in effects:
            match one:
                case SetService(key, service):
                    self.prioritised[key] = service is LaneService.PRIORITISED
                case Keep():
                    self.kept = self.seller.memory()
                case Send(connection, Receipt() as receipt):
                    self.receipts[self.seller.bidders[connection].key] = receipt
        self.done += effects
        return effects

    def comes(self, number: int, price: int, available: int = PLENTY) -> None:
        if number not in self.seller.bidders:
            self.do(self.seller.opened(number, key(number), f"10.0.0.{number}", "t", self.now))
        for look in self.do(self.seller.bid(number, offer(number, price))):
            assert isinstance(look, Inspect)
            paid = self.totals.setdefault(look.channel, MicroBtt(0))
            self.do(self.seller.funded(number, look.channel, paid, MicroBtt(available)))

    def round(self) -> list[Effect]:
        self.now = MonoNs(self.now + ROUND_NS)
        return self.do(self.seller.tick(self.now))

    def serve(self, number: int, count: int) -> list[Effect]:
        there = self.sent.setdefault(f"10.0.0.{number}", {connection(f"10.0.0.{number}"): 0})
        there[connection(f"10.0.0.{number}")] += count
        return self.count()

    def count(self) -> list[Effect]:
        return self.do(self.seller.counted(self.sent, self.now))

    def pays(self, number: int, total: int) -> list[Effect]:
        one = offer(number, 1)
        self.totals[one.channel] = MicroBtt(max(total, self.totals.get(one.channel, 0)))
        return self.do(self.seller.paid(one.key, one.channel, self.totals[one.channel]))

    def waits(self, ns: int) -> list[Effect]:
        self.now = MonoNs(self.now + ns)
        return self.count()

    def crashes(self) -> None:
        """Power is cut: what was kept, and what the wallet knows, is all that is left."""
        self.seller = Seller(
            self.seller.terms, self.reserve, random.Random(2).randbytes, self.now, self.kept, self.totals
        )
        self.prioritised, self.sent = {}, {}


def some(effects: list[Effect], kind: type[E]) -> list[E]:
    return [one for one in effects if isinstance(one, kind)]


def sent(effects: list[Effect], kind: type[M]) -> list[tuple[int, M]]:
    """(connection, message) of all messages of a kind."""
    return [(one.connection, one.message) for one in some(effects, Send) if isinstance(one.message, kind)]


def test_a_round_is_told_decided_and_served() -> None:
    stall = Stall()
    for number, price in ((1, 500), (2, 300), (3, 100)):
        stall.comes(number, price)
    asks = sent(stall.done, Ask)
    assert {(ask.round, ask.slots, ask.reserve, ask.ledger) for _, ask in asks} == {(1, 2, 10, LEDGER)}
    effects = stall.round()
    results = dict(sent(effects, Result))
    assert {number: bool(one.won) for number, one in results.items()} == {1: True, 2: True, 3: False}
    assert {one.price for one in results.values()} == {300}
    assert stall.prioritised == {key(1): True, key(2): True, key(3): False}
    assert [len(one.requests) for one in some(effects, AssignLanes)] == [3], "who has not won has a lane too"
    assert set(stall.seller.served) == {key(1), key(2)}
    assert isinstance(effects[0], Keep), "written down before anybody is told"
    assert {one.key for one in stall.kept.sold} == {key(1), key(2)}
    for number, price in ((1, 500), (3, 100)):
        one = results[number]
        commit = asks[0][1].commit
        report = RoundReport(
            Rule.LOWEST_WINNING,
            commit,
            one.reveal,
            bool(one.won),
            MicroBttPerMib(one.price),
            one.tie or None,
        )
        assert fair(key(number), MicroBttPerMib(price), report), "S4"
    assert {ask.round for _, ask in sent(effects, Ask)} == {2}


def test_nobody_is_asked_to_bid_while_the_ledger_to_pay_through_is_unknown() -> None:
    stall = Stall()
    stall.seller.terms = replace(stall.seller.terms, ledger=b"")
    assert not stall.seller.opened(1, key(1), "10.0.0.1", "t", stall.now)
    assert not sent(stall.round(), Ask)
    stall.seller.terms = replace(stall.seller.terms, ledger=LEDGER)
    assert [number for number, _ in sent(stall.round(), Ask)] == [1]


def test_a_payer_is_told_once_of_each_change_of_what_is_sent_and_others_are_not() -> None:
    stall = Stall(slots=1)
    stall.comes(1, 500)
    stall.comes(2, 100)
    stall.round()
    stall.seller.throttle("The box is hot.", new_work=True)
    for _ in range(3):
        stall.serve(1, 100)
    stall.seller.throttle("", new_work=True)
    stall.count()
    stall.count()
    assert sent(stall.done, Trouble) == [
        (1, Trouble(code=THROTTLED, text=b"The box is hot.")),
        (1, Trouble(code=THROTTLED, text=b"")),
    ]


def test_a_payer_that_connects_anew_is_told_again() -> None:
    stall = Stall()
    stall.comes(1, 500)
    stall.round()
    stall.seller.throttle("The box is hot.", new_work=True)
    stall.count()
    stall.do(stall.seller.closed(1))
    stall.do(stall.seller.opened(7, key(1), "10.0.0.1", "t", stall.now))
    stall.count()
    assert [number for number, _ in sent(stall.done, Trouble)] == [1, 7]


def test_without_new_work_a_lease_goes_on_and_none_is_begun() -> None:
    stall = Stall()
    stall.comes(1, 500)
    stall.round()
    stall.seller.throttle("The box is hot.", new_work=False)
    stall.comes(2, 900)
    for _ in range(3):
        stall.serve(1, 100)
        results = dict(sent(stall.round(), Result))
        assert results[1].won
        assert not results[2].won
        assert results[2].full, "it has bid more, and is told that this was not why"
    assert set(stall.seller.served) == {key(1)}
    stall.seller.throttle("", new_work=True)
    stall.round()
    assert set(stall.seller.served) == {key(1), key(2)}


def test_who_does_not_pay_is_warned_stopped_and_ended_and_owes() -> None:
    stall = Stall()
    stall.comes(1, 100)
    stall.round()
    stall.count()
    assert sent(stall.serve(1, CREDIT // 2), Receipt)
    assert stall.prioritised[key(1)]
    stall.serve(1, CREDIT // 2)
    assert not stall.prioritised[key(1)], "S2"
    assert some(stall.pays(1, 200), SetService)
    assert stall.prioritised[key(1)]
    stall.serve(1, CREDIT // 2)
    assert not stall.prioritised[key(1)]
    (over,) = some(stall.waits(GRACE_NS), LeaseOver)
    assert over.lease.ended is LeaseEnd.UNPAID
    assert stall.kept.debts[key(1)].due == over.lease.owed == 600, "written down"
    assert (stall.receipts[key(1)].owed, stall.receipts[key(1)].paid) == (600, 200)
    stall.round()
    assert not stall.seller.served, "S3"
    stall.pays(1, 599)
    assert stall.seller.debts
    stall.pays(1, 600)
    assert not stall.seller.debts
    stall.round()
    assert set(stall.seller.served) == {key(1)}


def test_a_second_lease_asks_for_nothing_that_the_first_was_paid_for() -> None:
    """A receipt names what is due in the channel in all: a buyer need not know where a lease began."""
    stall = Stall()
    stall.comes(1, 100)
    stall.round()
    stall.count()
    stall.serve(1, 2 * MIB)
    stall.pays(1, 200)
    stall.comes(1, 0)
    stall.round()
    stall.round()
    stall.count()
    assert not stall.seller.served
    stall.comes(1, 100)
    stall.round()
    stall.count()
    stall.serve(1, 2 * MIB)
    assert (stall.receipts[key(1)].owed, stall.receipts[key(1)].sent) == (400, 2 * MIB)


def test_meters_that_do_not_agree_end_a_lease_with_the_reason() -> None:
    stall = Stall()
    stall.comes(1, 100)
    stall.round()
    stall.do(stall.seller.disagreed(1))
    assert not stall.prioritised[key(1)]
    (over,) = some(stall.count(), LeaseOver)
    assert over.lease.ended is LeaseEnd.DISAGREED


def test_a_lease_goes_on_after_a_crash_and_nothing_is_paid_for_twice() -> None:
    stall = Stall()
    stall.comes(1, 100)
    stall.round()
    stall.count()
    stall.serve(1, 3 * MIB)
    stall.pays(1, 300)
    stall.serve(1, MIB)
    stall.crashes()
    lease = stall.seller.served[key(1)].lease
    assert (lease.price, lease.owed, lease.unpaid) == (100, 300, 0)
    assert [request.key for request in stall.seller.lanes().requests] == [key(1)]
    stall.comes(1, 100)
    stall.count()
    stall.serve(1, 2 * MIB)
    assert stall.receipts[key(1)].owed == 500
    stall.round()
    assert stall.seller.served[key(1)].lease.owed == 500, "won again, it is the same lease"


def test_a_debt_outlives_a_crash_and_what_was_paid_meanwhile_counts() -> None:
    stall = Stall()
    stall.comes(1, 100)
    stall.round()
    stall.count()
    stall.serve(1, CREDIT)
    stall.waits(GRACE_NS)
    stall.crashes()
    assert stall.seller.debts[key(1)].due == 400
    stall.comes(1, 100)
    assert stall.receipts[key(1)].owed == 400, "who comes back is told"
    stall.round()
    assert not stall.seller.served
    stall.totals[offer(1, 1).channel] = MicroBtt(400)
    stall.crashes()
    assert not stall.seller.debts, "the state was kept, and the crash came before the rest"


def test_a_bid_that_its_channel_does_not_cover_is_not_heard() -> None:
    stall = Stall()
    stall.comes(1, 100, available=charge(CREDIT, MicroBttPerMib(100)) - 1)
    stall.round()
    assert not stall.seller.served
    stall.seller.funded(1, offer(1, 100).channel, MicroBtt(0), charge(CREDIT, MicroBttPerMib(100)))
    stall.round()
    assert stall.seller.served


def test_a_channel_that_the_ledger_could_not_tell_of_is_looked_at_in_every_round() -> None:
    stall = Stall()
    stall.do(stall.seller.opened(1, key(1), "10.0.0.1", "t", stall.now))
    assert some(stall.seller.bid(1, offer(1, 100)), Inspect)
    assert some(stall.round(), Inspect)
    stall.seller.funded(1, offer(1, 100).channel, MicroBtt(0), PLENTY)
    stall.round()
    assert stall.seller.served
    assert not some(stall.round(), Inspect)


def test_winning_again_goes_on_with_the_same_lease_and_losing_lets_it_end() -> None:
    stall = Stall(slots=1)
    stall.comes(1, 100)
    stall.round()
    stall.comes(2, 200)
    effects = stall.round()
    assert {number: bool(one.won) for number, one in sent(effects, Result)} == {1: False, 2: True}
    assert set(stall.seller.served) == {key(1), key(2)}, "it has a round left"
    stall.round()
    stall.count()
    assert set(stall.seller.served) == {key(2)}


def test_who_comes_back_from_another_address_has_its_slot_at_once_and_owes_what_it_owed() -> None:
    stall = Stall()
    stall.comes(1, 1_000)
    stall.round()
    stall.serve(1, 0)
    stall.serve(1, MIB)
    stall.do(stall.seller.closed(1))
    stall.do(stall.seller.opened(2, key(1), "10.0.9.9", "t", stall.now))
    (look,) = stall.do(stall.seller.bid(2, offer(1, 1_000, ip="10.0.9.9")))
    assert isinstance(look, Inspect)
    stall.do(stall.seller.funded(2, look.channel, MicroBtt(0), PLENTY))
    effects = stall.round()
    assert sent(effects, Result)[0][1].won
    assert some(effects, LeaseOver)[0].lease.ended is LeaseEnd.MOVED
    lease = stall.seller.served[key(1)].lease
    assert (lease.ip, lease.sent, lease.owed, lease.paid) == ("10.0.9.9", 0, lease.base, 0)
    assert lease.owed == charge(MIB, lease.price)
    stall.sent["10.0.9.9"] = {connection("10.0.9.9"): 5 * MIB}
    stall.count()
    assert stall.seller.served[key(1)].lease.owed == lease.base, "what it was sent before it won is free"


def test_who_pays_with_another_channel_has_settled_the_first_one_before_it_wins_again() -> None:
    stall = Stall()
    stall.comes(1, 1_000)
    stall.round()
    stall.serve(1, 0)
    (look,) = stall.do(stall.seller.bid(1, offer(1, 1_000, channel=7)))
    assert isinstance(look, Inspect)
    stall.do(stall.seller.funded(1, look.channel, MicroBtt(0), PLENTY))
    assert not sent(stall.round(), Result)[0][1].won, "nobody is told of a slot that it does not get"
    (over,) = some(stall.count(), LeaseOver)
    assert over.lease.ended is LeaseEnd.MOVED
    assert sent(stall.round(), Result)[0][1].won


def test_a_posted_price_is_the_one_that_is_configured_whatever_was_kept() -> None:
    kept = SellerMemory(reserve=MicroBttPerMib(900))
    posted = Reserve(
        price=MicroBttPerMib(10), floor=MicroBttPerMib(10), ceiling=MicroBttPerMib(1_000), adaptive=False
    )
    chance = random.Random(1).randbytes
    assert Seller(Terms(slots=1), posted, chance, MonoNs(0), kept).reserve.price == 10
    moving = replace(posted, adaptive=True)
    assert Seller(Terms(slots=1), moving, chance, MonoNs(0), kept).reserve.price == 900


def test_a_bid_can_be_taken_back_and_a_line_can_break() -> None:
    stall = Stall()
    stall.comes(1, 100)
    stall.do(stall.seller.bid(1, offer(1, 0)))
    assert not sent(stall.round(), Result)
    stall.comes(1, 100)
    stall.seller.closed(1)
    stall.round()
    assert not stall.seller.served


def test_nobody_bids_for_another() -> None:
    stall = Stall()
    stall.comes(1, 100)
    with pytest.raises(PeerMisbehaved):
        stall.seller.bid(1, offer(2, 100))


def test_a_torrent_that_is_gone_ends_its_leases() -> None:
    stall = Stall()
    stall.comes(1, 100)
    stall.round()
    stall.do(stall.seller.gone("t"))
    assert not stall.prioritised[key(1)]
    (over,) = some(stall.count(), LeaseOver)
    assert over.lease.ended is LeaseEnd.GONE
    stall.round()
    assert not stall.seller.served


class Day(RuleBasedStateMachine):
    """Bidders that come, go, pay or do not, and a seller that serves."""

    def __init__(self) -> None:
        super().__init__()
        self.stall = Stall(slots=3)
        self.highest: dict[bytes, int] = {}

    @rule(
        number=st.integers(1, 8), price=st.integers(0, 1_000), available=st.sampled_from([0, 10**4, 10**12])
    )
    def bids(self, number: int, price: int, available: int) -> None:
        self.stall.comes(number, price, available)
        self.highest[key(number)] = max(price, self.highest.get(key(number), 0))

    @rule(number=st.integers(1, 8))
    def leaves(self, number: int) -> None:
        if number in self.stall.seller.bidders:
            self.stall.do(self.stall.seller.closed(number))

    @rule(number=st.integers(1, 8), quarters=st.integers(0, 4))
    def is_sent(self, number: int, quarters: int) -> None:
        """At most a quarter of the credit between two looks."""
        if self.stall.prioritised.get(key(number)):
            self.stall.serve(number, CREDIT // 4 * quarters // 4)

    @rule(number=st.integers(1, 8), more=st.integers(0, 3_000))
    def pays(self, number: int, more: int) -> None:
        receipt = self.stall.receipts.get(key(number))
        if receipt:
            self.stall.pays(number, min(receipt.owed, receipt.paid + more))

    @rule(number=st.integers(1, 8))
    def reconnects(self, number: int) -> None:
        self.stall.sent.pop(f"10.0.0.{number}", None)
        self.stall.count()

    @rule()
    def round(self) -> None:
        self.stall.count()
        self.stall.round()
        for owner, served in self.stall.seller.served.items():
            assert served.lease.ended or served.lease.price <= self.highest[owner], "S1"

    @rule()
    def crashes(self) -> None:
        before = {
            owner: debt.due
            for owner, debt in self.stall.seller.debts.items()
            if owner in self.stall.kept.debts
        }
        self.stall.crashes()
        for owner, due in before.items():
            assert self.stall.seller.debts[owner].due == due, "S3"

    @invariant()
    def it_holds(self) -> None:
        seller = self.stall.seller
        for owner, served in seller.served.items():
            lease = served.lease
            assert lease.key == owner
            if lease.standing in (LeaseStanding.STOPPED, LeaseStanding.ENDED):
                assert not self.stall.prioritised.get(owner), "S2"
            assert lease.ended or lease.unpaid <= charge(lease.credit * 5 // 4, MicroBttPerMib(1_000)), (
                "a quarter more at most"
            )
        for receipt in self.stall.receipts.values():
            assert receipt.owed <= self.stall.totals.get(receipt.channel, 0) + charge(
                CREDIT * 5 // 4, MicroBttPerMib(1_000)
            )
        for owner, prioritised in self.stall.prioritised.items():
            assert not prioritised or owner in seller.served, "S2"
        assert len([one for one in seller.served.values() if not one.lease.ended]) <= 2 * seller.terms.slots


TestDay = Day.TestCase
TestDay.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)


def test_of_a_thousand_bidders_the_highest_have_the_lanes_and_everybody_is_told() -> None:
    stall = Stall(slots=28)
    chance = random.Random(3)
    prices = {number: chance.randrange(10, 10**6) for number in range(1, 1_001)}
    for number, price in prices.items():
        one = Offer(
            key=key(number),
            ip=f"10.{number >> 8}.{number & 255}.1",
            torrent="t",
            port=6_881,
            price=MicroBttPerMib(price),
            wants=100 * MIB,
            channel=key(number)[1:],
        )
        stall.do(stall.seller.opened(number, one.key, one.ip, "t", stall.now))
        stall.do(stall.seller.bid(number, one))
        stall.do(stall.seller.funded(number, one.channel, MicroBtt(0), PLENTY))
    effects = stall.round()
    best = sorted(prices, key=lambda number: -prices[number])[:28]
    assert set(stall.seller.served) == {key(number) for number in best}
    assert len(sent(effects, Result)) == 1_000
    lanes = Lanes()
    (assigned,) = some(effects, AssignLanes)
    lanes.arrange(assigned.requests, {})
    assert {lane.holder.key for lane in lanes.taken.values()} == {key(number) for number in best}
