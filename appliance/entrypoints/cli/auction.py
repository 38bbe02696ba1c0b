"""Commands about the auction: what is sold, and what is bid elsewhere."""

import re
import sys
import time
from typing import Any

import click

from appliance.control import auction as slots
from appliance.control.torrents import ShowTorrent, State
from appliance.core.errors import OwnerMustAct
from appliance.core.units import (
    MicroBtt,
    MicroBttPerMib,
    parse_price,
    show_btt,
    show_bytes,
    show_price,
    show_rate,
    show_span,
)
from appliance.entrypoints.cli.context import App, command
from appliance.entrypoints.cli.torrents import added_from
from appliance.entrypoints.cli.wallet import Amount
from appliance.entrypoints.cli.words import TORRENT, find, table, when

_SPANS = click.Choice(["hour", "day", "month"])
_HOUR_MS = 3_600_000
_LENGTHS = {"m": 60_000, "h": _HOUR_MS, "d": 24 * _HOUR_MS}


class Price(click.ParamType[int]):
    """BTT for a GiB."""

    name = "btt/gib"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """µBTT for a MiB."""
        try:
            return value if isinstance(value, int) else parse_price(str(value))
        except OwnerMustAct as error:
            return self.fail(str(error), param, ctx)


class Span(click.ParamType[int]):
    """`90m`, `2h` or `3d`."""

    name = "span"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Milliseconds."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"(\d{1,5})([mhd])", str(value).strip().lower())
        if not found or not int(found[1]):
            return self.fail(f'"{value}" is no span; write 90m, 2h or 3d.', param, ctx)
        return int(found[1]) * _LENGTHS[found[2]]


PRICE, SPAN = Price(), Span()


@click.group()
def auction() -> None:
    """Upload slots that this box sells: who has them, at what price."""


@auction.command()
@command
def show(app: App) -> None:
    """Slots, who holds them, who waits, and the prices now."""
    now = app.box.call(slots.GetAuction())
    if not now.on:
        raise OwnerMustAct(now.trouble)
    app.answer(now, *_shown(now))


def _shown(now: slots.Auction) -> list[str]:
    if not now.sell:
        return ["No slots are sold. To sell some: seedbox auction set --sell"]
    lines = [click.style(f"{len(now.sold)} of {now.slots} slots are sold.", bold=True)]
    if now.trouble:
        lines.append(click.style(now.trouble, fg="yellow"))
    clearing = f"{_price(now.price)} (the last that was paid)" if now.price else "nothing was sold yet"
    reserve = (
        f"{_price(now.reserve)}, moves with demand" if now.reserve_moves else f"{_price(now.reserve)}, fixed"
    )
    uplink = f" of {show_rate(now.uplink)}" if now.uplink else ""
    facts = [
        ("Price", clearing),
        ("Least", reserve),
        ("Free", f"{now.free_share} %{uplink} for {now.others} others while slots are sold"),
        ("Round", f"{now.round}, decided in {now.left_ms // 1_000} s"),
    ]
    if now.debtors:
        facts.append(
            ("Owed", f"{show_btt(MicroBtt(now.debts))} BTT by {now.debtors} who left without paying")
        )
    lines += [f"{click.style(f'{name:<7}', bold=True)}{text}" for name, text in facts]
    if now.sold:
        rows = [
            [
                one.holder,
                one.name or one.torrent[:8],
                show_price(MicroBttPerMib(one.price)),
                show_bytes(one.sent),
                show_btt(MicroBtt(one.paid)),
                one.standing if one.connected else "not connected",
            ]
            for one in now.sold
        ]
        head = ["HOLDER", "TORRENT", "BTT/GiB", "SENT", "PAID (BTT)", "STANDS"]
        lines += ["", *table(head, rows, wide=1, right="234")]
    if now.waiting:
        rows = [
            [
                one.bidder,
                one.name or one.torrent[:8],
                show_price(MicroBttPerMib(one.bid)),
                one.why or "others bid more",
            ]
            for one in now.waiting
        ]
        lines += ["", *table(["WAITS", "TORRENT", "BTT/GiB", "WHY"], rows, wide=1, right="2")]
    return lines


@auction.command()
@click.option("--span", type=_SPANS, default="day", show_default=True)
@click.option("--by", type=click.Choice(["time", "torrent"]), default="time", show_default=True)
@command
def history(app: App, span: Any, by: str) -> None:
    """Prices and earnings over time, or what each torrent has earned."""
    if by == "torrent":
        _yields(app)
        return
    told = app.box.call(slots.GetRounds(span=span))
    rows = []
    for index, price in enumerate(told.price):
        if told.earned[index] or told.sent[index] or price:
            at = told.start + index * told.step_s * 1_000
            rows.append(
                [
                    when(at)[:16],
                    show_price(MicroBttPerMib(price)) if price else "-",
                    f"{told.sold[index] / 10:.0f} %",
                    show_bytes(told.sent[index]),
                    show_btt(MicroBtt(told.earned[index])),
                ]
            )
    head = ["FROM", "BTT/GiB", "SOLD", "SENT", "EARNED (BTT)"]
    lines = table(head, rows, wide=0, right="1234") if rows else [f"Nothing was sold in the last {span}."]
    app.answer(told, *lines)


def _yields(app: App) -> None:
    told = app.box.call(slots.GetYields())
    rows = [
        [
            one.name or f"{one.id[:8]} (removed)",
            show_bytes(one.sold),
            show_btt(MicroBtt(one.earned)),
            show_btt(MicroBtt(one.per_gib_stored)) if one.size else "-",
            show_btt(MicroBtt(one.per_gib_sent)),
        ]
        for one in told.torrents
    ]
    head = ["TORRENT", "SENT IN SLOTS", "EARNED (BTT)", "A GiB STORED", "A GiB SENT"]
    lines = table(head, rows, wide=0, right="1234") if rows else ["No torrent has earned anything yet."]
    app.answer(told, *lines)


@auction.command(name="set")
@click.option("--sell/--no-sell", default=None, help="Sell slots, or not.")
@click.option("--slots", "count", type=int, help="Slots that are sold at once.")
@click.option("--per-torrent", type=int, help="Of them for one torrent; 0 is all.")
@click.option("--rule", type=click.Choice(["lowest-winning", "highest-losing"]), help="What winners pay.")
@click.option("--free-share", type=int, metavar="PERCENT", help="For those who do not bid.")
@click.option("--reserve", type=PRICE, help="Least price.")
@click.option("--fixed/--moves", default=None, help="Whether the least price stays, or follows demand.")
@click.option("--ceiling", type=PRICE, help="The least price never rises above this; 0 is no ceiling.")
@click.option("--credit", type=int, metavar="MIB", help="Sent before it is paid, at most.")
@click.option("--buy-price", type=PRICE, help="Bid by itself up to this; 0 is never.")
@click.option("--buy-budget", type=int, metavar="BTT", help="Spent on downloading in a day, at most.")
@click.option("--buy-hours", type=int, help="Bid only for what would take longer; 0 is always.")
@click.option("--reset", is_flag=True, help="Back to the configuration first.")
@command
def set_(app: App, count: int | None, fixed: bool | None, **told: Any) -> None:
    """Change what is sold, or bid for; it holds at once, and over restarts. Prices are in BTT for a GiB."""
    moves = None if fixed is None else not fixed
    change = slots.SetAuction(slots=count, reserve_moves=moves, **told)
    if change == slots.SetAuction():
        raise OwnerMustAct("Nothing to set. See: seedbox auction set --help")
    now = app.box.call(change)
    app.answer(now, *_shown(now))


@click.command()
@command
def bids(app: App) -> None:
    """What this box bids for slots of others, and what that has cost."""
    told = app.box.call(slots.ListBids())
    if not told.on:
        raise OwnerMustAct("The box has no account. Name a ledger: wallet.ledger in seedbox.toml.")
    lines = [
        f"By itself it bids up to {_price(told.buy_price)}."
        if told.buy_price
        else "By itself it bids for nothing. For a torrent: seedbox get",
        f"Spent today: {show_btt(MicroBtt(told.day_spent))} of at most {told.buy_budget} BTT.",
    ]
    for one in told.torrents:
        lines += [
            "",
            f"{click.style(one.name, bold=True)} ({one.torrent[:8]}), {one.progress / 10_000:.0f} %",
        ]
        budget = f" of {show_btt(MicroBtt(one.budget))}" if one.budget else ""
        ends = f", by {when(one.deadline)[:16]}" if one.deadline else ""
        lines.append(
            f"  at most {_price(one.price)}; spent {show_btt(MicroBtt(one.spent))}{budget} BTT{ends}"
        )
        lines.append(f"  {one.sentence}")
        mine = [bid for bid in told.bids if bid.torrent == one.torrent]
        rows = [
            [
                bid.seller,
                show_price(MicroBttPerMib(bid.reserve)),
                show_price(MicroBttPerMib(bid.bid)) if bid.bid else "-",
                "won" if bid.won else "",
                show_bytes(bid.received),
                show_btt(MicroBtt(bid.paid)),
            ]
            for bid in mine
        ]
        if rows:
            head = ["SELLER", "LEAST", "BID", "", "ARRIVED", "PAID (BTT)"]
            lines += [f"  {line}" for line in table(head, rows, wide=0, right="1245")]
    if told.shunned:
        lines.append("")
        lines += [
            f"Left alone until {when(one.until)[:16]}: {one.seller}: {one.why}." for one in told.shunned
        ]
    app.answer(told, *lines)


@click.command()
@click.argument("source")
@click.option("--max-price", type=PRICE, required=True, help="The most for a GiB, in BTT.")
@click.option("--budget", type=Amount(), required=True, help="The most in all, in BTT.")
@click.option("--deadline", type=SPAN, help="Pay only as far as it would not be here in 90m, 2h, 3d anyway.")
@click.option("--simulate", is_flag=True, help="Say what would be bid, and bid nothing.")
@click.option("--detach", is_flag=True, help="Do not wait until it is here.")
@command
def get(
    app: App, source: str, max_price: int, budget: int, deadline: int | None, simulate: bool, detach: bool
) -> None:
    """Download SOURCE (a .torrent, a magnet link, a web address, or a torrent here), and pay for it."""
    if not max_price or not budget:
        raise OwnerMustAct("A price and a budget are more than nothing. To pay no more: seedbox unget")
    if re.fullmatch(r"[0-9a-f]{8,40}", source):
        id = find(app, source)
        name = app.box.call(ShowTorrent(id=id)).row.name
    else:
        added = added_from(app, source)
        id, name = added.id, added.name
    ends = round(time.time() * 1_000) + deadline if deadline else 0
    told = app.box.call(
        slots.WantTorrent(id=id, price=max_price, budget=budget, deadline=ends, simulate=simulate)
    )
    if detach or app.as_json:
        app.answer(told, f"{name} ({id[:8]}) is fetched, and bid for. See: seedbox bids")
        return
    _follow(app, id, name)


def _follow(app: App, id: str, name: str) -> None:
    """Tell how it goes until it is here; Ctrl-C leaves the box at it."""
    said = ""
    try:
        while True:
            row = app.box.call(ShowTorrent(id=id)).row
            if row.state not in (State.ADDING, State.CHECKING, State.DOWNLOADING):
                break
            told = app.box.call(slots.ListBids())
            mine = next((one for one in told.torrents if one.torrent == id), None)
            line = f"{row.progress / 10_000:.0f} %, {show_rate(row.down_rate)}"
            if row.eta_s >= 0:
                line += f", {show_span(row.eta_s)} left"
            if mine:
                line += f". {mine.sentence} Paid {show_btt(MicroBtt(mine.spent))} BTT."
            if sys.stderr.isatty():
                click.echo(f"\r\033[K{line}", nl=False, err=True)
            elif mine and mine.sentence != said:
                said = mine.sentence
                click.echo(line, err=True)
            time.sleep(1)
    except KeyboardInterrupt:
        click.echo("\nThe box goes on with it. See: seedbox bids", err=True)
        return
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)
    click.echo(f"{name}: {row.state.value}.")


@click.command()
@click.argument("name", type=TORRENT)
@command
def unget(app: App, name: str) -> None:
    """Pay no more for a torrent; it is downloaded all the same."""
    told = app.box.call(slots.WantTorrent(id=find(app, name), price=0))
    app.answer(told, "Nothing more is bid for it.")


def _price(price: int) -> str:
    return f"{show_price(MicroBttPerMib(price))} BTT/GiB"


COMMANDS = (auction, bids, get, unget)
