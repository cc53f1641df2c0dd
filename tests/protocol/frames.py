"""Frames that were made without the codec: right ones, and those that are wrong in one field."""

from __future__ import annotations

from types import NoneType
from typing import Any, cast, get_args, get_origin, get_type_hints

import msgpack
import pytest
from attrs import AttrsInstance, astuple, fields, has

from tocsin.protocol import messages as m
from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages import Message
from tocsin.protocol.messages.codec import decode
from tocsin.protocol.toast_label import LabelText
from tocsin.protocol.values import NotificationType

RIGHT: dict[Any, Any] = {bool: True, int: 1, float: 1.0, str: "x", bytes: b"x", LabelText: "a/b!"}


WRONG: dict[Any, list[Any]] = {
    bool: [0, 1, 1.0, "true", None, []],
    int: [True, 1.0, "1", b"1", None, []],
    float: ["1.0", True, None, b"", []],
    str: [b"x", 1, None, True, ["x"], {}],
    bytes: ["x", 1, None, []],
    LabelText: [b"x", 1, None, [], "!x", "a b", "a/", "x" * 17],
}
"""For each plain type of a field, what is none of its values although it may resemble one."""


def pack(*values: Any) -> bytes:
    """Pack a frame without the codec."""
    frame: bytes = msgpack.packb(values)
    return frame


def refusal(frame: bytes) -> str:
    """Decode what must not be decoded, and return the sentence."""
    with pytest.raises(FrameError) as refused:
        decode(frame)
    return str(refused.value)


def kinds_of(cls: type) -> dict[str, Any]:
    """Return the type of each field of a message, or of a value in one, in the order of the frame."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cast(type[AttrsInstance], cls))}


def right_value(kind: Any) -> Any:
    """Return what a field of that type may hold."""
    if kind in RIGHT:
        return RIGHT[kind]
    if is_row(kind) or has(kind):
        return [right_value(each) for each in get_type_hints(kind).values()]
    if get_args(kind):
        inner = right_value(get_args(kind)[0])
        return [inner] if get_origin(kind) is tuple else inner
    return next(iter(kind)).value


def is_row(kind: Any) -> bool:
    """Whether a type is that of the rows of a batch."""
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def wrong_rows(kind: Any) -> list[Any]:
    """Return rows, or values with fields, that are right but for one field."""
    kinds = list(get_type_hints(kind).values())
    right = [right_value(each) for each in kinds]
    return [
        [*right[:place], wrong, *right[place + 1 :]] for place, each in enumerate(kinds) for wrong in wrong_values(each)
    ]


def wrong_values(kind: Any) -> list[Any]:
    """Return what no field of that type may hold."""
    if kind in WRONG:
        return WRONG[kind]
    if is_row(kind) or has(kind):
        return [
            1,
            None,
            "",
            [],
            [right_value(each) for each in [*get_type_hints(kind).values(), int]],
            *wrong_rows(kind),
        ]
    if get_origin(kind) is tuple:
        return [1, None, 0.5, "", "abc", b"", b"ab", *([wrong] for wrong in wrong_values(get_args(kind)[0]))]
    if NoneType in get_args(kind):
        return [wrong for wrong in wrong_values(get_args(kind)[0]) if wrong is not None]
    value = next(iter(kind)).value
    if isinstance(value, str):
        return [value.encode(), f" {value}", "", 0, None, [value]]
    return [-1, 10_000, str(value), kind(value).name, None, [], bool(value), float(value)]


def frame_with(cls: type[Message], place: int, value: Any) -> bytes:
    """Pack a message that is right but for one field."""
    values = [right_value(kind) for kind in kinds_of(cls).values()]
    decode(pack(cls.TAG, *values))
    values[place] = value
    return pack(cls.TAG, *values)


def payload_of(size: int) -> bytes:
    """Pack a payload whose body makes its frame that long."""
    around = len(frame_with(m.Payload, 3, bytes(1000))) - 1000
    return frame_with(m.Payload, 3, bytes(size - around))


def payload(number: int, channel: str = "c1") -> m.Payload:
    """Build a payload."""
    return m.Payload(f"id{number}", channel, NotificationType.RAW, b"ding", None, 3)


def arrivals(*payloads: m.Payload) -> m.Arrivals:
    """Build the batch that payloads become at the door."""
    return m.Arrivals(*zip(*(astuple(each) for each in payloads), strict=True))
