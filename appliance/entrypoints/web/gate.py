"""Setting up the box, signing in and signing out."""

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from appliance.core.errors import OwnerMustAct
from appliance.core.units import plural
from appliance.entrypoints.web.guard import secrets_of, sign_in, sign_out, throttle
from appliance.entrypoints.web.secrets import Secrets

gate = Blueprint("gate", __name__)


@gate.route("/claim", methods=["GET", "POST"])
def claim() -> ResponseReturnValue:
    """Set up the box on the first visit, with the code from the console and a new password."""
    secrets = secrets_of()
    if not secrets.claim_code:
        return redirect(url_for("gate.login"))
    if request.method == "POST" and _may_try() and _claimed(secrets):
        return _in()
    return render_template("claim.html")


def _claimed(secrets: Secrets) -> bool:
    """Whether the form claims the box; if not, the page says why."""
    password = request.form.get("password", "")
    if password != request.form.get("again", ""):
        flash("The passwords do not match.", "error")
        return False
    try:
        if secrets.claim(request.form.get("code", "")[:40], password):
            return True
    except OwnerMustAct as error:
        flash(str(error), "error")
        return False
    _failed("Wrong code. It is shown in the terminal where you started the box, and in its log.")
    return False


@gate.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """Ask for the password."""
    secrets = secrets_of()
    if secrets.claim_code:
        return redirect(url_for("gate.claim"))
    if request.method == "POST" and _may_try():
        if secrets.right(request.form.get("password", "")):
            return _in()
        _failed("Wrong password.")
    return render_template("login.html")


@gate.post("/logout")
def logout() -> ResponseReturnValue:
    """End this session."""
    sign_out()
    return redirect(url_for("gate.login"))


def password_given() -> bool:
    """Whether the form holds the right password; if not, the page says why.

    Moving money asks for it, so that a stolen session is not enough.
    """
    if not _may_try():
        return False
    if secrets_of().right(request.form.get("password", "")):
        throttle().passed(_address())
        return True
    _failed("Wrong password.")
    return False


def _may_try() -> bool:
    wait = throttle().wait_s(_address())
    if wait:
        flash(f"Too many failed attempts. Wait {plural(wait, 'second')} and try again.", "error")
    return not wait


def _failed(text: str) -> None:
    throttle().failed(_address())
    flash(text, "error")


def _in() -> ResponseReturnValue:
    throttle().passed(_address())
    sign_in()
    return redirect(url_for("home.overview"))


def _address() -> str:
    return request.remote_addr or "?"
