"""The way between the ledger and the chain: pure rules of deposits and withdrawals.

Invariants, checked by tests/system/chain/test_gateway.py:
G1  a deposit is credited once, and only when its block is solid;
G2  a withdrawal is signed once; what is sent again are the same bytes;
G3  it is refunded only when a solid block is past its expiration and the chain does not hold it;
G4  what all accounts hold equals what came in from the chain less what went out.
"""

from dataclasses import dataclass
from enum import StrEnum

from appliance.core.config import GatewayConfig as GatewayConfig
from appliance.core.errors import OwnerMustAct
from appliance.core.keys import Address, parse_address
from appliance.core.units import BTT, BTT_DIGITS, MOST_MONEY, MicroBtt, UtcMs, show_btt
from appliance.domain.ledger.book import COUNTER, Entry, Move, entry

DAY_MS = 86_400_000
FACT = "gateway"
"""What the gateway leaves in the ledger for everybody to read."""
CHAIN = f"{COUNTER}:chain"
"""The counter-account of everything on the chain."""


class WithdrawalPhase(StrEnum):
    """The phase of a withdrawal."""

    LOCKED = "locked"
    SIGNED = "signed"
    PAID = "paid"
    REFUNDED = "refunded"
    """Also where its owner took it back."""

    @property
    def sentence(self) -> str:
        """What is true of a withdrawal in this phase."""
        return _SENTENCES[self]


_SENTENCES = {
    WithdrawalPhase.LOCKED: "The money is set aside. Nothing is signed yet, and it can still be cancelled.",
    WithdrawalPhase.SIGNED: "A transfer is signed and saved; it may already be on the chain.",
    WithdrawalPhase.PAID: "The transfer is confirmed: it is in a solid block.",
    WithdrawalPhase.REFUNDED: "The transfer was cancelled or expired, and the money is back in the account.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """Money on its way out."""

    id: str
    account: Address
    to: Address
    amount: MicroBtt
    at: UtcMs
    phase: WithdrawalPhase = WithdrawalPhase.LOCKED
    raw: bytes = b""
    signature: bytes = b""
    txid: bytes = b""
    expiration: int = 0

    @property
    def holding(self) -> str:
        """Where its money lies in the book meanwhile."""
        return f"withdrawal:{self.id}"


@dataclass(frozen=True, slots=True)
class Asset:
    """The token on the chain that the ledger's BTT stand for."""

    id: str
    """Id of a TRC-10 token, or the address of a TRC-20 contract."""
    decimals: int
    """At least six: the chain's smallest unit is 10^-decimals BTT."""

    @property
    def scale(self) -> int:
        """The chain's units in one µBTT."""
        return int(10 ** (self.decimals - BTT_DIGITS))

    def units(self, amount: MicroBtt) -> int:
        """An amount in the chain's units."""
        return amount * self.scale

    def amount(self, units: int) -> MicroBtt:
        """Units as an amount, exactly. Raises OwnerMustAct where they are not whole µBTT, or too many."""
        whole, rest = divmod(units, self.scale)
        if rest or whole > MOST_MONEY:
            raise OwnerMustAct(f"{units} units of {self.id} are not a whole number of µBTT, or too many.")
        return MicroBtt(whole)

    def floor(self, units: int) -> MicroBtt:
        """The whole µBTT in some units: of what is held, never of what somebody is credited."""
        return MicroBtt(min(MOST_MONEY, units // self.scale))


@dataclass(frozen=True, slots=True)
class WithdrawalLimits:
    """What may leave without anybody looking; 0 and an empty list are no limit."""

    each: MicroBtt = MicroBtt(0)
    day: MicroBtt = MicroBtt(0)
    allow: frozenset[str] = frozenset()

    @classmethod
    def configured(cls, config: GatewayConfig) -> "WithdrawalLimits":
        """The limits that the operator has set. Raises OwnerMustAct for an address that is not one."""
        allow = frozenset(parse_address(one) for one in config.allow)
        return cls(MicroBtt(config.most_each * BTT), MicroBtt(config.most_a_day * BTT), allow)

    def refuse(self, to: Address, amount: MicroBtt) -> str:
        """Why a withdrawal can never leave under these limits; empty where it can."""
        if self.allow and to not in self.allow:
            return f"{to} is not on this ledger's list of allowed addresses."
        most = min((one for one in (self.each, self.day) if one), default=amount)
        if amount > most:
            return f"This ledger pays out at most {show_btt(most)} BTT at once; withdraw less."
        return ""

    def wait(self, amount: MicroBtt, sent: MicroBtt) -> bool:
        """Whether a withdrawal has to wait, where `sent` was signed within the last day."""
        return bool(self.day) and sent + amount > self.day


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


def cancel(withdrawal: Withdrawal, at: UtcMs) -> Entry:
    """Take back what was not signed yet. Raises OwnerMustAct where it was."""
    if withdrawal.phase is not WithdrawalPhase.LOCKED:
        raise OwnerMustAct("This withdrawal is already signed and cannot be cancelled.")
    return refund(withdrawal, at)


def refund(withdrawal: Withdrawal, at: UtcMs) -> Entry:
    """It never happens: the amount goes back. Of the same cause as `settle`, so that only one can be."""
    move = Move(withdrawal.holding, withdrawal.account, withdrawal.amount)
    return entry(f"{withdrawal.holding}:end", "refund", at, move)
