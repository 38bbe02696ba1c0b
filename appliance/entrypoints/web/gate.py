"""Claiming the box, signing in, signing out."""

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from appliance.core.errors import OwnerMustAct
from appliance.entrypoints.web.guard import secrets_of, sign_in, throttle

gate = Blueprint("gate", __name__)


@gate.route("/claim", methods=["GET", "POST"])
def claim() -> ResponseReturnValue:
    """The first visit: the code from the console, and a password."""
    secrets = secrets_of()
    if not secrets.claim_code:
        return redirect(url_for("gate.login"))
    if request.method == "POST" and _may_try():
        password = request.form.get("password", "")
        if password != request.form.get("again", ""):
            flash("The two passwords differ.", "error")
        else:
            try:
                if secrets.claim(request.form.get("code", "")[:40], password):
                    return _in()
                _failed("That is not the code. It stands where the box was started, or in its log.")
            except OwnerMustAct as error:
                flash(str(error), "error")
    return render_template("claim.html")


@gate.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """The password."""
    secrets = secrets_of()
    if secrets.claim_code:
        return redirect(url_for("gate.claim"))
    if request.method == "POST" and _may_try():
        if secrets.right(request.form.get("password", "")):
            return _in()
        _failed("That is not the password.")
    return render_template("login.html")


@gate.post("/logout")
def logout() -> ResponseReturnValue:
    """End this session."""
    session.clear()
    return redirect(url_for("gate.login"))


def password_given() -> bool:
    """Whether the form holds the right password; says why not. A stolen session alone moves no money."""
    if not _may_try():
        return False
    if secrets_of().right(request.form.get("password", "")):
        throttle().passed(_address())
        return True
    _failed("That is not the password.")
    return False


def _may_try() -> bool:
    wait = throttle().wait_s(_address())
    if wait:
        flash(f"Too many wrong tries. Wait {wait} seconds, then try again.", "error")
    return not wait


def _failed(text: str) -> None:
    throttle().failed(_address())
    flash(text, "error")


def _in() -> ResponseReturnValue:
    throttle().passed(_address())
    sign_in()
    return redirect(url_for("pages.overview"))


def _address() -> str:
    return request.remote_addr or "?"
