"""What stands before every page: the Host header, the session, and the headers of every answer."""

import ipaddress
import re
import socket
import time
from datetime import timedelta

from flask import Flask, Response, abort, current_app, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from appliance.core.config import Web
from appliance.entrypoints.web.secrets import Secrets
from appliance.entrypoints.web.throttle import Throttle

IDLE = timedelta(days=30)
_OPEN = {"gate.login", "gate.claim", "metrics.metrics", "metrics.healthz", "static"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)


def guard(app: Flask, secrets: Secrets, web: Web) -> None:
    """Put the guards before and behind every page of `app`."""
    app.extensions["secrets"] = secrets
    app.extensions["throttle"] = Throttle(time.monotonic)
    app.config.update(
        SECRET_KEY=secrets.cookie_key,
        SESSION_COOKIE_NAME="seedbox",
        SESSION_COOKIE_HTTPONLY=True,
        # Lax, so that a link to the page from elsewhere finds its owner signed in; posts need a token anyway.
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=IDLE,
        WTF_CSRF_TIME_LIMIT=None,
    )
    names = own_names(web)

    @app.before_request
    def check_host() -> ResponseReturnValue | None:
        """A page of a stranger that rebinds its name to this address must not be answered."""
        if not host_allowed(request.host, names):
            abort(421)
        return None

    @app.before_request
    def check_session() -> ResponseReturnValue | None:
        if request.endpoint in _OPEN or request.endpoint is None:
            return None
        if signed_in():
            return None
        if request.path.startswith("/live"):
            abort(401)
        return redirect(url_for("gate.claim" if secrets.claim_code else "gate.login"))

    @app.after_request
    def add_headers(response: Response) -> Response:
        headers = response.headers
        headers["Content-Security-Policy"] = _POLICY
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(), microphone=(), geolocation=()"
        headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if request.endpoint == "static" else "no-store"
        )
        return response


def throttle() -> Throttle:
    """The throttle of this app."""
    found: Throttle = current_app.extensions["throttle"]
    return found


def secrets_of() -> Secrets:
    """The secrets of this app."""
    found: Secrets = current_app.extensions["secrets"]
    return found


def sign_in() -> None:
    """Begin a session."""
    session.clear()
    session.permanent = True
    session["epoch"] = secrets_of().epoch


def signed_in() -> bool:
    """Whether this visitor has given the password, and nobody ended the sessions since."""
    secrets = secrets_of()
    return not secrets.claim_code and session.get("epoch") == secrets.epoch


def own_names(web: Web) -> frozenset[str]:
    """The host names by which the page may be opened."""
    name = socket.gethostname().lower()
    return frozenset(
        {"localhost", name, name.partition(".")[0] + ".local", *(host.lower() for host in web.hosts)}
    )


def host_allowed(host: str, names: frozenset[str]) -> bool:
    """Whether a Host header names this box: by an address, or by a name of its own."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?", host)
    if not found:
        return False
    name = found.group(1).strip("[]").rstrip(".").lower()
    if name in names:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
