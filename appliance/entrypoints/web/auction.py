"""The auction page: slots for sale, and bids for the slots of others."""

from flask import Blueprint, flash, get_template_attribute, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from appliance.control import auction as slots
from appliance.control.client import ControlClient
from appliance.core.errors import OwnerMustAct
from appliance.core.units import (
    MicroBtt,
    MicroBttPerMib,
    parse_btt,
    parse_price,
    plural,
    show_btt,
    show_price,
)
from appliance.entrypoints.web import forms
from appliance.entrypoints.web.graph import chart
from appliance.entrypoints.web.routes import blueprint

MOST_YIELDS = 10
_DRY_RUN = "Dry run started. The events show what would be bid."
_SELLING = {"1": "Slots are for sale from the next round.", "0": "You no longer sell slots."}


def auction_pages(box: ControlClient) -> Blueprint:
    """The auction of the box behind `box`."""
    views = AuctionViews(box)
    return blueprint(
        "auction",
        "/auction",
        ("", views.overview, "GET"),
        ("/live", views.live, "GET"),
        ("/terms", views.terms, "POST"),
        ("/want/<id>", views.want, "POST"),
    )


class AuctionViews:
    """One method per page."""

    def __init__(self, box: ControlClient) -> None:
        self._box = box

    def overview(self) -> ResponseReturnValue:
        """Show slots, prices, earnings, bids and options."""
        now = self._box.call(slots.GetAuction())
        if not now.on:
            return render_template("auction-off.html", reason=now.trouble)
        span = forms.span(request.args.get("span"), "day")
        rounds = self._box.call(slots.GetRounds(span=span))
        times = (rounds.start, rounds.step_s, span)
        highest = show_price(MicroBttPerMib(max(rounds.price)))
        total = show_btt(MicroBtt(sum(rounds.earned)))
        return render_template(
            "auction.html",
            now=now,
            sentence=sentence(now),
            span=span,
            spans=forms.SPANS,
            prices=chart(
                rounds.price,
                *times,
                f"Price over the last {span}, at most {highest} BTT/GiB.",
                lambda price: show_price(MicroBttPerMib(price)),
            ),
            earnings=chart(
                rounds.earned,
                *times,
                f"Earned over the last {span}: {total} BTT.",
                lambda amount: show_btt(MicroBtt(amount)),
            ),
            yields=[one for one in self._box.call(slots.GetYields()).torrents if one.sold][:MOST_YIELDS],
            bought=self._box.call(slots.ListBids()),
        )

    def live(self) -> ResponseReturnValue:
        """Answer with the parts of the page that change."""
        now, bids = self._box.call(slots.GetAuction()), self._box.call(slots.ListBids())
        return {
            "parts": {
                "sentence": sentence(now),
                "slots": get_template_attribute("auction-parts.html", "slots")(now),
                "bids": get_template_attribute("auction-parts.html", "bids")(bids),
            }
        }

    def terms(self) -> ResponseReturnValue:
        """Start or stop selling, or save the options."""
        form = request.form
        if form.get("sell") in ("0", "1") and "slots" not in form:
            self._box.call(slots.SetAuction(sell=form["sell"] == "1"))
            flash(_SELLING[form["sell"]], "ok")
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
            flash("Saved. Applies from the next round.", "ok")
        return redirect(url_for("auction.overview"))

    def want(self, id: str) -> ResponseReturnValue:
        """Pay for a torrent, or stop paying."""
        form = request.form
        if form.get("stop"):
            self._box.call(slots.WantTorrent(id=id, price=0))
            flash("Stopped paying for this torrent.", "ok")
        else:
            price, budget = parse_price(form.get("price", "")), parse_btt(form.get("budget", ""))
            if not price or not budget:
                raise OwnerMustAct("Enter a maximum price and a total budget, both above 0.")
            simulate = form.get("simulate") == "1"
            self._box.call(slots.WantTorrent(id=id, price=price, budget=budget, simulate=simulate))
            flash(
                "Dry run started. See the events for what would be bid." if simulate else "Bidding started.",
                "ok",
            )
        return redirect(url_for("torrent.show", id=id))


def sentence(now: slots.AuctionAnswer) -> str:
    """The auction in one sentence."""
    if not now.sell:
        return "You are not selling slots."
    if now.trouble:
        return now.trouble
    if not now.sold:
        return f"{plural(now.slots, 'slot')} for sale, none sold yet."
    price = show_price(MicroBttPerMib(now.price))
    return f"{len(now.sold)} of {plural(now.slots, 'slot')} sold, at {price} BTT/GiB."


def bought(bids: slots.Bids, id: str) -> slots.Bought | None:
    """What the box pays for a torrent, if anything."""
    return next((one for one in bids.torrents if one.torrent == id), None)
