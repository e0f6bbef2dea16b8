"""The OpenAPI 3.1 document, made of the operations and their types, so that it cannot say another thing than they do."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

from gatepost import __version__
from gatepost.web.api import shapes
from gatepost.web.api.operations import Operation
from gatepost.web.api.table import OPERATIONS

PROBLEMS = {
    "400": "What was sent cannot be read or is not allowed to be; `detail` says what.",
    "401": "There is no token, or it is not good.",
    "403": "The token does not have the scope.",
    "404": "There is no such thing, or it is not the caller's to see.",
    "409": "It cannot be done as asked; `detail` says why.",
    "413": "The body is too long.",
    "415": "The body is no JSON.",
    "429": "Too many calls, or another search of the caller's runs; Retry-After says when to come back.",
    "503": "The store cannot be read or written at the moment, or what was asked for took too long; `detail` says so.",
}
REF = r"^[0-9A-Za-z]{1,40}$"


@cache
def document() -> dict[str, Any]:
    """All of it."""
    kinds = [shapes.Problem, *(one.gives for one in OPERATIONS), *(one.takes for one in OPERATIONS)]
    schemas, components = msgspec.json.schema_components(
        dict.fromkeys(kinds), ref_template="#/components/schemas/{name}"
    )
    by_kind: dict[Any, Any] = dict(zip(dict.fromkeys(kinds), schemas, strict=True))
    paths: dict[str, Any] = {}
    for one in OPERATIONS:
        paths.setdefault(f"/api{one.path}", {})[one.method.lower()] = operation(one, by_kind, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gatepost",
            "version": __version__,
            "description": "The acts of the console for programs. Times are Unix seconds; null is not yours to see.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "Made in the console or by `gatepost token`; its scopes are rights.",
                }
            },
        },
        "security": [{"token": []}],
    }


def operation(one: Operation, by_kind: dict[Any, Any], components: dict[str, Any]) -> dict[str, Any]:
    """One operation."""
    made: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.about,
        "description": f"Takes one of the scopes: {', '.join(right.value for right in one.rights)}.",
        "responses": {"200": answer(by_kind[one.gives], "application/json", one.gives.__doc__ or "Done.")}
        | {
            status: answer(by_kind[shapes.Problem], "application/problem+json", text)
            for status, text in PROBLEMS.items()
        },
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "pattern": REF}}
        for name in path_names(one.path)
    ]
    if one.method in ("GET", "DELETE"):
        parameters += query(components[one.takes.__name__])
    else:
        made["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": by_kind[one.takes]}},
        }
    if parameters:
        made["parameters"] = parameters
    return made


def answer(schema: Any, kind: str, text: str) -> dict[str, Any]:
    """One response."""
    return {"description": " ".join(text.split()), "content": {kind: {"schema": schema}}}


def query(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The fields of a struct as parameters; one that is null is left out of the URL instead."""
    required = set(schema.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in required, "schema": without_null(field)}
        for name, field in schema.get("properties", {}).items()
    ]


def without_null(field: dict[str, Any]) -> dict[str, Any]:
    """What may stand in a URL."""
    made = {key: value for key, value in field.items() if not (key == "default" and value is None)}
    choices = [one for one in made.pop("anyOf", ()) if one != {"type": "null"}]
    return made | (choices[0] if len(choices) == 1 else {"anyOf": choices} if choices else {})


def path_names(path: str) -> list[str]:
    """The names in braces."""
    return [part[1:-1] for part in path.split("/") if part.startswith("{")]
