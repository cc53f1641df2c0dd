"""What the fields of each message may hold: built once from the annotations of its class, and looked at at every door."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import Enum, IntEnum, StrEnum
from functools import partial
from math import isfinite
from types import NoneType
from typing import Any, cast, get_args, get_origin, get_type_hints

from attrs import AttrsInstance, fields, frozen, has
from cattrs import Converter

from tocsin.protocol.messages import MESSAGES, Columns, Message, Payload, Stamped
from tocsin.protocol.toast_label import NO_LABEL, LabelText, ToastLabel, is_label

_SCALARS = (str, bytes, int, bool, NoneType)


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    """Build the hook that takes a value of one kind and nothing that merely resembles it."""

    def check(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"{kind.__name__} expected, got {type(value).__name__}")
        return value

    return check


def _number(value: Any, _: Any) -> float:
    if type(value) is not float and type(value) is not int:
        raise TypeError(f"number expected, got {type(value).__name__}")
    number = float(value)
    if not isfinite(number):
        raise ValueError("a finite number expected")
    return number


def _member(value: Any, kind: type[Enum]) -> Enum:
    """Take a member of an enumeration by its value, of exactly the kind that the enumeration mixes in."""
    if type(value) is not (int if issubclass(kind, int) else str):
        raise TypeError(f"{type(value).__name__} is no value of {kind.__name__}")
    return kind(value)


def _label(value: Any, _: Any) -> LabelText:
    if type(value) is not str:
        raise TypeError(f"a label expected, got {type(value).__name__}")
    return ToastLabel.read(value).text if value else NO_LABEL


def _converter() -> Converter:
    """Build what checks fields: cattrs converts where it can, but a frame holds what the field says or is refused."""
    converter = Converter(detailed_validation=False)
    for kind in _SCALARS:
        converter.register_structure_hook(kind, _exactly(kind))
    for mixed in (IntEnum, StrEnum):  # they come before int and str for their members' classes
        converter.register_structure_hook(mixed, _member)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook(LabelText, _label)
    converter.register_structure_hook_factory(has, partial(_value_of, converter))
    converter.register_structure_hook_factory(_is_tuple, partial(_tuple_of, converter))
    converter.register_structure_hook_factory(_is_rows, partial(_rows_hook, converter))
    return converter


def _is_tuple(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is tuple


def _tuple_of(converter: Converter, kind: Any) -> Callable[[Any, Any], Any]:
    """Build the hook for ``tuple[X, ...]``: anything else that can be iterated, such as text, is none."""
    member = get_args(kind)[0]
    hook = converter.get_structure_hook(member)
    as_they_are = {member} if member in _SCALARS else None  # all at once: that costs what one does

    def check(value: Any, _: Any) -> Any:
        if type(value) is not tuple:
            raise TypeError(f"array expected, got {type(value).__name__}")
        if set(map(type, value)) == as_they_are:
            return value
        return tuple([hook(each, member) for each in value])

    return check


def _value_of(converter: Converter, kind: type) -> Callable[[Any, Any], Any]:
    """Build the hook for a value that a message carries whole, such as the state of the machine: an array of its fields."""
    hooks = [(converter.get_structure_hook(each), each) for each in _fields(kind).values()]

    def check(value: Any, _: Any) -> Any:
        if type(value) is not tuple or len(value) != len(hooks):
            raise TypeError(f"{kind.__name__} is an array of {len(hooks)} fields")
        return kind(*(hook(each, inner) for (hook, inner), each in zip(hooks, value, strict=True)))

    return check


_NONE_AT_ALL = {NoneType}


@frozen
class Rows:
    """How rows are checked: column by column, since all of a column at once costs next to nothing."""

    name: str
    hooks: tuple[tuple[Callable[[Any, Any], Any], Any], ...]
    types: tuple[frozenset[type], ...]
    more: tuple[tuple[int, Callable[[Sequence[Any]], bool]], ...]
    """What the types do not say, by the number of the column."""

    def columns_of(self, rows: Sequence[Any]) -> tuple[tuple[Any, ...], ...] | None:
        """Return the columns of these rows; None where one of them is not what it should be."""
        if len(rows) == 1:
            return self._columns_of_one(rows[0])
        if set(map(type, rows)) == {tuple} and set(map(len, rows)) == {len(self.hooks)}:
            columns = tuple(zip(*rows, strict=True))
            kinds = [set(map(type, column)) for column in columns]
            if all(map(frozenset.issuperset, self.types, kinds)) and all(
                right(columns[n]) for n, right in self.more if kinds[n] != _NONE_AT_ALL
            ):
                return columns
        return None

    def _columns_of_one(self, row: Any) -> tuple[tuple[Any, ...], ...] | None:
        """Return the columns of a row that comes alone: a set a column would cost several times as much."""
        if type(row) is not tuple or len(row) != len(self.types):
            return None
        for allowed, value in zip(self.types, row, strict=True):
            if type(value) not in allowed:
                return None
        for place, right in self.more:
            if row[place] is not None and not right((row[place],)):
                return None
        return tuple(zip(row, strict=True))

    def check(self, rows: Sequence[Any]) -> None:
        """Raise TypeError or ValueError where a row is not what it should be; what is right stays as it came."""
        if rows and self.columns_of(rows) is None:
            for row in rows:
                self._check_one(row)

    def _check_one(self, row: Any) -> None:
        """Find out what is wrong with a row, if there is."""
        if type(row) is not tuple or len(row) != len(self.hooks):
            raise TypeError(f"{self.name} has {len(self.hooks)} fields")
        for (hook, kind), value in zip(self.hooks, row, strict=True):
            hook(value, kind)


def _rows(converter: Converter, name: str, hints: dict[str, Any]) -> Rows:
    """Build the check of rows with these fields: scalars and enumerations, each of which may be optional."""
    allowed: list[frozenset[type]] = []
    more: list[tuple[int, Callable[[Sequence[Any]], bool]]] = []
    for place, kind in enumerate(hints.values()):
        inner = next(each for each in get_args(kind) or (kind,) if each is not NoneType)
        types: set[type] = {inner}
        if inner is LabelText:
            types = {str}
            more.append((place, _are_labels))
        elif issubclass(inner, Enum):
            types = {int if issubclass(inner, int) else str}
            more.append((place, partial(_are_among, frozenset([None, *(member.value for member in inner)]))))
        elif inner is float:
            types = {int, float}
            more.append((place, _are_finite))
        allowed.append(frozenset(types if inner is kind else {*types, NoneType}))
    hooks = tuple((converter.get_structure_hook(kind), kind) for kind in hints.values())
    return Rows(name, hooks, tuple(allowed), tuple(more))


def _are_finite(values: Iterable[float | None]) -> bool:
    return all(isfinite(value) for value in set(values) if value is not None)


def _are_among(allowed: frozenset[Any], values: Sequence[Any]) -> bool:
    """Tell whether all values are allowed; most columns have one value only, and counting is cheaper than hashing."""
    first = values[0]
    return (values.count(first) == len(values) and first in allowed) or allowed.issuperset(values)


def _are_labels(texts: Sequence[str]) -> bool:
    return texts.count("") == len(texts) or all(map(is_label, set(texts)))  # the former costs a quarter


def _is_rows(kind: Any) -> bool:
    """Whether a type is ``tuple[X, ...]`` of named tuples."""
    return _is_tuple(kind) and hasattr(get_args(kind)[0], "_fields")


def _rows_hook(converter: Converter, kind: Any) -> Callable[[Any, Any], Any]:
    row = get_args(kind)[0]
    rows = _rows(converter, row.__name__, get_type_hints(row))

    def check(value: Any, _: Any) -> Any:
        if type(value) is not tuple:
            raise TypeError(f"array expected, got {type(value).__name__}")
        rows.check(value)
        return value

    return check


@frozen
class Shape:
    """How one class of message is taken apart and put together."""

    cls: type[Message]
    pick: Callable[[Any], tuple[Any, ...]]
    """Returns the values of a message, its tag first."""
    hooks: tuple[Callable[[Any, Any], Any], ...]
    """What takes the value of each field, and the kind of the field, and returns what the message has there, or raises."""
    kinds: tuple[Any, ...]
    has_rows: bool
    """Whether its last field is rows."""
    is_columns: bool
    """Whether all of its fields are columns."""
    is_taken_as_is: bool
    """Whether its fields are taken as they are from a frame of this process's own making."""


def _shape(converter: Converter, cls: type[Message]) -> Shape:
    kinds = _fields(cls)
    names = tuple(kinds)
    hooks = tuple(map(converter.get_structure_hook, kinds.values()))
    has_rows, is_columns = names[-1:] == ("rows",), issubclass(cls, Columns)
    is_taken_as_is = has_rows or is_columns or cls is Stamped
    return Shape(cls, _picker(names), hooks, tuple(kinds.values()), has_rows, is_columns, is_taken_as_is)


def _fields(cls: type) -> dict[str, Any]:
    """Return the types of the fields of a message, or of a value in one, in the order of its frame."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cast(type[AttrsInstance], cls))}


def _picker(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """Build what takes a message's tag and fields out of it; ``attrgetter`` does so in C, but makes a tuple of two or more."""
    return operator.attrgetter("TAG", *names) if names else lambda message: (message.TAG,)


_CONVERTER = _converter()

PAYLOADS = _rows(_CONVERTER, "Payload", {"tag": int, **_fields(Payload)})
"""How frames of payloads are checked, all of a chunk at once; the first column is the tag."""


class _Shapes(dict[int, Shape]):
    """The shapes by tag, each built when it is first asked for: an app that a push starts needs a few of them, at once."""

    def __missing__(self, tag: int) -> Shape:
        shape = self[tag] = _shape(_CONVERTER, MESSAGES[tag])
        return shape


SHAPES: Mapping[int, Shape] = _Shapes()
"""The shape of every message, by its tag; KeyError where no message has it. Ask by ``[]`` only."""
