"""What each command about money does: the seam between control/money.py and the box's account."""

import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

from appliance.control import money as api
from appliance.core.errors import OwnerMustAct, SeedboxError
from appliance.core.units import MicroBtt, UtcMs, show_btt
from appliance.domain.doctor.model import Finding, Verdict
from appliance.entrypoints.daemon.box import Box

if TYPE_CHECKING:
    from appliance.adapters.ledger_http.messages import GatewayInfo, LedgerInfo
    from appliance.services.market.account import Money

T = TypeVar("T")
MOST_LINES = 500
MOST_DAYS = 3_660
_OFF = api.Money(on=False)


def _when_on(handler: Callable[..., Coroutine[Any, Any, T]]) -> Callable[..., Coroutine[Any, Any, T]]:
    """Give a handler the box's account; refuse its command where no ledger is named."""

    @wraps(handler)
    async def checked(self: "MoneyHandlers", command: Any) -> T:
        if self._box.money is None:
            raise OwnerMustAct("No ledger keeps money for this box. Name one: wallet.ledger in seedbox.toml.")
        return await handler(self, self._box.money, command)

    return checked


class MoneyHandlers:
    """One method a command, of the same name."""

    def __init__(self, box: Box) -> None:
        self._box = box

    async def get_money(self, _: api.GetMoney) -> api.Money:
        """The account; the ledger is asked anew where that was not just done."""
        if self._box.money is None:
            return _OFF
        await self._box.money.fresh()
        return await self._money(self._box.money)

    async def _money(self, money: "Money") -> api.Money:
        told, wallet = money.told, money.wallet
        known = api.Money(
            on=True,
            address=money.key.address,
            identity=str(self._box.state.identity),
            ledger=money.url,
            away=told.away,
            as_of=told.at,
        )
        if wallet is None:
            return known
        sums, totals = await wallet.store.sums(), await wallet.store.totals()
        info = told.info
        return api.Money(
            on=True,
            address=known.address,
            identity=known.identity,
            ledger=known.ledger,
            away=known.away,
            as_of=known.as_of,
            name=info.name if info else "",
            balance=sums.balance,
            held=sums.held,
            locked=sums.locked,
            receivable=sums.receivable,
            totals={purpose.value: amount for purpose, amount in totals.items()},
            difference=int(info.difference) if info and info.difference is not None else None,
            deposit=_deposit(info.gateway, known.address) if info and info.gateway else None,
            payout=told.payout.address,
            payout_next=told.payout.next,
            payout_since=told.payout.since,
            withdrawals=[
                api.Withdrawal(
                    name=one.id.partition(".")[2],
                    to=one.to,
                    amount=int(one.amount),
                    at=one.at,
                    phase=one.phase,
                    sentence=_WITHDRAWALS.get(one.phase, ""),
                    txid=one.txid,
                )
                for one in told.withdrawals
            ],
        )

    @_when_on
    async def get_totals(self, money: "Money", command: api.GetTotals) -> api.Totals:
        """Earned and spent by heading."""
        wallet, days = money.usable(), max(1, min(MOST_DAYS, command.days))
        sums = await wallet.store.tallies(command.by, wallet.day(days - 1))
        found: dict[str, tuple[int, int]] = {}
        for one in sums:
            earned, spent = found.get(one.heading, (0, 0))
            if one.purpose.earns:
                found[one.heading] = earned + one.amount, spent
            else:
                found[one.heading] = earned, spent + one.amount
        return api.Totals(
            totals=[
                api.Total(heading=heading, earned=earned, spent=spent)
                for heading, (earned, spent) in found.items()
            ],
            today=wallet.day(),
        )

    @_when_on
    async def list_money(self, money: "Money", command: api.ListMoney) -> api.MoneyLines:
        """The statement."""
        count, store = max(1, min(MOST_LINES, command.count)), money.usable().store
        if command.forgotten:
            lines = list(reversed(await store.forgotten()))
            count = len(lines)
        else:
            lines = await store.lines(max(0, command.before), count + 1)
        shown = [
            api.MoneyLine(
                number=one.number,
                at=one.at,
                kind=one.kind,
                cause=one.cause,
                about=one.about,
                amount=one.amount,
                balance=one.balance,
            )
            for one in lines[:count]
        ]
        return api.MoneyLines(lines=shown, more=len(lines) > count)

    @_when_on
    async def withdraw(self, money: "Money", command: api.Withdraw) -> api.Money:
        """Ask for money on the chain."""
        await money.withdraw(command.name, MicroBtt(command.amount), command.to)
        self._box.journal.info(f"{show_btt(MicroBtt(command.amount))} BTT are to be sent to {command.to}.")
        return await self._money(money)

    @_when_on
    async def cancel_withdrawal(self, money: "Money", command: api.CancelWithdrawal) -> api.Money:
        """Take one back."""
        await money.cancel(command.name)
        self._box.journal.info("A withdrawal was taken back.")
        return await self._money(money)

    @_when_on
    async def set_payout(self, money: "Money", command: api.SetPayout) -> api.Money:
        """Another payout address."""
        await money.set_payout(command.to)
        told = money.told.payout
        wait = f", in force from {_day(UtcMs(told.since))}" if told.next else ""
        self._box.journal.warning(f"The payout address was set to {command.to}{wait}.")
        return await self._money(money)

    @_when_on
    async def verify_money(self, money: "Money", _: api.VerifyMoney) -> api.Verified:
        """Check all that the box can check by itself."""
        await money.fresh()
        return api.Verified(findings=await verify(money))


def _deposit(gateway: "GatewayInfo", memo: str) -> api.Deposit:
    return api.Deposit(
        address=gateway.address,
        memo=memo,
        asset=gateway.asset,
        development=gateway.development,
        fee=gateway.fee,
        fee_new=gateway.fee_new,
    )


async def verify(money: "Money") -> list[Finding]:
    """What the box can say of its account and its ledger."""
    if money.told.away:
        findings = [Finding("ledger", Verdict.WARNING, f"The ledger {money.url} is away.", money.told.away)]
    else:
        findings = [Finding("ledger", Verdict.OK, f"The ledger {money.url} answers.")]
    wallet = money.usable()
    try:
        count = await wallet.verify()
        findings.append(
            Finding(
                "records", Verdict.OK, f"All {count} entries add up, and every state of a channel is signed."
            )
        )
    except SeedboxError as error:
        findings.append(Finding("records", Verdict.ERROR, str(error), "Keep a copy of the state folder."))
    if gone := await wallet.store.forgotten():
        amount = show_btt(MicroBtt(sum(line.amount for line in gone)))
        findings.append(
            Finding(
                "forgotten",
                Verdict.ERROR,
                f"The ledger has forgotten {len(gone)} entries, {amount} BTT in all.",
                "Send them to its operator: seedbox wallet history --forgotten",
            )
        )
    if not money.told.away:
        balance, _ = await wallet.ask(lambda ledger: ledger.account())
        findings.append(_balance(balance, (await wallet.store.sums()).balance))
    findings.append(_covered(money.told.info))
    return findings


def _balance(told: MicroBtt, ours: MicroBtt) -> Finding:
    says = f"The ledger's balance is {show_btt(told)} BTT"
    if told == ours:
        return Finding("balance", Verdict.OK, f"{says}, as its statement says.")
    says += f"; by its statement it is {show_btt(ours)}."
    return Finding("balance", Verdict.ERROR, says, "Ask its operator.")


def _covered(info: "LedgerInfo | None") -> Finding:
    if info is None or info.difference is None:
        return Finding("covered", Verdict.UNKNOWN, "The ledger has no gateway to the chain.")
    difference = MicroBtt(int(info.difference))
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
