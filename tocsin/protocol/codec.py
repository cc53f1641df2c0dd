"""Messages to frames and back; every decoder is bounded.

A frame is one msgpack array. A binary WebSocket message carries one or more frames one after the other, as does the
memory between two actors: whoever holds a frame may pass it on without decoding it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from enum import Enum, IntEnum, StrEnum
from functools import partial
from math import isfinite
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from attrs import AttrsInstance, fields, frozen
from cattrs import Converter
from msgpack import Packer, Unpacker, unpackb
from msgpack.exceptions import ExtraData, UnpackException

from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages import MESSAGES, Message

MAX_FRAME = 64 * 1024
"""Bytes of one frame at most: the largest payload with room for what surrounds it."""

MAX_CHUNK = 1024 * 1024
"""Bytes of one transport message at most."""

_LIMITS: dict[str, Any] = {
    "use_list": False,
    "max_str_len": 16 * 1024,
    "max_bin_len": MAX_FRAME,
    "max_array_len": 4096,
    "max_map_len": 0,
    "max_ext_len": 0,
}
_BROKEN = (UnpackException, ExtraData, ValueError, TypeError, OverflowError)


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


def _converter() -> Converter:
    """Build what checks fields: cattrs converts where it can, but a frame holds what the field says or is refused."""
    converter = Converter(detailed_validation=False)
    for kind in (str, bytes, int, bool, NoneType):
        converter.register_structure_hook(kind, _exactly(kind))
    for mixed in (IntEnum, StrEnum):  # they come before int and str for their members' classes
        converter.register_structure_hook(mixed, _member)
    converter.register_structure_hook(float, _number)
    converter.register_structure_hook_factory(_is_tuple, partial(_tuple_of, converter))
    return converter


def _is_tuple(kind: Any) -> bool:
    origin: Any = get_origin(kind)
    return origin is tuple


def _tuple_of(converter: Converter, kind: Any) -> Callable[[Any, Any], Any]:
    """Build the hook for ``tuple[X, ...]``: anything else that can be iterated, such as text, is none."""
    member = get_args(kind)[0]
    hook = converter.get_structure_hook(member)

    def check(value: Any, _: Any) -> Any:
        if type(value) is not tuple:
            raise TypeError(f"array expected, got {type(value).__name__}")
        return tuple([hook(each, member) for each in value])

    return check


@frozen
class _Shape:
    """How one class of message is taken apart and put together."""

    cls: type[Message]
    tag: int
    pick: Callable[[Any], tuple[Any, ...]]
    hooks: tuple[tuple[Callable[[Any, Any], Any], Any], ...]


def _shape(converter: Converter, tag: int, cls: type[Message]) -> _Shape:
    hints = get_type_hints(cls)
    names = tuple(field.name for field in fields(cast(type[AttrsInstance], cls)))
    kinds: list[type | UnionType] = [hints[name] for name in names]
    hooks = tuple((converter.get_structure_hook(kind), kind) for kind in kinds)
    return _Shape(cls, tag, _picker(names), hooks)


def _picker(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """Build what takes a message's fields out of it; ``attrgetter`` does so in C, but makes a tuple of two or more."""
    if not names:
        return lambda _: ()
    pick = operator.attrgetter(*names)
    return pick if len(names) > 1 else lambda message: (pick(message),)


_CONVERTER = _converter()
_SHAPES = {tag: _shape(_CONVERTER, tag, cls) for tag, cls in MESSAGES.items()}
_PACKER = Packer(autoreset=True)  # holds no state between calls, and a call never yields


def encode(message: Message) -> bytes:
    """Encode a message as one frame."""
    shape = _SHAPES[message.TAG]
    frame: bytes = _PACKER.pack((shape.tag, *shape.pick(message)))
    return frame


def decode(frame: bytes) -> Message:
    """Decode one frame.

    :raises FrameError: the bytes are no message; the text says why.
    """
    if len(frame) > MAX_FRAME:
        raise FrameError(f"a frame of {len(frame)} bytes is longer than {MAX_FRAME}")
    try:
        values = unpackb(frame, **_LIMITS)
    except _BROKEN as broken:
        raise FrameError(f"not a msgpack array within the limits: {_reason(broken)}") from None
    if type(values) is not tuple or not values or type(values[0]) is not int:
        raise FrameError("a frame is an array that begins with its tag")
    shape = _SHAPES.get(values[0])
    if shape is None:
        raise FrameError(f"no message has the tag {values[0]}")
    return _build(shape, values)


def _reason(broken: BaseException) -> str:
    """Say what was wrong; some of msgpack's errors have a name only."""
    return str(broken) or type(broken).__name__


def _build(shape: _Shape, values: tuple[Any, ...]) -> Message:
    if len(values) != len(shape.hooks) + 1:
        raise FrameError(f"{shape.cls.__name__} has {len(shape.hooks)} fields, got {len(values) - 1}")
    try:
        return shape.cls(*[hook(value, kind) for (hook, kind), value in zip(shape.hooks, values[1:], strict=True)])
    except Exception as wrong:  # noqa: BLE001  # cattrs raises whatever a hook met: ValueError, KeyError, ...
        raise FrameError(f"a field of {shape.cls.__name__} is of the wrong kind: {wrong}") from None


def split(chunk: bytes) -> list[bytes]:
    """Cut a transport message into its frames without decoding them.

    :raises FrameError: it is too long, or does not end with the end of a frame.
    """
    if len(chunk) > MAX_CHUNK:
        raise FrameError(f"a message of {len(chunk)} bytes is longer than {MAX_CHUNK}")
    unpacker = Unpacker(max_buffer_size=MAX_CHUNK, **_LIMITS)
    unpacker.feed(chunk)
    frames = []
    start = 0
    try:
        while start < len(chunk):
            unpacker.skip()
            end = unpacker.tell()
            frames.append(chunk[start:end])
            start = end
    except _BROKEN as broken:
        raise FrameError(f"not a sequence of msgpack arrays within the limits: {_reason(broken)}") from None
    return frames
