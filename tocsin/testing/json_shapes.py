"""Objects of JSON as classes with attrs: read, written, and described as JSON Schema, all by the same fields."""

from __future__ import annotations

import base64
import difflib
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import attrs

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted

T = TypeVar("T")

_TYPES: Final[Mapping[Any, str]] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    NoneType: "null",
}
_WORDS: Final[Mapping[Any, str]] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    NoneType: "null",
}


def said(meaning: str, default: Any = attrs.NOTHING, **limits: Any) -> Any:
    """Declare a field; ``meaning`` says what it is, and ``limits`` are keywords of JSON Schema for what checks it besides."""
    return attrs.field(default=default, metadata={"meaning": meaning, "limits": limits})


def read(kind: type[T], document: Any, what: str) -> T:
    """Read an object.

    :raises InvalidArgument: it is none, or a field is unknown, missing, or of another kind; the sentence says which.
    """
    if not isinstance(document, dict):
        raise InvalidArgument(f"{what} must be an object, not {_name_of(document)}")
    hints = get_type_hints(kind)
    names = {each.name: each for each in attrs.fields(kind)}  # type: ignore[arg-type]  # a class of attrs
    for name in document:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            known = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}" if names else "it has none"
            raise InvalidArgument(f"{what} has no field {quoted(name)}: {known}")
    for name, each in names.items():
        if name not in document and each.default is attrs.NOTHING:
            raise InvalidArgument(f"{what} needs the field {name}")
    return kind(**{name: _value(hints[name], value, name) for name, value in document.items()})


def read_query(kind: type[T], query: Mapping[str, str], what: str) -> T:
    """Read an object whose fields are numbers, of texts; errors as for :func:`read`."""
    hints = get_type_hints(kind)
    return read(kind, {name: _number(hints.get(name), text) for name, text in query.items()}, what)


def _number(hint: Any, text: str) -> Any:
    try:
        return hint(text) if hint in {int, float} else text
    except ValueError:
        return text


def _value(hint: Any, value: Any, what: str) -> Any:
    """Check a value, by the annotation of its field."""
    if isinstance(value, float) and value.is_integer() and not _fits(hint, value):
        value = int(value)  # JSON Schema takes 1.0 for a whole number too, and some languages write it so
    if attrs.has(hint):
        return read(hint, value, what)
    origin, inside = get_origin(hint), get_args(hint)
    if origin in {UnionType, Union}:
        kinds = [each for each in inside if _fits(each, value)]
        if kinds:
            return _value(kinds[0], value, what)
    elif origin is Literal:
        if value in inside:
            return value
        raise InvalidArgument(f"{what} is one of {', '.join(inside)}, not {quoted(value)}")
    elif origin is list and isinstance(value, list):
        return [_value(inside[0], each, f"each of {what}") for each in value]
    elif origin is dict and isinstance(value, dict):
        return {name: _value(inside[1], each, f"{what}: {quoted(name)}") for name, each in value.items()}
    elif _fits(hint, value):
        return value
    raise InvalidArgument(f"{what} must be {_words(hint)}, not {_name_of(value)}")


def _fits(hint: Any, value: Any) -> bool:
    if attrs.has(hint):
        return isinstance(value, dict)
    origin = get_origin(hint)
    if origin is not None:
        return isinstance(value, list if origin is list else dict)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, (int, float) if hint is float else hint)


def _words(hint: Any) -> str:
    if get_origin(hint) in {UnionType, Union}:
        return " or ".join(_words(each) for each in get_args(hint))
    if get_origin(hint) is list:
        return "a list"
    return _WORDS.get(hint, "an object")


def _name_of(value: Any) -> str:
    if isinstance(value, list):
        return "a list"
    return _WORDS.get(type(value), "an object")


def write(value: Any) -> Any:
    """Write an object, or a list of such, as what JSON has; bytes are base 64."""
    if attrs.has(type(value)):
        return {each.name: write(getattr(value, each.name)) for each in attrs.fields(type(value))}
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, list | tuple):
        return [write(each) for each in value]
    return {name: write(each) for name, each in value.items()} if isinstance(value, dict) else value


def schema_of(hint: Any) -> dict[str, Any]:
    """Describe what a field holds, as JSON Schema."""
    if attrs.has(hint):
        return _object_schema(hint)
    origin, inside = get_origin(hint), get_args(hint)
    if origin in {UnionType, Union}:
        kinds = [schema_of(each) for each in inside]
        plain = [each["type"] for each in kinds if set(each) == {"type"}]
        return {"type": plain} if len(plain) == len(kinds) else {"anyOf": kinds}
    if origin is Literal:
        return {"type": "string", "enum": list(inside)}
    if origin is list or origin is tuple:
        return {"type": "array", "items": schema_of(inside[0])}
    if origin is dict or origin is Mapping:
        return {"type": "object", "additionalProperties": schema_of(inside[1])}
    return {"type": "string", "contentEncoding": "base64"} if hint is bytes else {"type": _TYPES[hint]}


def _object_schema(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    properties, required = dict[str, Any](), list[str]()
    for each in attrs.fields(kind):
        schema = schema_of(hints[each.name])
        if "meaning" in each.metadata:
            schema |= {"description": each.metadata["meaning"], **each.metadata["limits"]}
        if each.default is attrs.NOTHING:
            required.append(each.name)
        elif not isinstance(each.default, attrs.Factory):  # type: ignore[arg-type]  # which is a class
            schema["default"] = each.default
        properties[each.name] = schema
    found: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return found | ({"required": required} if required else {})
