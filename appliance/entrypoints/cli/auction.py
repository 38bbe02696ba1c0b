"""Commands about the auction in which this box sells its upload slots."""

from typing import Any

import click

from appliance.control import auction as api
from appliance.core.errors import OwnerMustAct
from appliance.core.units import plural, show_bytes, show_rate
from appliance.entrypoints.cli.context import App, command
from appliance.entrypoints.cli.params import PRICE
from appliance.entrypoints.cli.words import btt, facts, minute, price, table

_SPANS = click.Choice(["hour", "day", "month"])


@click.group()
def auction() -> None:
    """Show and change the auction of this box's upload slots."""


@auction.command()
@command
def show(app: App) -> None:
    """Show slots, their holders, waiting bids and prices."""
    now = app.box.call(api.GetAuction())
    if not now.on:
        raise OwnerMustAct(now.trouble)
    app.answer(now, *auction_lines(now))


def auction_lines(now: api.AuctionAnswer) -> list[str]:
    """The auction as it is now, for people."""
    if not now.sell:
        return ["This box does not sell slots. To start: seedbox auction set --sell"]
    lines = [click.style(f"{len(now.sold)} of {plural(now.slots, 'slot')} sold.", bold=True)]
    if now.trouble:
        lines.append(click.style(now.trouble, fg="yellow"))
    return [*lines, *facts(_auction_facts(now)), *_sold(now.sold), *_waiting(now.waiting)]


def _auction_facts(now: api.AuctionAnswer) -> list[tuple[str, str]]:
    return [
        ("Price", f"{price(now.price)} BTT/GiB (last sale)" if now.price else "nothing sold yet"),
        ("Minimum", f"{price(now.reserve)} BTT/GiB, {_adjustment(now)}"),
        ("Free share", _free_share(now)),
        ("Round", f"{now.round}, decided in {now.left_ms // 1_000} s"),
        ("Unpaid", _unpaid(now)),
    ]


def _adjustment(now: api.AuctionAnswer) -> str:
    return "adjusts with demand" if now.reserve_moves else "fixed"


def _free_share(now: api.AuctionAnswer) -> str:
    upload = f"of {show_rate(now.uplink)} upload" if now.uplink else "of the upload"
    return f"{now.free_share} % {upload}, for {plural(now.others, 'peer')} without a slot"


def _unpaid(now: api.AuctionAnswer) -> str:
    if not now.debtors:
        return ""
    return f"{btt(now.debts)} BTT by {plural(now.debtors, 'bidder')} who left without paying"


def _sold(slots: list[api.Slot]) -> list[str]:
    if not slots:
        return []
    head = ["HOLDER", "TORRENT", "BTT/GiB", "SENT", "PAID (BTT)", "STATUS"]
    return ["", *table(head, [_slot_cells(slot) for slot in slots], wide=1, right="234")]


def _slot_cells(slot: api.Slot) -> list[str]:
    return [
        slot.holder,
        slot.name or slot.torrent[:8],
        price(slot.price),
        show_bytes(slot.sent),
        btt(slot.paid),
        slot.standing if slot.connected else "not connected",
    ]


def _waiting(bids: list[api.Waiting]) -> list[str]:
    if not bids:
        return []
    rows = [[bid.bidder, bid.name or bid.torrent[:8], price(bid.bid), bid.why or "outbid"] for bid in bids]
    return ["", *table(["NO SLOT", "TORRENT", "BTT/GiB", "REASON"], rows, wide=1, right="2")]


@auction.command()
@click.option("--span", type=_SPANS, default="day", show_default=True, help="How far to look back.")
@click.option(
    "--by",
    type=click.Choice(["time", "torrent"]),
    default="time",
    show_default=True,
    help="Prices over time, or the total of each torrent.",
)
@command
def history(app: App, span: Any, by: str) -> None:
    """Show prices and earnings, over time or by torrent."""
    if by == "torrent":
        yields = app.box.call(api.GetYields())
        app.answer(yields, *yield_lines(yields))
    else:
        rounds = app.box.call(api.GetRounds(span=span))
        app.answer(rounds, *round_lines(rounds, span))


def round_lines(rounds: api.Rounds, span: str) -> list[str]:
    """The auction over time, for people; steps in which nothing happened are left out."""
    columns = zip(rounds.price, rounds.sold, rounds.sent, rounds.earned, strict=True)
    rows = [
        [
            minute(rounds.start + step * rounds.step_s * 1_000),
            price(paid) if paid else "-",
            f"{sold / 10:.0f} %",
            show_bytes(sent),
            btt(earned),
        ]
        for step, (paid, sold, sent, earned) in enumerate(columns)
        if paid or sent or earned
    ]
    if not rows:
        return [f"Nothing was sold in the last {span}."]
    return table(["FROM", "BTT/GiB", "SOLD", "SENT", "EARNED (BTT)"], rows, wide=0, right="1234")


def yield_lines(yields: api.Yields) -> list[str]:
    """What each torrent has earned, for people."""
    if not yields.torrents:
        return ["No torrent has earned anything yet."]
    rows = [_yield_cells(one) for one in yields.torrents]
    head = ["TORRENT", "SENT IN SLOTS", "EARNED (BTT)", "PER GiB STORED", "PER GiB SENT"]
    return table(head, rows, wide=0, right="1234")


def _yield_cells(one: api.Yield) -> list[str]:
    return [
        one.name or f"{one.id[:8]} (removed)",
        show_bytes(one.sold),
        btt(one.earned),
        btt(one.per_gib_stored) if one.size else "-",
        btt(one.per_gib_sent),
    ]


@auction.command(name="set")
@click.option("--sell/--no-sell", default=None, help="Start or stop selling slots.")
@click.option("--slots", type=int, help="Number of slots for sale.")
@click.option("--per-torrent", type=int, help="Maximum number of slots for one torrent; 0 is no limit.")
@click.option("--rule", type=click.Choice(["lowest-winning", "highest-losing"]), help="Bid that winners pay.")
@click.option("--free-share", type=int, metavar="PERCENT", help="Upload kept for peers without a slot.")
@click.option("--reserve", type=PRICE, help="Minimum price.")
@click.option("--fixed/--moves", default=None, help="Keep the minimum price, or adjust it with demand.")
@click.option("--ceiling", type=PRICE, help="Upper limit for the adjusted minimum price; 0 is no limit.")
@click.option("--credit", type=int, metavar="MIB", help="Maximum amount sent before it is paid for.")
@click.option("--buy-price", type=PRICE, help="Maximum price for automatic bids; 0 turns them off.")
@click.option("--buy-budget", type=int, metavar="BTT", help="Maximum spent on downloads per day.")
@click.option(
    "--buy-hours", type=int, help="Bid automatically only if a download would take longer; 0 is always."
)
@click.option("--reset", is_flag=True, help="Go back to the configuration first.")
@command
def set_(app: App, fixed: bool | None, **settings: Any) -> None:
    """Change what this box sells and bids; prices are in BTT/GiB.

    Changes apply immediately and are kept after a restart.
    """
    moves = None if fixed is None else not fixed
    change = api.SetAuction(reserve_moves=moves, **settings)
    if change == api.SetAuction():
        raise OwnerMustAct("Nothing to change. See: seedbox auction set --help")
    now = app.box.call(change)
    app.answer(now, *auction_lines(now))


COMMANDS = (auction,)
