"""The Hypothesis strategies that tests share."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cache
from types import NoneType
from typing import Any, cast, get_args, get_origin, get_type_hints
from uuid import UUID

from attrs import AttrsInstance, fields, has
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import MESSAGES, Columns, Message
from tocsin.protocol.toast_label import LabelText, ToastLabel
from tocsin.protocol.values import MAX_PAYLOAD


def toast_labels() -> SearchStrategy[ToastLabel]:
    """Labels, also none."""
    names = st.from_regex("[A-Za-z0-9]{0,16}", fullmatch=True)
    return st.builds(ToastLabel, names, names, st.booleans())


INTEGERS: SearchStrategy[int] = st.integers(-(2**63), 2**64 - 1)
"""What msgpack can carry."""

SCALARS: Mapping[Any, SearchStrategy[Any]] = {
    bool: st.booleans(),
    int: INTEGERS,
    float: st.floats(allow_nan=False, allow_infinity=False),
    str: st.text(max_size=40),
    bytes: st.binary(max_size=200),
    NoneType: st.none(),
    LabelText: toast_labels().map(lambda label: label.text),
}
"""What a message's field of each plain type may hold."""


def app_names() -> SearchStrategy[str]:
    """Names of apps: printable and not blank."""
    return st.text(st.characters(codec="utf-8").filter(str.isprintable), min_size=1, max_size=40).filter(str.strip)


def channel_names() -> SearchStrategy[str]:
    """Names of channels: few, so that the same one comes again."""
    return st.sampled_from(["c1", "c2", "c3"])


def bodies() -> SearchStrategy[bytes]:
    """Bodies of payloads: any bytes, from none at all to the longest that a service takes."""
    return st.binary(max_size=64) | st.integers(0, MAX_PAYLOAD).map(bytes)


def hresults() -> SearchStrategy[int]:
    """Result codes, with and without a name."""
    return st.sampled_from(list(HResult)) | st.integers(0, 2**32 - 1)


def fractions() -> SearchStrategy[float]:
    """Chance, as pure functions take it: from 0 to 1."""
    return st.floats(0.0, 1.0)


def remote_ids() -> SearchStrategy[UUID]:
    """GUIDs that an app's registration may have: any but the null one."""
    return st.integers(1, 2**128 - 1).map(lambda number: UUID(int=number))


LONGEST: Mapping[Any, SearchStrategy[Any]] = {
    **SCALARS,
    str: st.sampled_from(["🔔" * 20_000, "x" * 100_000, "\0" * 17_000]),
    bytes: st.sampled_from([bytes(100_000)]),
}
"""What no field from outside may hold, and one of our own making may."""

BATCH = 5_000
"""Members of an array that no field from outside may have."""


def messages_of(cls: type[Message], *, longest: bool = False) -> SearchStrategy[Message]:
    """Messages of one class, built from the types of its fields; the ``longest`` have the longest texts and batches."""
    if longest:
        return _longest_of(cls)
    hints = get_type_hints(cls)
    names = [attribute.name for attribute in fields(cast(type[AttrsInstance], cls))]
    if issubclass(cls, Columns):
        rows = st.lists(st.tuples(*(_values_of(get_args(hints[name])[0]) for name in names)), max_size=5)
        return rows.map(lambda rows: cls(*(zip(*rows, strict=True) if rows else [()] * len(names))))
    return st.builds(cls, **{name: _values_of(hints[name]) for name in names})


def _longest_of(cls: type[Message]) -> SearchStrategy[Message]:
    """Messages whose texts are long, or whose arrays have many members."""
    hints = get_type_hints(cls)
    long_texts = st.builds(cls, **{name: _values_of(kind, LONGEST, 2) for name, kind in hints.items() if name != "TAG"})
    many = {name: _many(kind) for name, kind in hints.items() if get_origin(kind) is tuple}
    if issubclass(cls, Columns):
        return st.fixed_dictionaries(many).map(lambda columns: cls(**columns))
    few = {name: _values_of(kind) for name, kind in hints.items() if name != "TAG" and name not in many}
    return st.builds(cls, **few, **many) | long_texts if many else long_texts


def _many(kind: Any) -> SearchStrategy[tuple[Any, ...]]:
    return _values_of(get_args(kind)[0]).map(lambda value: (value,) * BATCH)


def messages() -> SearchStrategy[Message]:
    """Messages of any class."""
    return st.one_of([messages_of(cls) for cls in MESSAGES.values()])


@cache  # making it anew, for each example, costs more than drawing from it
def packable() -> SearchStrategy[Any]:
    """Whatever msgpack can say in a frame of ours: scalars and nested arrays."""
    scalars = (
        st.none()
        | st.booleans()
        | st.integers(-(2**15), 2**16)
        | st.floats()
        | st.text(max_size=10)
        | st.binary(max_size=10)
    )
    return st.recursive(scalars, lambda inner: st.lists(inner, max_size=4), max_leaves=6)


def _values_of(kind: Any, scalars: Mapping[Any, SearchStrategy[Any]] = SCALARS, most: int = 5) -> SearchStrategy[Any]:
    """Values of a field's type: plain, a member of an enumeration, a value with fields, ``X | Y``, or ``tuple[X, ...]``."""
    if kind in scalars:
        return scalars[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    if isinstance(kind, type) and issubclass(kind, tuple):
        hints = get_type_hints(kind)
        return st.tuples(*(_values_of(each, scalars, most) for each in hints.values())).map(kind._make)  # type: ignore[attr-defined]  # a row
    if has(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{name: _values_of(each, scalars, most) for name, each in hints.items()})
    choices = [_values_of(each, scalars, most) for each in get_args(kind) if each is not ...]
    return st.lists(choices[0], max_size=most).map(tuple) if get_origin(kind) is tuple else st.one_of(choices)
