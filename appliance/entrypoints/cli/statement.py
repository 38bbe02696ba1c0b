"""`seedbox wallet history`: the account's entries, for people and for other programs."""

from collections.abc import Iterator

import click

from appliance.control import money as api
from appliance.core.units import MicroBtt, UtcMs
from appliance.domain.ledger.statement import AccountLine, as_beancount, as_csv, as_json
from appliance.entrypoints.cli.context import App, command
from appliance.entrypoints.cli.words import btt, table, when

_PAGE = 500
_EXPORTS = {"csv": as_csv, "json": as_json, "beancount": as_beancount}


@click.command()
@click.option("--count", default=20, show_default=True, help="Number of entries; exports have all of them.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", *_EXPORTS]),
    default="table",
    show_default=True,
    help="Table for people, or format for other programs.",
)
@click.option("--forgotten", is_flag=True, help="Only entries that have disappeared from the ledger.")
@command
def history(app: App, count: int, form: str, forgotten: bool) -> None:
    """List the account's entries, newest last.

    With another format, print all of them for other programs.
    """
    if form == "table":
        answer = app.box.call(api.ListMoney(count=count, forgotten=forgotten))
        app.answer(answer, *entry_lines(answer.lines))
    else:
        oldest_first = [*reversed(list(_all_lines(app, forgotten)))]
        click.echo(_EXPORTS[form](oldest_first).rstrip("\n"))


def entry_lines(entries: list[api.MoneyLine]) -> list[str]:
    """Entries of the account for people, oldest first; `entries` has the newest first."""
    if not entries:
        return ["No entries yet."]
    rows = [
        [when(one.at), one.kind.replace("-", " "), btt(one.amount), btt(one.balance), one.about]
        for one in reversed(entries)
    ]
    return table(["TIME", "TYPE", "AMOUNT (BTT)", "BALANCE (BTT)", "DETAILS"], rows, wide=4, right="23")


def _all_lines(app: App, forgotten: bool) -> Iterator[AccountLine]:
    """Every entry, newest first."""
    before = 0
    while True:
        page = app.box.call(api.ListMoney(before=before, count=_PAGE, forgotten=forgotten))
        yield from map(_line, page.lines)
        if not page.more:
            return
        before = page.lines[-1].number


def _line(one: api.MoneyLine) -> AccountLine:
    amount, balance = MicroBtt(one.amount), MicroBtt(one.balance)
    return AccountLine(one.number, UtcMs(one.at), one.kind, one.cause, one.about, amount, balance)
