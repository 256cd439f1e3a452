"""The committed OpenAPI document is the endpoint table."""

import json

from jupyter_flows.schema.endpoints import ENDPOINTS
from jupyter_flows.schema.openapi import FILE, document, text


def test_the_file_is_up_to_date():
    """``python -m jupyter_flows.schema.openapi --write`` (``make fix``) writes it."""
    assert FILE.read_text("utf-8") == text()


def test_every_row_is_there_with_its_scope():
    operations = {
        operation["operationId"]: operation["x-scope"]
        for path in document()["paths"].values()
        for operation in path.values()
    }
    assert operations == {row.name: row.scope for row in ENDPOINTS} | {"stream_events": "runs:read"}


def test_no_record_has_a_field_for_code():
    """Names that would invite it: source, code, result data, output, traceback, pickle."""
    words = {"source", "code_text", "pickle", "traceback", "output", "outputs", "docstring", "value"}
    schemas = document()["components"]["schemas"]
    fields = {
        (name, field)
        for name, schema in schemas.items()
        for field in schema.get("properties", {})
        if field in words
    }
    assert fields == set()


def test_every_reference_leads_somewhere():
    found = document()
    names = set(found["components"]["schemas"])
    wanted = {part.split('"')[0] for part in json.dumps(found).split("#/components/schemas/")[1:]}
    assert wanted <= names
