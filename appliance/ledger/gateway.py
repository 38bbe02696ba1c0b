"""The way between the ledger and the chain: pure rules of deposits and withdrawals.

Invariants, checked by tests/chain/test_gateway.py:
G1  a deposit is credited once, and only when its block is solid;
G2  a withdrawal is signed once; what is sent again are the same bytes;
G3  it is refunded only when a solid block is past its expiration and the chain does not hold it;
G4  what all accounts hold equals what came in from the chain less what went out.
"""

from dataclasses import dataclass
from enum import StrEnum

from appliance.keys import Address
from appliance.ledger.book import COUNTER, Entry, Move, entry
from appliance.units import MicroBtt, UtcMs

CHAIN = f"{COUNTER}:chain"
"""The counter-account of everything on the chain."""


class Phase(StrEnum):
    """The phase of a withdrawal."""

    LOCKED = "locked"
    SIGNED = "signed"
    PAID = "paid"
    REFUNDED = "refunded"

    @property
    def sentence(self) -> str:
        """What is true of a withdrawal in this phase."""
        return _SENTENCES[self]


_SENTENCES = {
    Phase.LOCKED: "The amount is set apart; nothing was signed, and it can still be taken back.",
    Phase.SIGNED: "A transfer is signed and kept; it may be on the chain, or may still come there.",
    Phase.PAID: "The transfer is in a solid block.",
    Phase.REFUNDED: "The transfer can never happen any more, and the amount is back in the account.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """Money on its way out."""

    id: str
    account: Address
    to: Address
    amount: MicroBtt
    at: UtcMs
    phase: Phase = Phase.LOCKED
    raw: bytes = b""
    signature: bytes = b""
    txid: bytes = b""
    expiration: int = 0

    @property
    def holding(self) -> str:
        """Where its money lies in the book meanwhile."""
        return f"withdrawal:{self.id}"


class Outcome(StrEnum):
    """What a solid block means for a signed withdrawal."""

    PAID = "paid"
    IMPOSSIBLE = "impossible"
    OPEN = "open"


def outcome(withdrawal: Withdrawal, *, included: bool, block_time: int) -> Outcome:
    """What follows when the next solid block was read, and all before it.

    A block holds no transaction whose expiration is not later than the time of the block before it
    (java-tron, `Manager.validateCommon`). So once a block at or past the expiration is read and does not hold
    it, none will.
    """
    if included:
        return Outcome.PAID
    return Outcome.IMPOSSIBLE if block_time >= withdrawal.expiration else Outcome.OPEN


def deposit(account: Address, amount: MicroBtt, txid: bytes, at: UtcMs) -> Entry:
    """Credit what a solid transfer brought."""
    return entry(f"deposit:{txid.hex()}", "deposit", at, Move(CHAIN, account, amount))


def lock(withdrawal: Withdrawal) -> Entry:
    """Set the amount apart."""
    move = Move(withdrawal.account, withdrawal.holding, withdrawal.amount)
    return entry(f"{withdrawal.holding}:lock", "withdrawal", withdrawal.at, move, about=withdrawal.to)


def settle(withdrawal: Withdrawal, at: UtcMs) -> Entry:
    """It is paid for good."""
    move = Move(withdrawal.holding, CHAIN, withdrawal.amount)
    return entry(f"{withdrawal.holding}:end", "withdrawal-paid", at, move, about=withdrawal.txid.hex())


def refund(withdrawal: Withdrawal, at: UtcMs) -> Entry:
    """It never happens: the amount goes back. Of the same cause as `settle`, so that only one can be."""
    move = Move(withdrawal.holding, withdrawal.account, withdrawal.amount)
    return entry(f"{withdrawal.holding}:end", "refund", at, move)
