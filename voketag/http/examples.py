"""Examples of values, made from their JSON schema: what a reader of the OpenAPI document sees and
can send. They are made up: an id or a token of theirs is well formed, and nobody has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]
_TEXTS = {
    "uuid": "0199c8f1-6f00-7a4b-9d3e-5f1c2b7a8e90",
    "date-time": "2026-03-01T08:00:00Z",
    "date": "2026-03-01",
}
_PLAIN: Mapping[str, Any] = {"string": "text", "integer": 0, "number": 0.0, "boolean": False}
_VARIANTS = ("anyOf", "oneOf")


def example(schema: Schema, components: Mapping[str, Schema]) -> Any:
    """A value of a schema; of what may be left out or null only what the schema shows by example,
    or says enough about.
    """
    schema = _resolved(schema, components)
    for given in ("examples", "enum"):
        if given in schema:
            return schema[given][0]
    if "const" in schema:
        return schema["const"]
    for variants in _VARIANTS:
        if variants in schema and "properties" not in schema:
            return _of_variants(schema[variants], components)
    match schema.get("type"):
        case "object":
            return _object(schema, components)
        case "array":
            items = schema.get("items", False)
            return [example(items, components)] if items and shows(items, components) else []
        case "string" if schema.get("format") in _TEXTS:
            return _TEXTS[schema["format"]]
        case kind:
            return schema.get("default", schema.get("minimum", _PLAIN.get(str(kind))))


def shows(schema: Schema, components: Mapping[str, Schema]) -> bool:
    """Whether a schema says what a value of it looks like."""
    schema = _resolved(schema, components)
    if "examples" in schema or "enum" in schema or schema.get("format") in _TEXTS:
        return True
    inner = list(schema.get("properties", {}).values())
    if not inner:  # beside properties, variants only say which of them go together
        inner = [one for kind in _VARIANTS for one in schema.get(kind, ())]
    return any(shows(one, components) for one in inner)


def _resolved(schema: Schema, components: Mapping[str, Schema]) -> Schema:
    """The schema that a reference leads to, with what stands beside the reference."""
    if "$ref" not in schema:
        return schema
    name = schema["$ref"].rpartition("/")[2]
    beside = {key: value for key, value in schema.items() if key != "$ref"}
    return {**components[name], **beside}


def _of_variants(variants: list[Schema], components: Mapping[str, Schema]) -> Any:
    for one in variants:
        if one.get("type") != "null" and shows(one, components):
            return example(one, components)
    return None if {"type": "null"} in variants else example(variants[0], components)


def _object(schema: Schema, components: Mapping[str, Schema]) -> dict[str, Any]:
    required = schema.get("required", ())
    return {
        name: example(inner, components)
        for name, inner in schema.get("properties", {}).items()
        if name in required or shows(inner, components)
    }
