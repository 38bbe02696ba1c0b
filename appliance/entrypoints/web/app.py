"""The Flask application of the status page."""

from typing import Any

from flask import Flask, current_app, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError, CSRFProtect
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from appliance import __version__
from appliance.control.client import ControlClient, DaemonAway
from appliance.core.config import Config
from appliance.core.errors import NotFound, SeedboxError
from appliance.core.units import MIB
from appliance.entrypoints.web.adding import adding_pages
from appliance.entrypoints.web.auction import auction_pages
from appliance.entrypoints.web.gate import gate
from appliance.entrypoints.web.guard import guard, signed_in
from appliance.entrypoints.web.health import health_pages
from appliance.entrypoints.web.home import home_pages
from appliance.entrypoints.web.metrics import metrics_pages
from appliance.entrypoints.web.money import money_pages
from appliance.entrypoints.web.secrets import Secrets
from appliance.entrypoints.web.settings import settings_pages
from appliance.entrypoints.web.torrent import torrent_pages
from appliance.entrypoints.web.torrents import torrents_pages
from appliance.entrypoints.web.words import add_filters

MOST_UPLOAD = 40 * MIB
"""Bytes of one request: a .torrent file of 32 MiB and the form around it."""

_PROBLEMS = {
    400: (
        "That did not work",
        "The form was incomplete or had expired. Go back, reload the page and try again.",
    ),
    404: ("Page not found", "Check the address, or go to the overview."),
    405: ("That did not work", "This address does not accept this kind of request."),
    413: (
        "Too large",
        f"The box accepts at most {MOST_UPLOAD // MIB} MiB at once. Is it a .torrent file?",
    ),
    421: (
        "Wrong name",
        "The box does not know this name. Open it by its IP address, or add the name to web.hosts.",
    ),
}
_FAULT = ("Something went wrong", "The error was written to the log. Try again.")


def create_app(box: ControlClient, secrets: Secrets, config: Config) -> Flask:
    """The application in front of the daemon that `box` talks to."""
    app = Flask(__name__)
    app.config["MAX_CONTENT_LENGTH"] = MOST_UPLOAD
    app.config["MAX_FORM_MEMORY_SIZE"] = 2 * MIB
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    guard(app, secrets, config.web)
    CSRFProtect(app)
    for site in (
        gate,
        home_pages(box),
        torrents_pages(box),
        torrent_pages(box),
        adding_pages(box),
        money_pages(box),
        auction_pages(box),
        health_pages(box, config.governor),
        settings_pages(box),
        metrics_pages(box),
    ):
        app.register_blueprint(site)
    add_filters(app)
    _errors(app)

    @app.context_processor
    def common() -> dict[str, Any]:
        return {"box_name": config.box.name, "version": __version__, "signed_in": signed_in()}

    return app


def _errors(app: Flask) -> None:
    app.register_error_handler(DaemonAway, _away)
    app.register_error_handler(SeedboxError, _refused)
    app.register_error_handler(RequestEntityTooLarge, _too_large)
    app.register_error_handler(CSRFError, _forged)
    app.register_error_handler(HTTPException, _other)


def _away(error: DaemonAway) -> ResponseReturnValue:
    if request.path.startswith("/live"):
        return {"away": True}, 503
    return render_template("away.html", reason=str(error)), 503


def _refused(error: SeedboxError) -> ResponseReturnValue:
    """What the box refuses is reported on the page that asked for it."""
    if request.method == "POST":
        flash(str(error), "error")
        return redirect(_back())
    if isinstance(error, NotFound) and request.blueprint == "torrent":
        return _problem(404, "Torrent not found", "This torrent was removed.")
    return _problem(404, "That did not work", str(error))


def _too_large(error: RequestEntityTooLarge) -> ResponseReturnValue:
    answer = current_app.make_response(_problem(413, *_PROBLEMS[413]))
    # The rest of the upload is not read.
    answer.headers["Connection"] = "close"
    return answer


def _forged(error: CSRFError) -> ResponseReturnValue:
    return _problem(400, *_PROBLEMS[400])


def _other(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    title, text = _PROBLEMS.get(code, _FAULT)
    if code == 421:
        return f"{title}. {text}\n", 421, {"Content-Type": "text/plain; charset=utf-8"}
    if code == 401:
        return {"signed_in": False}, 401
    return _problem(code, title, text)


def _problem(code: int, title: str, text: str) -> tuple[str, int]:
    return render_template("problem.html", title=title, text=text), code


def _back() -> str:
    """The page that the form was on; never an address on another site."""
    came = request.form.get("back", "")
    return came if _is_own(came) else url_for("home.overview")


def _is_own(path: str) -> bool:
    return path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
