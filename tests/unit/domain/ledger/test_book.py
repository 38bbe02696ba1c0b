"""The book: B1 to B4 of ledger/book.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from appliance.core.errors import Bug
from appliance.core.units import MOST_MONEY, MicroBtt, UtcMs
from appliance.domain.ledger.book import (
    COUNTER,
    Entry,
    Move,
    NotEnough,
    Posting,
    entry,
    is_counter,
    post,
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


class Payments(RuleBasedStateMachine):
    """Accounts that pay each other, one at a time or two in one entry, as a channel does when it closes."""

    accounts = st.sampled_from(["a", "b", "c", "channel:1"])

    def __init__(self) -> None:
        super().__init__()
        self.balances: dict[str, MicroBtt] = {}
        self.count = 0
        self.post(Move(COUNTER, "a", MicroBtt(1_000)))

    def post(self, *moves: Move) -> bool:
        self.count += 1
        line = entry(str(self.count), "test", NOW, *moves)
        try:
            after = post(line, lambda account: self.balances.get(account, MicroBtt(0)))
        except NotEnough:
            return False
        self.balances |= after
        return True

    @rule(source=accounts, to=accounts, amount=st.integers(1, 700))
    def pay(self, source: str, to: str, amount: int) -> None:
        fits = source == to or amount <= self.balances.get(source, 0)
        assert self.post(Move(source, to, MicroBtt(amount))) == fits

    @rule(source=accounts, first=accounts, second=accounts, amount=st.integers(1, 400))
    def split(self, source: str, first: str, second: str, amount: int) -> None:
        before = dict(self.balances)
        leaves = sum(amount for target in (first, second) if target != source)
        done = self.post(Move(source, first, MicroBtt(amount)), Move(source, second, MicroBtt(amount)))
        assert done == (leaves <= before.get(source, 0))
        assert done or self.balances == before, "what is refused changes nothing"

    @rule(to=accounts, amount=st.integers(1, 100))
    def deposit(self, to: str, amount: int) -> None:
        assert self.post(Move(COUNTER, to, MicroBtt(amount)))

    @invariant()
    def nothing_is_lost_invented_or_negative(self) -> None:
        assert sum(self.balances.values()) == 0
        assert all(balance >= 0 for account, balance in self.balances.items() if not is_counter(account))


TestPayments = Payments.TestCase
