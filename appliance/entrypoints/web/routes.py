"""Addresses of pages."""

from collections.abc import Callable

from flask import Blueprint
from flask.typing import ResponseReturnValue

Route = tuple[str, Callable[..., ResponseReturnValue], str]
"""A rule below the prefix, its view, and the HTTP method."""


def blueprint(name: str, prefix: str, *routes: Route) -> Blueprint:
    """A part of the site, whose endpoints are called `name.view`."""
    site = Blueprint(name, __name__, url_prefix=prefix or None)
    for rule, view, method in routes:
        site.add_url_rule(rule, view_func=view, methods=[method])
    return site
