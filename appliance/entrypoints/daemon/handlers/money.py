"""What each command about money does: the seam between control/money.py and the box's account."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.control import money as api
from appliance.control.command import Route
from appliance.core.errors import OwnerMustAct, SeedboxError
from appliance.core.journal import Journal
from appliance.core.units import MicroBtt, UtcMs, show_btt
from appliance.domain.doctor.model import Finding, Verdict
from appliance.domain.wallet.model import Sums

if TYPE_CHECKING:
    from appliance.adapters.ledger_http.messages import LedgerInfo, WithdrawalInfo
    from appliance.domain.ledger.statement import AccountLine
    from appliance.domain.wallet.wallet import Wallet
    from appliance.services.market.account import Account

MOST_LINES = 500
MOST_DAYS = 3_660
_NOTHING = Sums(MicroBtt(0), MicroBtt(0), MicroBtt(0), MicroBtt(0))


class MoneyHandlers:
    """One method for each command, of the same name."""

    def __init__(self, account: "Account | None", journal: Journal, identity: Path) -> None:
        """`identity` is the file of the account's key; no account where no ledger is named."""
        self._account, self._journal, self._identity = account, journal, identity

    def routes(self) -> list[Route]:
        """What carries out each command."""
        return [
            api.GetMoney.answered_by(self.get_money),
            api.GetTotals.answered_by(self.get_totals),
            api.ListMoney.answered_by(self.list_money),
            api.Withdraw.answered_by(self.withdraw),
            api.CancelWithdrawal.answered_by(self.cancel_withdrawal),
            api.SetPayout.answered_by(self.set_payout),
            api.VerifyMoney.answered_by(self.verify_money),
        ]

    def _open(self) -> "Account":
        """The account. Raises OwnerMustAct where no ledger is named."""
        if self._account is None:
            raise OwnerMustAct("No ledger keeps money for this box. Name one: wallet.ledger in seedbox.toml.")
        return self._account

    async def get_money(self, _: api.GetMoney) -> api.Money:
        """The account; the ledger is asked anew where that was not just done."""
        if self._account is None:
            return api.Money(on=False)
        await self._account.fresh()
        return await self._shown(self._account)

    async def _shown(self, account: "Account") -> api.Money:
        reply, info, wallet = account.reply, account.reply.info, account.wallet
        sums = await wallet.store.sums() if wallet else _NOTHING
        totals = await wallet.store.totals() if wallet else {}
        return api.Money(
            on=True,
            address=account.key.address,
            identity=str(self._identity),
            ledger=account.url,
            away=reply.away,
            as_of=reply.at,
            name=info.name if info else "",
            balance=sums.balance,
            held=sums.held,
            locked=sums.locked,
            receivable=sums.receivable,
            totals={purpose.value: amount for purpose, amount in totals.items()},
            difference=_difference(info),
            deposit=_deposit(info, account.key.address),
            payout=reply.payout.address,
            payout_next=reply.payout.next,
            payout_since=reply.payout.since,
            withdrawals=[_withdrawal(one) for one in reply.withdrawals],
        )

    async def get_totals(self, command: api.GetTotals) -> api.Totals:
        """Earned and spent by heading."""
        wallet, days = self._open().usable(), max(1, min(MOST_DAYS, command.days))
        tallies = await wallet.store.tallies(command.by, wallet.day(days - 1))
        earned, spent = Counter[str](), Counter[str]()
        for one in tallies:
            (earned if one.purpose.earns else spent)[one.heading] += one.amount
        headings = dict.fromkeys(one.heading for one in tallies)
        return api.Totals(
            totals=[api.Total(heading=one, earned=earned[one], spent=spent[one]) for one in headings],
            today=wallet.day(),
        )

    async def list_money(self, command: api.ListMoney) -> api.MoneyLines:
        """The statement."""
        count, store = max(1, min(MOST_LINES, command.count)), self._open().usable().store
        if command.forgotten:
            lines = [_line(one) for one in reversed(await store.forgotten())]
            return api.MoneyLines(lines=lines, more=False)
        found = await store.lines(max(0, command.before), count + 1)
        return api.MoneyLines(lines=[_line(one) for one in found[:count]], more=len(found) > count)

    async def withdraw(self, command: api.Withdraw) -> api.Money:
        """Ask for money on the chain."""
        account, amount = self._open(), MicroBtt(command.amount)
        await account.withdraw(command.name, amount, command.to)
        self._journal.info(f"Withdrawal of {show_btt(amount)} BTT to {command.to} requested.")
        return await self._shown(account)

    async def cancel_withdrawal(self, command: api.CancelWithdrawal) -> api.Money:
        """Take one back."""
        account = self._open()
        await account.cancel(command.name)
        self._journal.info("A withdrawal was cancelled.")
        return await self._shown(account)

    async def set_payout(self, command: api.SetPayout) -> api.Money:
        """Another payout address."""
        account = self._open()
        await account.set_payout(command.to)
        payout = account.reply.payout
        wait = f", in force from {_day(UtcMs(payout.since))}" if payout.next else ""
        self._journal.warning(f"The payout address was set to {command.to}{wait}.")
        return await self._shown(account)

    async def verify_money(self, _: api.VerifyMoney) -> api.Verified:
        """Check all that the box can check without anybody's help."""
        account = self._open()
        await account.fresh()
        return api.Verified(findings=await verify(account))


def _line(line: "AccountLine") -> api.MoneyLine:
    return api.MoneyLine(
        number=line.number,
        at=line.at,
        kind=line.kind,
        cause=line.cause,
        about=line.about,
        amount=line.amount,
        balance=line.balance,
    )


def _withdrawal(info: "WithdrawalInfo") -> api.WithdrawalAnswer:
    return api.WithdrawalAnswer(
        name=info.id.partition(".")[2],
        to=info.to,
        amount=int(info.amount),
        at=info.at,
        phase=info.phase,
        sentence=_WITHDRAWALS.get(info.phase, ""),
        txid=info.txid,
    )


def _deposit(info: "LedgerInfo | None", memo: str) -> api.Deposit | None:
    gateway = info.gateway if info else None
    if gateway is None:
        return None
    return api.Deposit(
        address=gateway.address,
        memo=memo,
        asset=gateway.asset,
        development=gateway.development,
        fee=gateway.fee,
        fee_new=gateway.fee_new,
    )


def _difference(info: "LedgerInfo | None") -> int | None:
    """What the ledger holds on the chain beyond what it owes, in µBTT; None where it does not tell."""
    return None if info is None or info.difference is None else int(info.difference)


async def verify(account: "Account") -> list[Finding]:
    """What the box can say of its account and its ledger. Raises RetryLater until that has answered once."""
    wallet = account.usable()
    findings = [_answers(account), await _records(wallet)]
    if gone := await wallet.store.forgotten():
        findings.append(_forgotten(gone))
    if not account.reply.away:
        balance, _ = await wallet.ask(lambda ledger: ledger.account())
        findings.append(_balance(balance, (await wallet.store.sums()).balance))
    return [*findings, _covered(account.reply.info)]


def _answers(account: "Account") -> Finding:
    if away := account.reply.away:
        return Finding("ledger", Verdict.WARNING, f"The ledger {account.url} is away.", away)
    return Finding("ledger", Verdict.OK, f"The ledger {account.url} answers.")


async def _records(wallet: "Wallet") -> Finding:
    try:
        count = await wallet.verify()
    except SeedboxError as error:
        return Finding("records", Verdict.ERROR, str(error), "Keep a copy of the state folder.")
    entries = "The one entry adds up" if count == 1 else f"All {count} entries add up"
    return Finding("records", Verdict.OK, f"{entries}, and every state of a channel is signed.")


def _forgotten(lines: "Sequence[AccountLine]") -> Finding:
    amount = show_btt(MicroBtt(sum(line.amount for line in lines)))
    entries = "one entry" if len(lines) == 1 else f"{len(lines)} entries"
    return Finding(
        "forgotten",
        Verdict.ERROR,
        f"The ledger has forgotten {entries}, {amount} BTT in all.",
        "Send them to its operator: seedbox wallet history --forgotten",
    )


def _balance(theirs: MicroBtt, ours: MicroBtt) -> Finding:
    says = f"The ledger's balance is {show_btt(theirs)} BTT"
    if theirs == ours:
        return Finding("balance", Verdict.OK, f"{says}, as its statement says.")
    says += f"; by its statement it is {show_btt(ours)}."
    return Finding("balance", Verdict.ERROR, says, "Ask its operator.")


def _covered(info: "LedgerInfo | None") -> Finding:
    difference = _difference(info)
    if difference is None:
        return Finding("covered", Verdict.UNKNOWN, "The ledger has no gateway to the chain.")
    if difference >= 0:
        return Finding("covered", Verdict.OK, "The ledger holds on the chain all that it owes.")
    says = f"The ledger owes {show_btt(MicroBtt(-difference))} BTT more than it holds on the chain."
    remedy = "Ask its operator, and withdraw what you do not need there."
    return Finding("covered", Verdict.ERROR, says, remedy)


def _day(at: UtcMs) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at // 1_000))


_WITHDRAWALS = {
    "locked": "It waits for the gateway; it can still be taken back.",
    "signed": "It is on its way.",
    "paid": "It has arrived.",
    "refunded": "It was not sent; the amount is back.",
}
