"""Checks before every page (Host header, session), and the security headers of every answer."""

import ipaddress
import re
import secrets as chance
import socket
import time
from datetime import timedelta

from flask import Flask, Response, abort, current_app, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from appliance.core.config import WebConfig
from appliance.entrypoints.web.secrets import Secrets
from appliance.entrypoints.web.throttle import LoginThrottle, Turns, neighbour

IDLE = timedelta(days=30)
_OPEN = {"gate.login", "gate.claim", "metrics.metrics", "metrics.healthz", "static"}
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_CACHED = "public, max-age=31536000, immutable"
"""For static files, whose addresses carry the version."""


def guard(app: Flask, secrets: Secrets, web: WebConfig) -> None:
    """Check every request to `app`, and set the security headers of every answer."""
    app.extensions["secrets"] = secrets
    app.extensions["throttle"] = LoginThrottle(time.monotonic)
    app.extensions["turns"] = Turns()
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
    def check_host() -> None:
        """Refuse a name that is not the box's own: DNS rebinding."""
        if not host_allowed(request.host, names):
            abort(421)

    app.before_request(_check_session)
    app.after_request(_add_headers)


def _check_session() -> ResponseReturnValue | None:
    """Lead visitors who are not signed in to the page where they can be."""
    if request.endpoint in _OPEN or request.endpoint is None or signed_in():
        return None
    if request.path.startswith("/live"):
        abort(401)
    return redirect(url_for("gate.claim" if secrets_of().claim_code else "gate.login"))


def _add_headers(response: Response) -> Response:
    response.headers.update(_HEADERS)
    response.headers["Cache-Control"] = _CACHED if request.endpoint == "static" else "no-store"
    return response


def throttle() -> LoginThrottle:
    """The throttle of the running app."""
    found: LoginThrottle = current_app.extensions["throttle"]
    return found


def turns() -> Turns:
    """The queue for checks of passwords in the running app."""
    found: Turns = current_app.extensions["turns"]
    return found


def guesser() -> tuple[str, str]:
    """Who tries a password: a neighbour, and the browser if it has signed in before (see Throttle.begin)."""
    device = session.get("device")
    return neighbour(request.remote_addr), f"device {device}" if isinstance(device, str) else ""


def secrets_of() -> Secrets:
    """The secrets of the running app."""
    found: Secrets = current_app.extensions["secrets"]
    return found


def sign_in() -> None:
    """Begin a session."""
    _start_over(session.get("device") or chance.token_hex(16))
    session["epoch"] = secrets_of().epoch
    session["id"] = chance.token_hex(16)


def sign_out() -> None:
    """End this session, for every copy of its cookie."""
    secrets_of().end_session(session["id"])
    _start_over(session.get("device"))


def _start_over(device: str | None) -> None:
    """An empty session of a browser, which may be known already."""
    session.clear()
    session.permanent = True
    if device:
        session["device"] = device


def signed_in() -> bool:
    """Whether this visitor has signed in, and neither this session nor all were ended since."""
    secrets, name = secrets_of(), session.get("id")
    current = not secrets.claim_code and session.get("epoch") == secrets.epoch
    return current and isinstance(name, str) and not secrets.ended(name)


def own_names(web: WebConfig) -> frozenset[str]:
    """The host names under which the page may be opened."""
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
