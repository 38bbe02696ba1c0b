"""The book: B1 to B4 of ledger/book.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from appliance.core.errors import Bug
from appliance.core.units import MOST_MONEY, MicroBtt, UtcMs
from appliance.domain.ledger.book import (
    COUNTER,
    Entry,
    Move,
    NotEnough,
    Posting,
    entry,
    hold_account,
    is_counter,
    post,
    release,
    reserve,
    spend,
    total,
)

NOW = UtcMs(1_750_000_000_000)
names = st.sampled_from(["a", "b", "c", COUNTER, COUNTER + ":chain"])
moves = st.builds(Move, names, names, st.integers(1, MOST_MONEY).map(MicroBtt))


@given(st.lists(moves, max_size=8))
def test_what_is_made_of_moves_sums_to_zero_with_one_posting_an_account(made: list[Move]) -> None:
    postings = entry("cause", "test", NOW, *made).postings
    assert sum(posting.amount for posting in postings) == 0
    assert all(posting.amount for posting in postings)
    accounts = [posting.account for posting in postings]
    assert accounts == sorted(set(accounts))


@pytest.mark.parametrize("amount", [0, -1, MOST_MONEY + 1, 1.0, True])
def test_no_impossible_amount_moves(amount: object) -> None:
    with pytest.raises(Bug):
        entry("cause", "test", NOW, Move("a", "b", amount))  # type: ignore[arg-type]


@pytest.mark.parametrize("cause", ["", "x" * 201])
def test_every_entry_has_a_cause(cause: str) -> None:
    with pytest.raises(Bug):
        entry(cause, "test", NOW, Move("a", "b", MicroBtt(1)))


def test_an_entry_that_was_tampered_with_is_refused() -> None:
    made_up = Entry("cause", "test", NOW, (Posting("a", MicroBtt(5)),))
    with pytest.raises(Bug, match="zero"):
        post(made_up, lambda account: MicroBtt(0))


def test_nothing_leaves_an_account_that_it_does_not_hold() -> None:
    with pytest.raises(NotEnough, match="Deposit"):
        post(entry("cause", "test", NOW, Move("a", "b", MicroBtt(6))), lambda account: MicroBtt(5))


def test_no_balance_outgrows_int64() -> None:
    with pytest.raises(Bug, match="more than there is"):
        post(entry("cause", "test", NOW, Move(COUNTER, "b", MicroBtt(1))), lambda account: MOST_MONEY)


class Holds(RuleBasedStateMachine):
    """An owner who reserves, spends and gives back, with several holds at once."""

    def __init__(self) -> None:
        super().__init__()
        self.balances: dict[str, MicroBtt] = {}
        self.held: dict[str, int] = {}
        self.spent = 0
        self.count = 0
        self.post(entry("start", "deposit", NOW, Move(COUNTER, "owner", MicroBtt(1_000))))

    def post(self, line: Entry) -> bool:
        try:
            after = post(line, lambda account: self.balances.get(account, MicroBtt(0)))
        except NotEnough:
            return False
        self.balances |= after
        return True

    @rule(amount=st.integers(1, 600))
    def reserve(self, amount: int) -> None:
        self.count += 1
        fits = amount <= self.balances["owner"]
        assert self.post(reserve(str(self.count), "owner", MicroBtt(amount), NOW)) == fits
        if fits:
            self.held[str(self.count)] = amount

    @precondition(lambda self: self.held)
    @rule(which=st.randoms(use_true_random=False), amount=st.integers(1, 700))
    def spend(self, which: object, amount: int) -> None:
        hold = which.choice(sorted(self.held))  # type: ignore[attr-defined]
        self.count += 1
        fits = amount <= self.held[hold]
        assert self.post(spend(hold, str(self.count), "seller", MicroBtt(amount), NOW)) == fits
        if fits:
            self.held[hold] -= amount
            self.spent += amount

    @precondition(lambda self: self.held)
    @rule(which=st.randoms(use_true_random=False))
    def release(self, which: object) -> None:
        hold = which.choice(sorted(self.held))  # type: ignore[attr-defined]
        line = release(hold, "owner", self.balances.get(hold_account(hold), MicroBtt(0)), NOW)
        assert (line is None) == (self.held[hold] == 0)
        if line:
            assert self.post(line)
        del self.held[hold]

    @invariant()
    def nothing_is_lost_invented_or_negative(self) -> None:
        assert sum(self.balances.values()) == 0
        assert total(self.balances.items()) == 1_000 == -self.balances[COUNTER]
        assert all(balance >= 0 for account, balance in self.balances.items() if not is_counter(account))

    @invariant()
    def holds_hold_what_was_not_spent_of_them(self) -> None:
        for hold, left in self.held.items():
            assert self.balances.get(hold_account(hold), 0) == left
        assert self.balances.get("seller", 0) == self.spent
        assert self.balances["owner"] == 1_000 - self.spent - sum(self.held.values())


TestHolds = Holds.TestCase
