"""Setting up the box, signing in and signing out."""

from collections.abc import Callable

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from appliance.core.errors import SeedboxError
from appliance.core.units import plural
from appliance.entrypoints.web.guard import guesser, secrets_of, sign_in, sign_out, throttle, turns
from appliance.entrypoints.web.secrets import Secrets

gate = Blueprint("gate", __name__)


@gate.route("/claim", methods=["GET", "POST"])
def claim() -> ResponseReturnValue:
    """Set up the box on the first visit, with the code from the console and a new password."""
    secrets = secrets_of()
    if not secrets.claim_code:
        return redirect(url_for("gate.login"))
    if request.method == "POST" and _claimed(secrets):
        return _in()
    return render_template("claim.html")


def _claimed(secrets: Secrets) -> bool:
    """Whether the form claims the box; if not, the page says why."""
    password = request.form.get("password", "")
    if password != request.form.get("again", ""):
        flash("The passwords do not match.", "error")
        return False
    code = request.form.get("code", "")[:40]
    return tried(
        lambda: secrets.claim(code, password),
        "Wrong code. It is shown in the terminal where you started the box, and in its log.",
    )


@gate.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """Ask for the password."""
    secrets = secrets_of()
    if secrets.claim_code:
        return redirect(url_for("gate.claim"))
    if request.method == "POST" and password_given():
        return _in()
    return render_template("login.html")


@gate.post("/logout")
def logout() -> ResponseReturnValue:
    """End this session."""
    sign_out()
    return redirect(url_for("gate.login"))


def password_given() -> bool:
    """Whether the form holds the right password; if not, the page says why.

    Moving money asks for it again, so that a stolen session is not enough.
    """
    password = request.form.get("password", "")
    return tried(lambda: secrets_of().right(password), "Wrong password.")


def tried(check: Callable[[], bool], wrong: str) -> bool:
    """Whether a password or code is right; if not, or if it may not be tried now, the page says why.

    Every form that takes one goes through here, as each is a place to guess at.
    """
    who = guesser()
    wait = throttle().begin(*who)
    if wait:
        flash(f"Too many failed attempts. Wait {plural(wait, 'second')} and try again.", "error")
        return False
    try:
        with turns().turn():
            right = check()
    except SeedboxError as error:
        # Nothing was guessed: others were first, or the new password is too short.
        throttle().take_back(*who)
        flash(str(error), "error")
        return False
    if right:
        throttle().passed(*who)
    else:
        flash(wrong, "error")
    return right


def _in() -> ResponseReturnValue:
    sign_in()
    return redirect(url_for("home.overview"))
