"""A JSON Schema in the form that OpenAI promises to keep to the letter ("strict"), where it has one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from thoughtgraph.model import Schema

_KEPT = frozenset(
    ("$ref", "type", "enum", "const", "description", "title", "pattern", "format", "multipleOf", "minimum", "maximum",
     "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems")
)  # fmt: skip
_WALKED = frozenset(["properties", "required", "additionalProperties", "items", "anyOf", "allOf", "$defs", "default"])
_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid")
_REMARKS = ("title", "description", "default")


@lru_cache(maxsize=256)
def form(schema: Schema) -> dict[str, Any]:
    """A schema as providers want it: `name`, `schema`, and `strict` where its body can be made so.

    The body is narrowed, never widened: objects are closed and all their properties required, so that whatever fits
    the strict form fits the schema as it was. What cannot be said strictly is sent as it is, and not held to.
    """
    name = re.sub(r"[^a-zA-Z0-9_-]", "_", schema.name)[:64] or "reply"
    root: Any = schema.body
    try:
        if not isinstance(root, dict) or "properties" not in root:
            raise _Loose
        return {"name": name, "schema": _strict(cast("dict[str, Any]", root)), "strict": True}
    except (_Loose, RecursionError):
        return {"name": name, "schema": schema.body, "strict": False}


class _Loose(Exception):
    """A part of a schema has no strict form."""


def _strict(node: Any) -> dict[str, Any]:
    """One schema of the tree. A reference may not have remarks beside it, so they go."""
    if not isinstance(node, dict):
        raise _Loose
    node = cast("dict[str, Any]", node)
    if "$ref" in node:
        node = {key: value for key, value in node.items() if key not in _REMARKS}
    if node.get("allOf"):
        return _strict(_merged(node))
    if (
        node.keys() - _KEPT - _WALKED
        or node.get("format", "uuid") not in _FORMATS
        or ("$ref" in node and len(node) > 1)
    ):
        raise _Loose
    return {**{key: node[key] for key in node if key in _KEPT}, **_parts(node), **_closed(node)}


def _parts(node: Mapping[str, Any]) -> dict[str, Any]:
    """The schemas within a schema."""
    parts: dict[str, Any] = {}
    if "items" in node:
        parts["items"] = _strict(node["items"])
    if "anyOf" in node:
        parts["anyOf"] = [_strict(part) for part in node["anyOf"]]
    if "$defs" in node:
        parts["$defs"] = {name: _strict(part) for name, part in node["$defs"].items()}
    return parts


def _closed(node: Mapping[str, Any]) -> dict[str, Any]:
    """An object with exactly its properties; one with names of its own choice has no strict form."""
    kinds = node.get("type")
    if kinds != "object" and "properties" not in node and not (isinstance(kinds, list) and "object" in kinds):
        return {}
    properties = node.get("properties")
    if not properties or node.get("additionalProperties") or set(node.get("required", ())) - set(properties):
        raise _Loose
    closed = {name: _strict(part) for name, part in properties.items()}
    return {"properties": closed, "required": [*closed], "additionalProperties": False}


def _merged(node: Mapping[str, Any]) -> dict[str, Any]:
    """`allOf` one schema, as pydantic writes a reference with remarks, is that schema."""
    (*others, only) = node["allOf"]
    rest = {key: value for key, value in node.items() if key != "allOf" and key not in _REMARKS}
    if others or rest or not isinstance(only, dict):
        raise _Loose
    return cast("dict[str, Any]", only)
