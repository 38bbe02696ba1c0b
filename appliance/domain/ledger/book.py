"""Double entry: money only moves, and every movement has one cause.

Invariants, checked by tests/unit/domain/ledger/test_book.py:
B1  the postings of an entry sum to zero, and so do all balances;
B2  no balance but that of the counter-accounts is ever below zero;
B3  an entry of a cause that was posted changes nothing;
B4  nothing leaves int64.
"""

from collections.abc import Callable
from dataclasses import dataclass

from appliance.core.errors import Bug, OwnerMustAct
from appliance.core.units import MOST_MONEY, MicroBtt, UtcMs, show_btt

COUNTER = "outside"
"""What the book owes to the outside: minus the sum of everything else. Sub-accounts: `outside:…`."""
LONGEST_CAUSE = 200


class NotEnough(OwnerMustAct):
    """An account holds less than is to leave it."""


class CauseReused(Bug):
    """One cause stands for two different entries."""


@dataclass(frozen=True, slots=True)
class Move:
    """An amount that goes from one account to another."""

    source: str
    target: str
    amount: MicroBtt


@dataclass(frozen=True, slots=True)
class Posting:
    """What an entry does to one account."""

    account: str
    amount: MicroBtt


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal. Its postings are in the order of their accounts, one for each."""

    cause: str
    """Unique: what has happened once is written once."""
    kind: str
    at: UtcMs
    postings: tuple[Posting, ...]
    about: str = ""
    """What it was for, such as a torrent's id."""


def entry(cause: str, kind: str, at: UtcMs, *moves: Move, about: str = "") -> Entry:
    """An entry of moves, which therefore sums to zero. Raises Bug for an impossible amount or cause."""
    if not 0 < len(cause) <= LONGEST_CAUSE:
        raise Bug(f"A cause has 1 to {LONGEST_CAUSE} characters, not {len(cause)}.")
    sums: dict[str, int] = {}
    for move in moves:
        if type(move.amount) is not int or not 0 < move.amount <= MOST_MONEY:
            raise Bug(f"{move.amount!r} µBTT cannot move from {move.source} to {move.target}.")
        sums[move.source] = sums.get(move.source, 0) - move.amount
        sums[move.target] = sums.get(move.target, 0) + move.amount
    postings = tuple(Posting(account, MicroBtt(sums[account])) for account in sorted(sums) if sums[account])
    return Entry(cause, kind, at, postings, about)


def post(entry: Entry, balance_of: Callable[[str], MicroBtt]) -> dict[str, MicroBtt]:
    """The balances of all touched accounts after an entry.

    Raises NotEnough where one would fall below zero, Bug where the entry does not sum to zero.
    """
    if sum(posting.amount for posting in entry.postings):
        raise Bug(f"The entry {entry.cause} does not sum to zero.")
    return {one.account: _after(one, balance_of(one.account)) for one in entry.postings}


def _after(posting: Posting, held: MicroBtt) -> MicroBtt:
    balance = held + posting.amount
    if balance < 0 and not is_counter(posting.account):
        raise NotEnough(
            f"{posting.account} holds {show_btt(held)} BTT; {show_btt(MicroBtt(-posting.amount))} are "
            "needed. Deposit more, or wait until locked money comes back."
        )
    if abs(balance) > MOST_MONEY:
        raise Bug(f"{posting.account} would hold more than there is.")
    return MicroBtt(balance)


def same(known: Entry, new: Entry) -> None:
    """Make sure that two entries of one cause are one. Raises CauseReused."""
    if (known.kind, known.postings) != (new.kind, new.postings):
        raise CauseReused(f"The cause {new.cause} already stands for another entry.")


def is_counter(account: str) -> bool:
    """Whether an account stands for the outside, and may be below zero."""
    return account == COUNTER or account.startswith(COUNTER + ":")
