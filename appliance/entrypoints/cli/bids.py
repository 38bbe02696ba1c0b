"""Commands about paying for downloads: what this box bids for other boxes' upload slots."""

import re
import sys
import time
from collections.abc import Iterator

import click

from appliance.control import auction as api
from appliance.control.torrents import ShowTorrent, TorrentRow, TorrentState
from appliance.core.errors import OwnerMustAct
from appliance.core.units import show_bytes, show_rate, show_span
from appliance.entrypoints.cli.adding import added_from
from appliance.entrypoints.cli.context import App, command
from appliance.entrypoints.cli.params import AMOUNT, DURATION, PRICE, TORRENT, find
from appliance.entrypoints.cli.words import btt, minute, percent, price, state_name, table

_UNFINISHED = (TorrentState.ADDING, TorrentState.CHECKING, TorrentState.DOWNLOADING)


@click.command()
@command
def bids(app: App) -> None:
    """Show this box's bids for faster downloads, and their cost."""
    now = app.box.call(api.ListBids())
    if not now.on:
        raise OwnerMustAct("This box has no account. Set wallet.ledger in seedbox.toml.")
    app.answer(now, *bids_lines(now))


def bids_lines(now: api.Bids) -> list[str]:
    """The box as a buyer, for people."""
    lines = [_automatic(now), f"Spent today: {btt(now.day_spent)} of {now.buy_budget} BTT."]
    for bought in now.torrents:
        markets = [bid for bid in now.bids if bid.torrent == bought.torrent]
        lines += ["", *_bought(bought), *_markets(markets)]
    return [*lines, *_shunned(now.shunned)]


def _automatic(now: api.Bids) -> str:
    if not now.buy_price:
        return "Automatic bids are off. To pay for one torrent: seedbox get"
    return f"Automatic bids: up to {price(now.buy_price)} BTT/GiB."


def _bought(one: api.Bought) -> list[str]:
    budget = f" of {btt(one.budget)}" if one.budget else ""
    ends = f", until {minute(one.deadline)}" if one.deadline else ""
    return [
        f"{click.style(one.name, bold=True)} ({one.torrent[:8]}), {percent(one.progress)}",
        f"  up to {price(one.price)} BTT/GiB; spent {btt(one.spent)}{budget} BTT{ends}",
        f"  {one.sentence}",
    ]


def _markets(markets: list[api.BidAnswer]) -> list[str]:
    if not markets:
        return []
    head = ["SELLER", "MINIMUM", "BID", "", "RECEIVED", "PAID (BTT)"]
    return [f"  {line}" for line in table(head, [_market(bid) for bid in markets], wide=0, right="1245")]


def _market(bid: api.BidAnswer) -> list[str]:
    return [
        bid.seller,
        price(bid.reserve),
        price(bid.bid) if bid.bid else "-",
        "won" if bid.won else "",
        show_bytes(bid.received),
        btt(bid.paid),
    ]


def _shunned(sellers: list[api.Shunned]) -> list[str]:
    if not sellers:
        return []
    return ["", *(f"Avoided until {minute(one.until)}: {one.seller}: {one.why}." for one in sellers)]


@click.command()
@click.argument("source")
@click.option("--max-price", type=PRICE, required=True, help="Maximum price in BTT/GiB.")
@click.option("--budget", type=AMOUNT, required=True, help="Maximum total in BTT.")
@click.option("--deadline", type=DURATION, help="Pay only if it would take longer otherwise: 90m, 2h or 3d.")
@click.option("--simulate", is_flag=True, help="Show what would be bid, without bidding.")
@click.option("--detach", is_flag=True, help="Do not wait for the download to finish.")
@command
def get(
    app: App, source: str, max_price: int, budget: int, deadline: int | None, simulate: bool, detach: bool
) -> None:
    """Download SOURCE, and pay for speed.

    SOURCE is a .torrent file, a magnet link, a web address, or a torrent that is already in the list.
    """
    if not max_price or not budget:
        raise OwnerMustAct("Price and budget must be more than 0. To stop paying: seedbox unget TORRENT")
    id, name = _source(app, source)
    ends = round(time.time() * 1_000) + deadline if deadline else 0
    answer = app.box.call(
        api.WantTorrent(id=id, price=max_price, budget=budget, deadline=ends, simulate=simulate)
    )
    if detach or app.as_json:
        app.answer(answer, got_line(id, name, simulate))
    else:
        _watch(app, id, name)


def got_line(id: str, name: str, simulate: bool) -> str:
    """What `seedbox get` has started, for people."""
    verb = "bids are simulated" if simulate else "the box bids for it"
    return f"{name} ({id[:8]}) is downloading, and {verb}. See: seedbox bids"


def _source(app: App, source: str) -> tuple[str, str]:
    """Id and name of the torrent, which is added unless it is in the list."""
    if re.fullmatch(r"[0-9a-f]{8,40}", source):
        id = find(app, source)
        return id, app.box.call(ShowTorrent(id=id)).row.name
    added = added_from(app, source)
    return added.id, added.name


def _watch(app: App, id: str, name: str) -> None:
    """Report progress until the download is complete; Ctrl-C leaves the box to finish it."""
    report = _Report(live=sys.stderr.isatty())
    try:
        for row, bought in _progress(app, id):
            report.say(progress_line(row, bought), bought.sentence if bought else "")
    except KeyboardInterrupt:
        click.echo("\nThe download continues. See: seedbox bids", err=True)
        return
    report.end()
    row = app.box.call(ShowTorrent(id=id)).row
    click.echo(f"{name}: {state_name(row.state).capitalize()}.")


def _progress(app: App, id: str) -> Iterator[tuple[TorrentRow, api.Bought | None]]:
    """The torrent and its purchase once a second, until the download ends."""
    while (row := app.box.call(ShowTorrent(id=id)).row).state in _UNFINISHED:
        bought = app.box.call(api.ListBids()).torrents
        yield row, next((one for one in bought if one.torrent == id), None)
        time.sleep(1)


def progress_line(row: TorrentRow, bought: api.Bought | None) -> str:
    """How a paid download is going, for people."""
    left = f", {show_span(row.eta_s)} left" if row.eta_s >= 0 else ""
    line = f"{percent(row.progress)}, {show_rate(row.down_rate)}{left}"
    return f"{line}. {bought.sentence} Paid {btt(bought.spent)} BTT." if bought else line


class _Report:
    """Progress on standard error: one live line on a terminal, elsewhere a line for each new sentence."""

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._last = ""

    def say(self, line: str, sentence: str) -> None:
        if self._live:
            click.echo(f"\r\033[K{line}", nl=False, err=True)
        elif sentence != self._last:
            click.echo(line, err=True)
            self._last = sentence

    def end(self) -> None:
        if self._live:
            click.echo("\r\033[K", nl=False, err=True)


@click.command()
@click.argument("torrent", type=TORRENT)
@command
def unget(app: App, torrent: str) -> None:
    """Stop paying for a torrent (the download continues)."""
    answer = app.box.call(api.WantTorrent(id=find(app, torrent), price=0))
    app.answer(answer, "Stopped bidding for it. The download continues.")


COMMANDS = (bids, get, unget)
