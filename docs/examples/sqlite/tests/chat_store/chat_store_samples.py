"""Makes samples of every item type that the installed SDK knows.

They are made from the JSON schemas of the SDK's own union, not from a list, so that a type which
a later SDK adds is tested without a change here.
"""

import warnings
from typing import Any, TypeAlias, TypeVar, get_args

from chatkit.types import ThreadItem
from pydantic import BaseModel, TypeAdapter

Schema: TypeAlias = dict[str, Any]
Model = TypeVar("Model", bound=BaseModel)

ITEM_TYPES: tuple[type[ThreadItem], ...] = get_args(get_args(ThreadItem)[0])

TEXT = "any text"
_FREE_FORM = {
    "text": f"\0 \U0001f600 {TEXT}",
    "numbers": [1, 2**70, 0.1],
    "none": None,
}
_SCALARS = {
    "string": TEXT,
    "integer": 7,
    "number": 0.1,
    "boolean": True,
    "null": None,
}
_FORMATS = {"date-time": "2026-01-02T12:00:00.123456Z", "uri": "https://example.com/a"}


def samples_of(model: type[Model]) -> list[Model]:
    """Make samples of a model, which together show every alternative that its fields allow."""
    adapter = TypeAdapter(model)
    schema = adapter.json_schema()
    values = _values(schema, schema.get("$defs", {}), ())
    with warnings.catch_warnings():  # the SDK warns of its own widget classes
        warnings.simplefilter("ignore", DeprecationWarning)
        return [adapter.validate_python(value) for value in values]


def _values(
    schema: Schema, types: dict[str, Schema], inside: tuple[str, ...]
) -> list[Any]:
    # An empty list means: nested too deeply. Widgets may nest without limit.
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in inside or len(inside) == 3:
            return []
        return _values(types[name], types, (*inside, name))
    if "const" in schema:
        return [schema["const"]]
    if "enum" in schema:
        return [schema["enum"][0]]
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return [value for option in options for value in _values(option, types, inside)]
    if "properties" in schema:
        return _objects(schema, types, inside)
    if schema.get("type") == "array":
        return [_values(schema["items"], types, inside)]
    if isinstance(schema.get("additionalProperties"), dict):
        values = _values(schema["additionalProperties"], types, inside)
        return [{f"key {number}": value for number, value in enumerate(values)}]
    if "pattern" in schema:
        return [schema["pattern"].strip("^$")]  # the SDK's patterns are plain prefixes
    if schema.get("type") in _SCALARS:
        return [_FORMATS.get(schema.get("format", ""), _SCALARS[schema["type"]])]
    return [_FREE_FORM]


def _objects(
    schema: Schema, types: dict[str, Schema], inside: tuple[str, ...]
) -> list[Any]:
    fields = {
        name: values
        for name, field in schema["properties"].items()
        if (values := _values(field, types, inside))
    }
    if not fields.keys() >= set(schema.get("required", [])):
        return []
    count = max(map(len, fields.values()), default=1)
    return [
        {name: values[number % len(values)] for name, values in fields.items()}
        for number in range(count)
    ]
