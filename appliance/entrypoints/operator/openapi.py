"""The ledger's description for other programs: OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0)."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from appliance import __version__
from appliance.adapters.ledger_http import messages as wire
from appliance.domain.ledger.request import AT, KEY, NONCE, SIGNATURE
from appliance.entrypoints.operator.routes import LedgerRoute

_HEADERS = {"key": KEY, "at": AT, "nonce": NONCE, "signature": SIGNATURE}
_SIGNED: dict[str, list[str]] = {scheme: [] for scheme in _HEADERS}
Schemas = dict[Any, dict[str, Any]]
"""Type of a message -> reference to its schema."""


def openapi(routes: Sequence[LedgerRoute], name: str) -> dict[str, Any]:
    """The document of a ledger of that name."""
    types = [wire.Problem, *{kind for route in routes for kind in (route.gives, route.takes) if kind}]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    refs = dict(zip(types, schemas, strict=True))
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Ledger {name}", "version": __version__},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": _schemes()},
    }


def _operation(route: LedgerRoute, refs: Schemas) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": route.summary,
        "operationId": f"{route.method.lower()}_{re.sub(r'[^a-z]+', '_', route.path[4:])}".rstrip("_"),
        "parameters": _parameters(route),
        "responses": {
            "200": {"description": "Done.", "content": _content(refs[route.gives])},
            "default": {"description": "Refused.", "content": _content(refs[wire.Problem])},
        },
    }
    if route.takes:
        operation["requestBody"] = {"required": True, "content": _content(refs[route.takes])}
    if route.signed:
        operation["security"] = [_SIGNED]
    return operation


def _parameters(route: LedgerRoute) -> list[dict[str, Any]]:
    inside = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    return inside + [{"name": one, "in": "query", "schema": {"type": "integer"}} for one in route.query]


def _content(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _schemes() -> dict[str, Any]:
    return {scheme: {"type": "apiKey", "in": "header", "name": header} for scheme, header in _HEADERS.items()}
