"""Commands about the box's money."""

import secrets
from typing import Any

import click

from appliance.control import money as api
from appliance.control.box import Verdict
from appliance.control.torrents import ShowTorrent
from appliance.core.errors import NotFound, OwnerMustAct
from appliance.core.units import plural
from appliance.entrypoints.cli.context import UNWELL, App, command
from appliance.entrypoints.cli.findings import shown
from appliance.entrypoints.cli.params import AMOUNT
from appliance.entrypoints.cli.statement import history
from appliance.entrypoints.cli.words import btt, facts, table, when

DEVELOPMENT = "DEVELOPMENT CHAIN: its tokens are worthless."
_HEADINGS = {"day": "DAY (UTC)", "torrent": "TORRENT", "counterparty": "COUNTERPARTY"}


@click.group()
def wallet() -> None:
    """Show and move the box's money."""


wallet.add_command(history)


@wallet.command()
@click.option(
    "--by", type=click.Choice(["day", "torrent", "counterparty"]), help="Show earnings and spending by this."
)
@click.option("--days", default=30, show_default=True, help="Number of days to look back (with --by).")
@command
def show(app: App, by: Any, days: int) -> None:
    """Show the balance, and what was earned and spent."""
    if by:
        totals = app.box.call(api.GetTotals(by=by, days=days))
        rows = [[_heading(app, one.heading, by), btt(one.earned), btt(one.spent)] for one in totals.totals]
        app.answer(totals, *total_lines(rows, _HEADINGS[by], days))
    else:
        money = _money(app)
        app.answer(money, *money_lines(money), *_notes(money))


def total_lines(rows: list[list[str]], heading: str, days: int) -> list[str]:
    """Earned and spent by heading, for people."""
    if not rows:
        span = "day" if days == 1 else plural(days, "day")
        return [f"Nothing was earned or spent in the last {span}."]
    return table([heading, "EARNED (BTT)", "SPENT (BTT)"], rows, wide=0, right="12")


def _heading(app: App, heading: str, by: str) -> str:
    """The heading for people: a torrent by its name, as long as it is in the list."""
    if by != "torrent":
        return heading or "-"
    try:
        return app.box.call(ShowTorrent(id=heading)).row.name
    except NotFound:
        return heading


def money_lines(money: api.Money) -> list[str]:
    """The account, for people."""
    pairs = [
        ("Balance", f"{btt(money.balance)} BTT"),
        ("Reserved", f"{btt(money.held)} BTT of the balance; {btt(money.locked)} BTT in payment channels"),
        ("Pending", f"{btt(money.receivable)} BTT received, not collected yet"),
        ("Earned", f"{_total(money, 'distribution')} by seeding, {_total(money, 'storage')} by storage"),
        ("Spent", f"{_total(money, 'downloading')} on downloads, {_total(money, 'storing')} on storage"),
        ("Account", f"{money.address} at {money.name or 'the ledger'} ({money.ledger})"),
        ("Key", f"{money.identity} (keep a copy: whoever has this file controls the account)"),
        ("Payout", _payout(money)),
    ]
    underway = [one for one in money.withdrawals if one.phase in ("locked", "signed")]
    return [
        *facts(pairs),
        *(f"  {one.name}: {btt(one.amount)} BTT to {one.to}. {one.sentence}" for one in underway),
    ]


def _total(money: api.Money, purpose: str) -> str:
    return f"{btt(money.totals.get(purpose, 0))} BTT"


@wallet.command()
@command
def deposit(app: App) -> None:
    """Show where to send tokens for a deposit."""
    money = _money(app)
    found = _gateway(money)
    app.answer(
        found,
        f"Send token {found.asset} on TRON",
        f"  to        {click.style(found.address, bold=True)}",
        f"  with memo {click.style(found.memo, bold=True)}",
        "Without this memo your deposit cannot be credited to you.",
        "It is credited when the chain has confirmed it, after about a minute.",
        "",
        _qr_code(found.address),
        *_notes(money),
    )


def _qr_code(text: str) -> str:
    import io

    import segno

    code = io.StringIO()
    segno.make_qr(text, error="m").terminal(out=code, border=2, compact=True)
    return code.getvalue().rstrip("\n")


@wallet.command()
@click.argument("amount", type=AMOUNT)
@click.option("--to", help="Payout address, to make sure that it is the one you mean.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@command
def withdraw(app: App, amount: int, to: str | None, yes: bool) -> None:
    """Withdraw AMOUNT (in BTT) to the payout address on TRON."""
    money = _money(app)
    found = _gateway(money)
    if not money.payout:
        raise OwnerMustAct("No payout address is set. Set one first: seedbox wallet payout ADDRESS")
    if to and to != money.payout:
        raise OwnerMustAct(f"Withdrawals can only go to the payout address, {money.payout}.")
    if not yes and not app.as_json:
        _confirm_withdrawal(money, found, amount)
    name = secrets.token_hex(8)
    after = app.box.call(api.Withdraw(name=name, amount=amount, to=money.payout))
    app.answer(
        after,
        f"Withdrawal {name}: {btt(amount)} BTT to {money.payout}.",
        "The gateway sends it in its next pass. To see its progress: seedbox wallet show",
    )


def _confirm_withdrawal(money: api.Money, found: api.Deposit, amount: int) -> None:
    for note in _notes(money):
        click.echo(note)
    click.echo(fee_line(found))
    click.confirm(f"Send {btt(amount)} BTT to {money.payout}? This cannot be undone.", abort=True)


def fee_line(found: api.Deposit) -> str:
    """What the chain charges for a withdrawal, for people."""
    fee = f"{btt(found.fee)} TRX"
    if found.fee_new > found.fee:
        fee += f", or {btt(found.fee_new)} TRX if the address has never been used"
    return f"Network fee: {fee}; paid by the ledger's gateway."


@wallet.command()
@click.argument("name")
@command
def cancel(app: App, name: str) -> None:
    """Cancel a withdrawal that has not been sent yet."""
    after = app.box.call(api.CancelWithdrawal(name=name))
    app.answer(after, f"Withdrawal {name} cancelled; the balance is {btt(after.balance)} BTT.")


@wallet.command()
@click.argument("address")
@command
def payout(app: App, address: str) -> None:
    """Set the payout address.

    Withdrawals can go to no other ADDRESS. For your safety, a change takes effect after 24 hours.
    """
    after = app.box.call(api.SetPayout(to=address))
    app.answer(after, f"Payout: {_payout(after)}")


@wallet.command()
@command
def verify(app: App) -> None:
    """Verify that all entries add up.

    Also verifies that the ledger holds what it owes.
    """
    found = app.box.call(api.VerifyMoney())
    app.answer(found, *shown(found.findings))
    bad = any(one.verdict is Verdict.ERROR for one in found.findings)
    raise SystemExit(UNWELL if bad else 0)


def _money(app: App) -> api.Money:
    money = app.box.call(api.GetMoney())
    if not money.on:
        raise OwnerMustAct("This box has no account. Set wallet.ledger in seedbox.toml.")
    return money


def _gateway(money: api.Money) -> api.Deposit:
    if money.deposit is not None:
        return money.deposit
    if money.away:
        raise OwnerMustAct(f"The ledger {money.ledger} cannot be reached. {money.away}")
    raise OwnerMustAct(
        f"The ledger {money.ledger} is not connected to TRON, so deposits and withdrawals are off."
    )


def _notes(money: api.Money) -> list[str]:
    """Warnings that the owner must not overlook."""
    notes = []
    if money.deposit and money.deposit.development:
        notes.append(click.style(DEVELOPMENT, fg="yellow"))
    if money.away:
        notes.append(click.style(_away(money), fg="yellow"))
    return [*notes, *_lack(money.difference)]


def _lack(difference: int | None) -> list[str]:
    if difference is None or difference >= 0:
        return []
    lack = f"The ledger owes {btt(-difference)} BTT more than it holds on the chain."
    return [click.style(lack, fg="red")]


def _away(money: api.Money) -> str:
    since = f"; these are the figures of {when(money.as_of)}" if money.as_of else ""
    return f"The ledger cannot be reached{since}. {money.away}"


def _payout(money: api.Money) -> str:
    if not money.payout:
        return "not set (to set it: seedbox wallet payout ADDRESS)"
    if not money.payout_next:
        return money.payout
    return f"{money.payout}; from {when(money.payout_since)}: {money.payout_next}"


COMMANDS = (wallet,)
