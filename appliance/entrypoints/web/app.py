"""The Flask application of the status page."""

import time
from typing import Any

from flask import Flask, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from appliance import __version__
from appliance.control.client import ControlClient, DaemonAway
from appliance.core.config import Config
from appliance.core.errors import SeedboxError
from appliance.core.units import MIB, MicroBtt, show_btt, show_bytes, show_price, show_rate, show_span
from appliance.entrypoints.web.auction import auction_pages
from appliance.entrypoints.web.gate import gate
from appliance.entrypoints.web.guard import guard, signed_in
from appliance.entrypoints.web.machine import care_pages
from appliance.entrypoints.web.metrics import metrics_pages
from appliance.entrypoints.web.money import money_pages
from appliance.entrypoints.web.pages import pages
from appliance.entrypoints.web.secrets import Secrets

MOST_UPLOAD = 40 * MIB
"""Of one request: a .torrent file of 32 MiB and the form around it."""

_SAYS = {
    400: (
        "That did not work",
        "The form was not complete, or it was too old. Go back, load the page anew, try again.",
    ),
    404: ("Nothing here", "There is no such page, or the torrent is gone."),
    405: ("That did not work", "This address takes no such request."),
    413: (
        "Too large",
        f"A .torrent file is far smaller than this; the box takes {MOST_UPLOAD // MIB} MiB at most.",
    ),
    421: (
        "Wrong name",
        "The box is not known by this name. Open it by its address, or add the name as web.hosts.",
    ),
}


def create_app(box: ControlClient, secrets: Secrets, config: Config) -> Flask:
    """The application over one daemon."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MOST_UPLOAD
    app.config["MAX_FORM_MEMORY_SIZE"] = 2 * MIB
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    guard(app, secrets, config.web)
    CSRFProtect(app)
    app.register_blueprint(gate)
    app.register_blueprint(pages(box))
    app.register_blueprint(money_pages(box))
    app.register_blueprint(auction_pages(box))
    app.register_blueprint(care_pages(box, config.governor))
    app.register_blueprint(metrics_pages(box))
    _filters(app)
    _errors(app)

    @app.context_processor
    def common() -> dict[str, Any]:
        return {"box_name": config.box.name, "version": __version__, "signed_in": signed_in()}

    return app


def _filters(app: Flask) -> None:
    app.jinja_env.filters.update(
        bytes=show_bytes,
        rate=show_rate,
        btt=_btt,
        digits=show_btt,
        price=show_price,
        span=show_span,
        percent=lambda ppm: f"{ppm / 10_000:.1f}" if 0 < ppm < 1_000_000 else str(ppm // 10_000),
        ratio=lambda row: f"{row.uploaded / row.size:.2f}" if row.size else "–",
        when=lambda at: time.strftime("%Y-%m-%d %H:%M", time.localtime(at / 1_000)),
        ago=lambda at, now: f"{show_span(max(0, now - at) // 1_000)} ago",
    )


def _btt(amount: int) -> str:
    """Exact, with commas for the eye: `1,178.567778`."""
    whole, point, part = show_btt(MicroBtt(amount)).partition(".")
    return f"{int(whole):,}{point}{part}" if whole.lstrip("-") != "0" else f"{whole}{point}{part}"


def _errors(app: Flask) -> None:
    @app.errorhandler(DaemonAway)
    def away(error: DaemonAway) -> ResponseReturnValue:
        if request.path.startswith("/live"):
            return {"away": True}, 503
        return render_template("away.html", says=str(error)), 503

    @app.errorhandler(SeedboxError)
    def refused(error: SeedboxError) -> ResponseReturnValue:
        """What the box refuses is said on the page that asked for it."""
        if request.method == "POST":
            flash(str(error), "error")
            return redirect(_back())
        return render_template("problem.html", title="Not possible", says=str(error)), 404

    @app.errorhandler(RequestEntityTooLarge)
    def too_large(error: RequestEntityTooLarge) -> ResponseReturnValue:
        title, says = _SAYS[413]
        answer = app.make_response((render_template("problem.html", title=title, says=says), 413))
        # The rest of the upload is not read.
        answer.headers["Connection"] = "close"
        return answer

    @app.errorhandler(CSRFError)
    def forged(error: CSRFError) -> ResponseReturnValue:
        title, says = _SAYS[400]
        return render_template("problem.html", title=title, says=says), 400

    @app.errorhandler(HTTPException)
    def other(error: HTTPException) -> ResponseReturnValue:
        code = error.code or 500
        title, says = _SAYS.get(code, ("A fault of the box", "It is written to the log. Try again."))
        if code == 421:
            return f"{title}. {says}\n", 421, {"Content-Type": "text/plain; charset=utf-8"}
        if code == 401:
            return {"signed_in": False}, 401
        return render_template("problem.html", title=title, says=says), code


def _back() -> str:
    """The page of ours that a form was on; never an address of others."""
    came = request.form.get("back", "")
    if came.startswith("/") and not came.startswith("//") and "\\" not in came and came.isprintable():
        return came
    return url_for("pages.overview")
