"""Commands about the box's money."""

import secrets
from collections.abc import Iterator
from typing import Any

import click

from appliance.control import money as api
from appliance.control.box import Verdict
from appliance.control.torrents import ShowTorrent
from appliance.core.errors import NotFound, OwnerMustAct
from appliance.core.units import MicroBtt, UtcMs, parse_btt, show_btt
from appliance.domain.ledger.statement import AccountLine, as_beancount, as_csv, as_json
from appliance.entrypoints.cli.context import UNWELL, App, command
from appliance.entrypoints.cli.findings import shown
from appliance.entrypoints.cli.words import table, when

PAGE = 500
DEVELOPMENT = "DEVELOPMENT CHAIN: nothing on it is worth anything."
_HEADINGS = {"day": "DAY (UTC)", "torrent": "TORRENT", "counterparty": "COUNTERPARTY"}


class Amount(click.ParamType[int]):
    """BTT with at most six decimals, exactly."""

    name = "btt"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """µBTT."""
        try:
            return value if isinstance(value, int) else parse_btt(str(value))
        except OwnerMustAct as error:
            return self.fail(str(error), param, ctx)


@click.group()
def wallet() -> None:
    """The box's money: balance, deposits, withdrawals, history."""


@wallet.command()
@click.option(
    "--by", type=click.Choice(["day", "torrent", "counterparty"]), help="Earned and spent by heading."
)
@click.option("--days", default=30, show_default=True, help="So many days back.")
@command
def show(app: App, by: Any, days: int) -> None:
    """Balance, spent on downloading, earned on distribution and storage."""
    if by:
        totals = app.box.call(api.GetTotals(by=by, days=days))
        rows = [[_named(app, one.heading, by), _btt(one.earned), _btt(one.spent)] for one in totals.totals]
        lines = table([_HEADINGS[by], "EARNED (BTT)", "SPENT (BTT)"], rows, wide=0, right="12")
        app.answer(totals, *(lines if rows else [f"Nothing was earned or spent in the last {days} days."]))
        return
    money = _money(app)
    facts = [
        ("Balance", f"{_btt(money.balance)} BTT"),
        ("Locked", f"{_btt(money.held + money.locked)} BTT ({_btt(money.held)} of the balance is set apart)"),
        ("To come", f"{_btt(money.receivable)} BTT, paid to the box and not collected yet"),
        (
            "Earned",
            f"{_total(money, 'distribution')} BTT on distribution, {_total(money, 'storage')} on storage",
        ),
        (
            "Spent",
            f"{_total(money, 'downloading')} BTT on downloading, {_total(money, 'storing')} on storage",
        ),
        ("Account", f"{money.address} at {money.name or 'the ledger'} ({money.ledger})"),
        ("Key", f"{money.identity} (keep a copy: whoever has it has the account)"),
        ("Payout", _payout(money)),
    ]
    lines = [f"{click.style(f'{name:<9}', bold=True)}{text}" for name, text in facts]
    for one in money.withdrawals:
        if one.phase in ("locked", "signed"):
            lines.append(f"  {one.name}: {_btt(one.amount)} BTT to {one.to}. {one.sentence}")
    app.answer(money, *lines, *_notes(money))


@wallet.command()
@command
def deposit(app: App) -> None:
    """Where to send tokens, so that they reach the box's account."""
    money = _money(app)
    found = _gateway(money)
    import io

    import segno

    code = io.StringIO()
    segno.make_qr(found.address, error="m").terminal(out=code, border=2, compact=True)
    app.answer(
        found,
        f"Send token {found.asset} on TRON",
        f"  to        {click.style(found.address, bold=True)}",
        f"  with memo {click.style(found.memo, bold=True)}",
        "The memo says whose money it is: a transfer without it is credited to nobody.",
        "It counts when it is final on the chain, after about a minute.",
        "",
        code.getvalue().rstrip("\n"),
        *_notes(money),
    )


@wallet.command()
@click.argument("amount", type=Amount())
@click.option("--to", help="The payout address, to make sure that it is the one you mean.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@command
def withdraw(app: App, amount: int, to: str | None, yes: bool) -> None:
    """Send AMOUNT (in BTT) to the payout address on the chain."""
    money = _money(app)
    found = _gateway(money)
    if not money.payout:
        raise OwnerMustAct("No payout address is set. Set it first: seedbox wallet payout ADDRESS")
    if to and to != money.payout:
        raise OwnerMustAct(f"Money leaves to {money.payout} alone, the payout address.")
    cost = f"{_btt(found.fee)} TRX"
    if found.fee_new > found.fee:
        cost += f" for it now, or {_btt(found.fee_new)} where the address was never used"
    if not yes and not app.as_json:
        for note in _notes(money):
            click.echo(note)
        click.echo(f"The chain takes {cost}; the ledger's gateway pays that.")
        click.confirm(f"Send {_btt(amount)} BTT to {money.payout}?", abort=True)
    name = secrets.token_hex(8)
    after = app.box.call(api.Withdraw(name=name, amount=amount, to=money.payout))
    app.answer(
        after,
        f"Withdrawal {name}: {_btt(amount)} BTT to {money.payout}.",
        "The gateway sends it at its next pass. See how it is: seedbox wallet show",
    )


@wallet.command()
@click.argument("name")
@command
def cancel(app: App, name: str) -> None:
    """Take a withdrawal back that is not on its way yet."""
    after = app.box.call(api.CancelWithdrawal(name=name))
    app.answer(after, f"Withdrawal {name} was taken back; the balance is {_btt(after.balance)} BTT.")


@wallet.command()
@click.argument("address")
@command
def payout(app: App, address: str) -> None:
    """Set the one ADDRESS that money may leave to; a change waits, so that you can stop a thief."""
    after = app.box.call(api.SetPayout(to=address))
    app.answer(after, f"Payout: {_payout(after)}")


@wallet.command()
@click.option("--count", default=20, show_default=True, help="So many entries; exports have all of them.")
@click.option("--format", "form", type=click.Choice(["table", "csv", "json", "beancount"]), default="table")
@click.option(
    "--forgotten", is_flag=True, help="Those that the ledger had told of, and does not know any more."
)
@command
def history(app: App, count: int, form: str, forgotten: bool) -> None:
    """The account's entries, the newest last; or all of them in a format for other programs."""
    if form != "table":
        lines = [*reversed(list(_all_lines(app, forgotten)))]
        made = {"csv": as_csv, "json": as_json, "beancount": as_beancount}[form](lines)
        click.echo(made.rstrip("\n"))
        return
    answer = app.box.call(api.ListMoney(count=count, forgotten=forgotten))
    rows = [
        [when(one.at), one.kind, _btt(one.amount), _btt(one.balance), one.about]
        for one in reversed(answer.lines)
    ]
    head = ["WHEN", "WHAT", "AMOUNT (BTT)", "BALANCE (BTT)", "ABOUT"]
    app.answer(answer, *(table(head, rows, wide=4, right="23") if rows else ["Nothing has happened yet."]))


@wallet.command()
@command
def verify(app: App) -> None:
    """Check that everything adds up, and that the ledger can pay what it owes."""
    found = app.box.call(api.VerifyMoney())
    app.answer(found, *shown(found.findings))
    bad = any(one.verdict is Verdict.ERROR for one in found.findings)
    raise SystemExit(UNWELL if bad else 0)


def _named(app: App, heading: str, by: str) -> str:
    """A torrent by its name, as long as it is here."""
    if by != "torrent":
        return heading or "-"
    try:
        return app.box.call(ShowTorrent(id=heading)).row.name
    except NotFound:
        return heading


def _all_lines(app: App, forgotten: bool) -> Iterator[AccountLine]:
    """Newest first."""
    before = 0
    while True:
        page = app.box.call(api.ListMoney(before=before, count=PAGE, forgotten=forgotten))
        for one in page.lines:
            amount, balance = MicroBtt(one.amount), MicroBtt(one.balance)
            yield AccountLine(one.number, UtcMs(one.at), one.kind, one.cause, one.about, amount, balance)
        if not page.more:
            return
        before = page.lines[-1].number


def _money(app: App) -> api.Money:
    money = app.box.call(api.GetMoney())
    if not money.on:
        raise OwnerMustAct("No ledger keeps money for this box. Name one: wallet.ledger in seedbox.toml.")
    return money


def _gateway(money: api.Money) -> api.Deposit:
    if money.deposit is None:
        raise OwnerMustAct(
            f"The ledger {money.ledger} {'is away' if money.away else 'has no gateway to a chain'}: money "
            "moves between its accounts alone."
        )
    return money.deposit


def _notes(money: api.Money) -> list[str]:
    """What the owner must not overlook."""
    notes = []
    if money.deposit and money.deposit.development:
        notes.append(click.style(DEVELOPMENT, fg="yellow"))
    if money.away:
        since = f"; this is of {when(money.as_of)}" if money.as_of else ""
        notes.append(click.style(f"The ledger is away{since}. {money.away}", fg="yellow"))
    if money.difference is not None and money.difference < 0:
        lack = _btt(-money.difference)
        notes.append(click.style(f"The ledger owes {lack} BTT more than it holds on the chain.", fg="red"))
    return notes


def _payout(money: api.Money) -> str:
    if not money.payout:
        return "not set (seedbox wallet payout ADDRESS)"
    if not money.payout_next:
        return money.payout
    return f"{money.payout}; from {when(money.payout_since)} on {money.payout_next}"


def _total(money: api.Money, purpose: str) -> str:
    return _btt(money.totals.get(purpose, 0))


def _btt(amount: int) -> str:
    return show_btt(MicroBtt(amount))


COMMANDS = (wallet,)
