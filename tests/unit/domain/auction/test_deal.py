"""The count of what a seller may be paid: B1 and B2 of auction/deal.py."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from appliance.core.units import MIB, MicroBtt, MicroBttPerMib
from appliance.domain.auction.clearing import Rule, breaker, commitment
from appliance.domain.auction.deal import (
    IN_FLIGHT,
    LATE,
    PIECES_AHEAD,
    SILENT_ROUNDS,
    THROTTLED_ROUNDS,
    Asked,
    Deal,
)
from appliance.domain.auction.lease import CREDIT, charge
from appliance.domain.auction.records import Misconduct

SEED = b"s" * 32
ME = b"m" * 33
PRICE = MicroBttPerMib(1_000)


def deal(said: int = 1_500, lock: int = 10**9, piece: int = MIB) -> Deal:
    made = Deal(key=ME, piece=piece)
    asked(made, 1)
    made.fund(b"c" * 32, MicroBtt(lock), MicroBtt(0))
    made.says(MicroBttPerMib(said))
    return made


def asked(one: Deal, round: int, rule: Rule = Rule.LOWEST_WINNING) -> None:
    one.asked(Asked(round, MicroBttPerMib(100), CREDIT, rule, commitment(SEED)))


def result(
    one: Deal, round: int, won: bool = True, price: int = PRICE, tie: bytes | None = None, full: bool = False
) -> Misconduct | None:
    return one.result(round, won, MicroBttPerMib(price), SEED, tie, full)


def test_what_has_arrived_and_was_checked_is_paid() -> None:
    one = deal()
    assert result(one, 1) is None
    one.arrived(3 * MIB, 0, 0)
    assert one.pays(MicroBtt(2_000)) == 2_000, "no more than the receipt asks for"
    one.paid = MicroBtt(2_000)
    assert one.pays(MicroBtt(9_000)) == 3_000, "no more than has arrived"
    one.paid = MicroBtt(3_000)
    assert one.pays(MicroBtt(3_000)) is None


def test_pieces_that_are_not_complete_are_paid_a_step_ahead_and_no_further() -> None:
    one = deal(piece=4 * MIB)
    result(one, 1)
    one.arrived(40 * MIB, 40 * MIB, 0)
    step = CREDIT + PIECES_AHEAD * 4 * MIB
    assert one.pays(MicroBtt(40_000)) == charge(step, PRICE)
    one.arrived(0, 10 * MIB, 0)
    assert one.pays(MicroBtt(40_000)) == 40_000


def test_pieces_that_failed_their_check_are_not_paid() -> None:
    one = deal()
    result(one, 1)
    one.arrived(20 * MIB, 0, 20 * MIB)
    assert one.pays(MicroBtt(20_000)) == charge(one.step, PRICE), "a step at most, and never again"


def test_a_price_above_the_bid_a_draw_that_does_not_fit_and_a_loss_that_was_none_are_noticed() -> None:
    assert result(deal(), 1, price=1_501)
    assert result(deal(), 1, won=False, price=1_000), "who bids more than the price has won"
    assert not result(deal(), 1, won=False, price=1_600)
    assert not result(deal(), 1, won=False, price=1_000, full=True)
    lower, higher = sorted([breaker(SEED, ME), bytes(32)])
    assert lower == bytes(32)
    assert result(deal(), 1, won=False, price=1_500, tie=higher), "its own number was no larger"
    assert not result(deal(), 1, won=False, price=1_500, tie=lower)
    other = deal()
    assert other.result(1, True, PRICE, b"x" * 32, None, False), "another seed than was committed to"


def test_a_bid_that_is_changed_while_a_round_is_decided_accuses_nobody() -> None:
    one = deal(said=900)
    result(one, 1, won=False, price=1_000)
    asked(one, 2)
    one.says(MicroBttPerMib(2_000))
    for round in range(2, LATE + 2):
        found = result(one, round, won=False, price=1_000)
        assert bool(found) is (round > LATE), "first it was decided with the bid before"
        asked(one, round + 1)


def test_bids_that_were_late_by_rounds_accuse_nobody() -> None:
    one = deal(said=1_100)
    for round in (2, 3):
        asked(one, round)
        one.says(MicroBttPerMib(1_000))
    assert result(one, 3, price=1_100) is None


def test_a_new_price_pays_for_what_comes_from_then_on() -> None:
    one = deal(said=3_000)
    result(one, 1, price=1_000)
    one.arrived(10 * MIB, 0, 0)
    asked(one, 2)
    result(one, 2, price=2_000)
    one.arrived(10 * MIB, 0, 0)
    exact = 10_000 + 20_000
    most = exact + (CREDIT + one.piece) * 1_000 // MIB
    assert exact <= (one.pays(MicroBtt(10**6)) or 0) <= most, "either side may hear of it a little later"


def test_a_meter_that_runs_ahead_of_what_can_be_on_its_way_is_a_lie() -> None:
    one = deal()
    result(one, 1)
    one.arrived(MIB, 0, 0)
    assert not one.lies(MIB + IN_FLIGHT + CREDIT)
    assert one.lies(MIB + IN_FLIGHT + CREDIT + 1)


def test_another_lease_begins_to_count_anew_and_old_receipts_are_not_lies() -> None:
    one = deal()
    result(one, 1)
    for _ in range(5):
        one.arrived(20 * MIB, 0, 0)
        assert not one.lies(20 * MIB)
        assert not one.lies(0)


def test_after_a_restart_what_was_owed_before_is_paid_up_to_the_credit_once() -> None:
    one = deal()
    one.fund(b"c" * 32, MicroBtt(10**9), MicroBtt(50_000), resumed=True)
    result(one, 1)
    assert not one.lies(10**12), "what was sent before is not known here"
    most = 50_000 + CREDIT // MIB * 1_500
    assert one.pays(MicroBtt(10**6)) == most
    one.paid = MicroBtt(most)
    assert one.pays(MicroBtt(10**6)) is None
    assert one.lies(10**12 + IN_FLIGHT + CREDIT + 1)


def test_a_slot_that_brings_nothing_is_given_up() -> None:
    one = deal()
    for round in range(1, SILENT_ROUNDS + 2):
        asked(one, round)
        found = result(one, round)
        assert bool(found) is (round > SILENT_ROUNDS), round


def test_a_seller_that_says_it_sends_less_is_given_more_time_and_not_for_ever() -> None:
    one = deal()
    one.throttled = True
    for round in range(1, THROTTLED_ROUNDS + 2):
        asked(one, round)
        assert bool(result(one, round)) is (round > THROTTLED_ROUNDS), round


class Trade(RuleBasedStateMachine):
    """A seller that asks for anything, and a buyer that pays only what it may."""

    def __init__(self) -> None:
        super().__init__()
        self.deal = deal(said=2_000, lock=100_000, piece=MIB)
        self.round, self.good, self.bad = 1, 0, 0
        self.highest = 0

    @rule(price=st.integers(0, 2_500), won=st.booleans())
    def decides(self, price: int, won: bool) -> None:
        asked(self.deal, self.round)
        if result(self.deal, self.round, won, price) is None and won:
            self.highest = max(self.highest, price)
        self.round += 1

    @rule(mib=st.integers(0, 5), unverified=st.integers(0, 12), failed=st.integers(0, 3))
    def sends(self, mib: int, unverified: int, failed: int) -> None:
        if self.deal.price:
            self.good += mib * MIB
        self.bad = max(self.bad, failed * MIB)
        self.deal.arrived(mib * MIB, unverified * MIB, self.bad)
        self.unverified = unverified * MIB

    @precondition(lambda self: self.good)
    @rule(owed=st.integers(0, 200_000))
    def asks_for(self, owed: int) -> None:
        total = self.deal.pays(MicroBtt(owed))
        if total is None:
            return
        assert self.deal.paid < total <= min(owed, self.deal.lock), "B1"
        changes = self.round * (CREDIT + MIB) * 2_500 // MIB
        assert total <= charge(self.good, MicroBttPerMib(self.highest)) + changes, "B1"
        checked = max(0, self.good - self.unverified - self.bad) + self.deal.step
        assert total <= charge(checked, MicroBttPerMib(self.highest)) + changes, "B2"
        self.deal.paid = total

    @invariant()
    def never_above_the_channel(self) -> None:
        assert self.deal.paid <= self.deal.lock


TestTrade = Trade.TestCase
