"""The JSON Schema of bench.toml, from the declarations of the options and the keys of the file."""

from __future__ import annotations

import json
from typing import Any

from bench.cli.config_file import FILE, GATE, PRICE, TARGET, Types
from bench.plan.options.option import toml_options
from bench.plan.settings import Settings

JSON_TYPES = {str: "string", int: "integer", float: "number", bool: "boolean", dict: "object"}
TEXTS = {"type": "array", "items": {"type": "string"}}


def config_schema() -> str:
    """Return the schema as text, for docs/bench.schema.json."""
    price = {**table(PRICE, minimum=0), "required": list(PRICE)}
    headers = {"type": "object", "additionalProperties": {"type": "string"}}
    target = table(TARGET)
    target = {
        **target,
        "required": ["base_url"],
        "properties": {**target["properties"], "price": price, "headers": headers},
    }
    run = {key: declared.schema for key, (_, declared) in toml_options(Settings).items()}
    tables = {
        "targets": {"type": "object", "additionalProperties": target},
        "run": {"type": "object", "properties": run, "additionalProperties": False},
        "gate": table(GATE),
    }
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bench.toml",
        "type": "object",
        "properties": {name: tables[name] for name in FILE},
        "additionalProperties": False,
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def table(types: Types, **bounds: int) -> dict[str, Any]:
    """Return the schema of a table whose keys have values of these types, and no other keys."""
    properties = {}
    for key, accepted in types.items():
        values = [TEXTS if type_ is list else {"type": JSON_TYPES[type_], **bounds} for type_ in accepted]
        properties[key] = values[0] if len(values) == 1 else {"anyOf": values}
    return {"type": "object", "properties": properties, "additionalProperties": False}
