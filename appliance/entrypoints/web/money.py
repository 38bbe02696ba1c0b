"""The pages about money; everything that moves it asks for the password again."""

import re
import secrets
from typing import Literal

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from appliance.control import money
from appliance.control.client import ControlClient
from appliance.control.torrents import ShowTorrent
from appliance.core.errors import NotFound, OwnerMustAct
from appliance.core.units import MicroBtt, parse_btt, show_btt
from appliance.entrypoints.web import forms
from appliance.entrypoints.web.bars import bars
from appliance.entrypoints.web.gate import password_given
from appliance.entrypoints.web.qr import qr
from appliance.entrypoints.web.routes import blueprint
from appliance.entrypoints.web.words import when

DAYS = 30
MOST_HEADINGS = 10
_By = Literal["day", "torrent", "counterparty"]
VIEWS: dict[_By, str] = {"day": "Days", "torrent": "Torrents", "counterparty": "Counterparties"}


def money_pages(box: ControlClient) -> Blueprint:
    """The account of the box behind `box`."""
    views = MoneyViews(box)
    return blueprint(
        "money",
        "/money",
        ("", views.overview, "GET"),
        ("/withdraw", views.ask, "POST"),
        ("/withdraw/yes", views.withdraw, "POST"),
        ("/cancel", views.cancel, "POST"),
        ("/payout", views.payout, "POST"),
    )


class MoneyViews:
    """One method per page."""

    def __init__(self, box: ControlClient) -> None:
        self._box = box

    def overview(self) -> ResponseReturnValue:
        """Show balance, earnings, spending, deposits and withdrawals."""
        account = self._box.call(money.GetMoney())
        if not account.on or (not account.as_of and not account.totals):
            return render_template("money-off.html", account=account)
        by: _By = next((view for view in VIEWS if view == request.args.get("by")), "day")
        found = self._box.call(money.GetTotals(by=by, days=DAYS))
        before = forms.whole(request.args.get("before"), 0, 0, 2**53)
        return render_template(
            "money.html",
            account=account,
            views=VIEWS,
            by=by,
            bars=bars(found.totals, found.today, DAYS),
            totals=[(self._named(one.heading, by), one) for one in found.totals[:MOST_HEADINGS]],
            page=self._box.call(money.ListMoney(before=before, count=10)),
            before=before,
            qr=qr(account.deposit.address, error="m") if account.deposit else "",
        )

    def _named(self, heading: str, by: str) -> str:
        """A torrent's name while it is in the list; other headings as they are."""
        if by != "torrent" or not heading:
            return heading
        try:
            return self._box.call(ShowTorrent(id=heading)).row.name
        except NotFound:
            return f"{heading[:8]} (removed)"

    def ask(self) -> ResponseReturnValue:
        """Ask for confirmation before a withdrawal."""
        amount = parse_btt(request.form.get("amount", ""))
        account = self._box.call(money.GetMoney())
        if not account.payout:
            raise OwnerMustAct("Set the payout address first.")
        available = account.balance - account.held
        if not 0 < amount <= available:
            raise OwnerMustAct(f"Enter an amount above 0, up to {show_btt(MicroBtt(available))} BTT.")
        return self._question(account, amount, secrets.token_hex(8))

    def _question(self, account: money.Money, amount: int, name: str) -> ResponseReturnValue:
        return render_template("withdraw.html", account=account, amount=amount, name=name)

    def withdraw(self) -> ResponseReturnValue:
        """Withdraw, once the owner has confirmed it with the password."""
        form = request.form
        name, amount = form.get("name", ""), forms.whole(form.get("amount"), 0, 0, 2**63 - 1)
        if not re.fullmatch(r"[0-9a-f]{16}", name):
            raise OwnerMustAct("The form was incomplete. Start again.")
        if not password_given():
            return self._question(self._box.call(money.GetMoney()), amount, name)
        self._box.call(money.Withdraw(name=name, amount=amount, to=form.get("to", "")))
        flash("Withdrawal requested. It will be sent shortly.", "ok")
        return redirect(url_for("money.overview"))

    def cancel(self) -> ResponseReturnValue:
        """Cancel a withdrawal."""
        self._box.call(money.CancelWithdrawal(name=request.form.get("name", "")[:64]))
        flash("Withdrawal cancelled.", "ok")
        return redirect(url_for("money.overview"))

    def payout(self) -> ResponseReturnValue:
        """Change the payout address, with the password."""
        if password_given():
            after = self._box.call(money.SetPayout(to=request.form.get("address", "")))
            since = f" It takes effect on {when(after.payout_since)}." if after.payout_next else ""
            flash(f"Payout address saved.{since}", "ok")
        return redirect(url_for("money.overview"))
