"""The commands about money. Amounts are whole µBTT, times UtcMs."""

from typing import Literal

import msgspec

from appliance.control.command import Answer, Command
from appliance.domain.doctor.model import Finding


class Deposit(Answer, frozen=True, kw_only=True):
    """How money comes from the chain to the box."""

    address: str
    """The address of the ledger's gateway."""
    memo: str
    """Says whose money it is: without it, it is credited to nobody."""
    asset: str
    """Id of a TRC-10 token, or the address of a TRC-20 contract."""
    development: bool
    """A development chain: what is on it is worth nothing."""
    fee: int
    """SUN that a withdrawal costs the gateway now, to an address that was used before."""
    fee_new: int
    """The same fee to an address that was not used before."""


class WithdrawalAnswer(Answer, frozen=True, kw_only=True):
    """Money on its way to the chain."""

    name: str
    to: str
    amount: int
    at: int
    phase: str
    """`locked`, `signed`, `paid` or `refunded`."""
    sentence: str
    txid: str


class Total(Answer, frozen=True, kw_only=True):
    """An amount earned and one spent, under one heading."""

    heading: str
    """A day (UTC), a torrent's id, or a counterparty's address."""
    earned: int
    """Earned by distribution and storage."""
    spent: int
    """Spent on downloading and on storing elsewhere."""


class Money(Answer, frozen=True, kw_only=True):
    """The box's account; amounts are whole µBTT."""

    on: bool
    """False: no ledger is named, and all else is empty."""
    address: str = ""
    """The address of the account."""
    identity: str = ""
    """The file with its key."""
    ledger: str = ""
    """Address of the ledger."""
    name: str = ""
    away: str = ""
    """Why the ledger cannot be asked now; empty where all is well."""
    as_of: int = 0
    """When the ledger last answered; 0: not since the box was started."""
    balance: int = 0
    held: int = 0
    """The part of the balance that is reserved."""
    locked: int = 0
    """Besides the balance: in channels that the box pays from."""
    receivable: int = 0
    """Besides the balance: paid to the box and not collected yet."""
    totals: dict[str, int] = msgspec.field(default_factory=dict)
    """Totals by purpose: distribution, storage (earned), downloading, storing (spent)."""
    difference: int | None = None
    """The ledger's holdings on the chain less all that it owes; None where it has no gateway."""
    deposit: Deposit | None = None
    payout: str = ""
    """The only address that withdrawals can go to."""
    payout_next: str = ""
    payout_since: int = 0
    withdrawals: list[WithdrawalAnswer] = msgspec.field(default_factory=list)


class GetMoney(Command[Money], frozen=True, kw_only=True):
    """Show balance, earnings, spendings, and the ways in and out."""


class Totals(Answer, frozen=True, kw_only=True):
    """Earned and spent; days in order, else the most first."""

    totals: list[Total]
    today: str
    """The day (UTC) by the ledger's clock; the box's own may be wrong by years."""


class GetTotals(Command[Totals], frozen=True, kw_only=True):
    """Earned and spent since a day, by heading."""

    by: Literal["day", "torrent", "counterparty"] = "day"
    days: int = 30
    """The number of days back from today (UTC)."""


class MoneyLine(Answer, frozen=True, kw_only=True):
    """One entry of the ledger, as it changed the account."""

    number: int
    at: int
    kind: str
    cause: str
    about: str
    amount: int
    balance: int


class MoneyLines(Answer, frozen=True, kw_only=True):
    """Newest first."""

    lines: list[MoneyLine]
    more: bool


class ListMoney(Command[MoneyLines], frozen=True, kw_only=True):
    """The account's statement, before an entry's number (0: the newest)."""

    before: int = 0
    count: int = 50
    forgotten: bool = False
    """List instead, all at once, the entries that the ledger reported once and has forgotten."""


class Withdraw(Command[Money], frozen=True, kw_only=True):
    """Send money to the payout address on the chain."""

    name: str
    """The caller's own, used once: the same name again asks for nothing more."""
    amount: int
    to: str
    """Must be the payout address: what the caller has seen is what is done."""


class CancelWithdrawal(Command[Money], frozen=True, kw_only=True):
    """Take a withdrawal back that is not signed yet."""

    name: str


class SetPayout(Command[Money], frozen=True, kw_only=True):
    """Another payout address, in force after the ledger's time lock."""

    to: str


class Verified(Answer, frozen=True, kw_only=True):
    """The results of the check, as findings."""

    findings: list[Finding]


class VerifyMoney(Command[Verified], frozen=True, kw_only=True):
    """Check the account: does the statement add up, is the ledger covered, are the states signed."""
