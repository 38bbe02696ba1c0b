"""Pages by their addresses."""

from collections.abc import Callable

from flask import Blueprint
from flask.typing import ResponseReturnValue

Route = tuple[str, Callable[..., ResponseReturnValue], str]
"""(rule below the prefix, view, HTTP method)."""


def blueprint(name: str, prefix: str, *routes: Route) -> Blueprint:
    """A part of the site; its endpoints are called `name.view`."""
    site = Blueprint(name, __name__, url_prefix=prefix or None)
    for rule, view, method in routes:
        site.add_url_rule(rule, view_func=view, methods=[method])
    return site
