"""The owner's view of the auction: slots that are sold, and bids for slots of others."""

from typing import Any

from flask import Blueprint, flash, get_template_attribute, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from appliance.control import auction as slots
from appliance.control.client import ControlClient
from appliance.core.errors import OwnerMustAct
from appliance.core.units import MicroBtt, MicroBttPerMib, parse_btt, parse_price, show_btt, show_price
from appliance.entrypoints.web import forms
from appliance.entrypoints.web.graph import chart
from appliance.entrypoints.web.routes import blueprint

SPANS = ("hour", "day", "month")
MOST_YIELDS = 10


def auction_pages(box: ControlClient) -> Blueprint:
    """The pages over one daemon."""
    views = Views(box)
    return blueprint(
        "auction",
        "/auction",
        ("", views.overview, "GET"),
        ("/live", views.live, "GET"),
        ("/terms", views.terms, "POST"),
        ("/want/<id>", views.want, "POST"),
    )


class Views:
    """One method a page."""

    def __init__(self, box: ControlClient) -> None:
        self._box = box

    def overview(self) -> ResponseReturnValue:
        """Slots, prices, earnings, own bids, and the terms."""
        now = self._box.call(slots.GetAuction())
        if not now.on:
            return render_template("auction-off.html", says=now.trouble)
        span: Any = request.args.get("span") if request.args.get("span") in SPANS else "day"
        told = self._box.call(slots.GetRounds(span=span))
        times = (told.start, told.step_s, span)
        highest = show_price(MicroBttPerMib(max(told.price)))
        total = show_btt(MicroBtt(sum(told.earned)))
        return render_template(
            "auction.html",
            now=now,
            sentence=sentence(now),
            span=span,
            spans=SPANS,
            prices=chart(
                told.price,
                *times,
                f"Price in the last {span}, at most {highest} BTT for a GiB.",
                lambda price: show_price(MicroBttPerMib(price)),
            ),
            earnings=chart(
                told.earned,
                *times,
                f"Earned in the last {span}: {total} BTT.",
                lambda amount: show_btt(MicroBtt(amount)),
            ),
            yields=self._box.call(slots.GetYields()).torrents[:MOST_YIELDS],
            bids_told=self._box.call(slots.ListBids()),
        )

    def live(self) -> ResponseReturnValue:
        """What changes while one looks."""
        now, bids = self._box.call(slots.GetAuction()), self._box.call(slots.ListBids())
        return {
            "parts": {
                "sentence": sentence(now),
                "slots": get_template_attribute("auction-parts.html", "slots")(now),
                "bids": get_template_attribute("auction-parts.html", "bids")(bids),
            }
        }

    def terms(self) -> ResponseReturnValue:
        """What is sold, and what is bid by itself."""
        form = request.form
        if form.get("sell") in ("0", "1") and "slots" not in form:
            self._box.call(slots.SetAuction(sell=form["sell"] == "1"))
            flash(
                "Slots are sold from the next round on." if form["sell"] == "1" else "No slots are sold.",
                "ok",
            )
        else:
            self._box.call(
                slots.SetAuction(
                    slots=forms.whole(form.get("slots"), 5, 1, 28),
                    free_share=forms.whole(form.get("free_share"), 20, 1, 90),
                    reserve=parse_price(form.get("reserve", "")),
                    reserve_moves=form.get("moves") == "1",
                    buy_price=parse_price(form.get("buy_price") or "0"),
                    buy_budget=forms.whole(form.get("buy_budget"), 0, 0, 10**9),
                    buy_hours=forms.whole(form.get("buy_hours"), 0, 0, 10_000),
                )
            )
            flash("That is noted, and holds from the next round on.", "ok")
        return redirect(url_for("auction.overview"))

    def want(self, id: str) -> ResponseReturnValue:
        """Pay for a torrent, or not any more."""
        form = request.form
        if form.get("stop"):
            self._box.call(slots.WantTorrent(id=id, price=0))
            flash("Nothing more is bid for it.", "ok")
        else:
            price, budget = parse_price(form.get("price", "")), parse_btt(form.get("budget", ""))
            if not price or not budget:
                raise OwnerMustAct("A price and a budget are more than nothing.")
            simulate = form.get("simulate") == "1"
            self._box.call(slots.WantTorrent(id=id, price=price, budget=budget, simulate=simulate))
            flash("The events say what would be bid." if simulate else "It is bid for from now on.", "ok")
        return redirect(url_for("pages.torrent", id=id))


def sentence(now: slots.Auction) -> str:
    """The auction in one sentence."""
    if not now.sell:
        return "No slots are sold."
    if now.trouble:
        return now.trouble
    if not now.sold:
        return f"{now.slots} slots are for sale, and nobody has one."
    price = show_price(MicroBttPerMib(now.price))
    return f"{len(now.sold)} of {now.slots} slots are sold, at {price} BTT for a GiB."


def bought(bids: slots.Bids, id: str) -> slots.Bought | None:
    """What is paid for a torrent, if something is."""
    return next((one for one in bids.torrents if one.torrent == id), None)
