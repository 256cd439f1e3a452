"""The endpoint table and the records as an OpenAPI 3.1 document; ``openapi.json`` beside it is committed.

``python -m jupyter_flows.schema.openapi --write`` writes it; a test compares. The labextension's types are
made from it.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from jupyter_flows.schema import events, server
from jupyter_flows.schema.endpoints import API_PREFIX, ENDPOINTS, Endpoint

FILE = Path(__file__).with_name("openapi.json")
_REF = "#/components/schemas/{name}"
_VARIABLE = re.compile(r"\{(\w+)\}")
_TEXT = {"type": "string", "maxLength": 500}


def document() -> dict[str, Any]:
    """Return the OpenAPI document as plain data."""
    records: list[Any] = [server.Problem, events.Event]
    for row in ENDPOINTS:
        records += [kind for kind in (row.request, row.answer) if kind is not None]
    schemas, components = msgspec.json.schema_components(records, ref_template=_REF)
    by_kind = {id(kind): schema for kind, schema in zip(records, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for row in ENDPOINTS:
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, by_kind)
    paths["/events"] = {"get": _stream(by_kind[id(events.Event)])}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jupyter_flows",
            "version": "v1",
            "description": "Metadata of flows, runs and agents. There is no field that carries code.",
        },
        "servers": [{"url": API_PREFIX}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(row: Endpoint, by_kind: dict[int, Any]) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _VARIABLE.findall(row.path)
    ]
    parameters += [
        {
            "name": name,
            "in": "query",
            "required": False,
            "schema": {"type": "integer", "minimum": 0}
            if kind is int
            else {"type": "string", "maxLength": 500},
        }
        for name, kind in row.query.items()
    ]
    operation: dict[str, Any] = {
        "operationId": row.name,
        "summary": row.summary,
        "x-scope": row.scope,
        "responses": {
            "200": {"description": "Done.", "content": _json(by_kind[id(row.answer)])},
            "default": {
                "description": "Not done, and why.",
                "content": _json(by_kind[id(server.Problem)]),
            },
        },
    }
    if parameters:
        operation["parameters"] = parameters
    if row.request is not None:
        operation["requestBody"] = {"required": True, "content": _json(by_kind[id(row.request)])}
    if row.scope == "public":
        operation["security"] = []
    return operation


def _stream(event: Any) -> dict[str, Any]:
    return {
        "operationId": "stream_events",
        "summary": "Server-sent events: each once, in order; `data` is an Event.",
        "x-scope": "runs:read",
        "parameters": [
            {"name": "run", "in": "query", "schema": {"type": "string"}},
            {"name": "flow", "in": "query", "schema": {"type": "string"}},
            {
                "name": "after",
                "in": "query",
                "description": "Id of the last event seen; 0: from the beginning; absent: from now on.",
                "schema": {"type": "integer", "minimum": 0},
            },
            {"name": "Last-Event-ID", "in": "header", "schema": {"type": "integer", "minimum": 0}},
        ],
        "responses": {"200": {"description": "Events.", "content": {"text/event-stream": {"schema": event}}}},
    }


def _json(schema: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def text() -> str:
    """Return the document as it stands in the file."""
    return json.dumps(document(), indent=2, sort_keys=False) + "\n"


if __name__ == "__main__":
    if "--write" in sys.argv[1:]:
        FILE.write_text(text(), encoding="utf-8")
    else:
        sys.stdout.write(text())
