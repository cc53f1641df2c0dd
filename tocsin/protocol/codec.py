"""Messages to frames and back; every decoder is bounded.

A frame is one msgpack array. A binary WebSocket message carries one or more frames one after the other: whoever holds a
frame may pass it on without decoding it. What comes from outside is checked field by field at the door (:func:`decode`,
:func:`decode_chunk`); behind it the rows of a batch are taken as they are (:func:`decode_own`).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum, IntEnum, StrEnum
from functools import partial
from math import isfinite
from types import NoneType, UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

from attrs import AttrsInstance, evolve, fields, frozen
from cattrs import Converter
from msgpack import Packer, Unpacker, unpackb
from msgpack.exceptions import ExtraData, UnpackException

from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages import MESSAGES, Arrival, Arrivals, Message, Payload

MAX_FRAME = 64 * 1024
"""Bytes of one frame at most: the largest payload with room for what surrounds it."""

MAX_CHUNK = 1024 * 1024
"""Bytes of one transport message at most."""

MAX_OWN_FRAME = 16 * 1024 * 1024
"""Bytes of one text or body in a frame of this process's own making at most: a batch may be carried within another frame."""

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
    converter.register_structure_hook_factory(_is_rows, partial(_rows_hook, converter))
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
class _Rows:
    """How the rows of a batch are checked: column by column, since all of a column at once costs next to nothing."""

    name: str
    hooks: tuple[tuple[Callable[[Any, Any], Any], Any], ...]
    types: tuple[frozenset[type], ...]
    more: tuple[tuple[int, Callable[[Iterable[Any]], bool]], ...]
    """What the types do not say, by the number of the column."""

    def check(self, rows: Sequence[Any]) -> None:
        """Raise TypeError or ValueError where a row is not what it should be; what is right stays as it came."""
        if set(map(type, rows)) == {tuple} and set(map(len, rows)) == {len(self.hooks)}:
            columns = tuple(zip(*rows, strict=True))
            kinds = (set(map(type, column)) for column in columns)
            if all(map(frozenset.issuperset, self.types, kinds)) and all(right(columns[n]) for n, right in self.more):
                return
        for row in rows:
            self._check_one(row)

    def _check_one(self, row: Any) -> None:
        """Find out what is wrong with a row, if there is."""
        if type(row) is not tuple or len(row) != len(self.hooks):
            raise TypeError(f"{self.name} has {len(self.hooks)} fields")
        for (hook, kind), value in zip(self.hooks, row, strict=True):
            hook(value, kind)


def _rows(converter: Converter, name: str, hints: dict[str, Any]) -> _Rows:
    """Build the check of rows with these fields: scalars and enumerations, each of which may be optional."""
    allowed: list[frozenset[type]] = []
    more: list[tuple[int, Callable[[Iterable[Any]], bool]]] = []
    for place, kind in enumerate(hints.values()):
        plain = next(each for each in get_args(kind) or (kind,) if each is not NoneType)
        types: set[type] = {plain}
        if issubclass(plain, Enum):
            types = {int if issubclass(plain, int) else str}
            more.append((place, frozenset([None, *(member.value for member in plain)]).issuperset))
        elif plain is float:
            types = {int, float}
            more.append((place, _are_finite))
        allowed.append(frozenset(types if plain is kind else {*types, NoneType}))
    hooks = tuple((converter.get_structure_hook(kind), kind) for kind in hints.values())
    return _Rows(name, hooks, tuple(allowed), tuple(more))


def _are_finite(values: Iterable[float | None]) -> bool:
    return all(isfinite(value) for value in values if value is not None)


def _is_rows(kind: Any) -> bool:
    """Whether a type is ``tuple[X, ...]`` of named tuples."""
    return _is_tuple(kind) and hasattr(get_args(kind)[0], "_fields")


def _rows_hook(converter: Converter, kind: Any) -> Callable[[Any, Any], Any]:
    row = get_args(kind)[0]
    rows = _rows(converter, row.__name__, get_type_hints(row))

    def check(value: Any, _: Any) -> Any:
        if type(value) is not tuple:
            raise TypeError(f"array expected, got {type(value).__name__}")
        if value:
            rows.check(value)
        return value

    return check


@frozen
class _Shape:
    """How one class of message is taken apart and put together."""

    cls: type[Message]
    tag: int
    pick: Callable[[Any], tuple[Any, ...]]
    hooks: tuple[tuple[Callable[[Any, Any], Any], Any], ...]
    batch: bool
    """Whether its last field is rows."""


def _shape(converter: Converter, tag: int, cls: type[Message]) -> _Shape:
    hints = get_type_hints(cls)
    names = tuple(field.name for field in fields(cast(type[AttrsInstance], cls)))
    kinds: list[type | UnionType] = [hints[name] for name in names]
    hooks = tuple((converter.get_structure_hook(kind), kind) for kind in kinds)
    return _Shape(cls, tag, _picker(names), hooks, batch=names[-1:] == ("rows",))


def _picker(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """Build what takes a message's fields out of it; ``attrgetter`` does so in C, but makes a tuple of two or more."""
    if not names:
        return lambda _: ()
    pick = operator.attrgetter(*names)
    return pick if len(names) > 1 else lambda message: (pick(message),)


_CONVERTER = _converter()
_ARRIVAL = _rows(_CONVERTER, "Arrival", get_type_hints(Arrival))
_SHAPES = {tag: _shape(_CONVERTER, tag, cls) for tag, cls in MESSAGES.items()}
_PACKER = Packer(autoreset=True)  # holds no state between calls, and a call never yields


def encode(message: Message) -> bytes:
    """Encode a message as one frame."""
    shape = _SHAPES[message.TAG]
    frame: bytes = _PACKER.pack((shape.tag, *shape.pick(message)))
    return frame


def decode(frame: bytes) -> Message:
    """Decode one frame.

    The rows of a batch are plain tuples, in which a member of an enumeration is its value.

    :raises FrameError: the bytes are no message; the text says why.
    """
    if len(frame) > MAX_FRAME:
        raise FrameError(f"a frame of {len(frame)} bytes is longer than {MAX_FRAME}")
    values = _unpack(frame)
    return _build(_shape_of(values), values)


def decode_own(frame: bytes) -> Message:
    """Decode a frame that was made, or checked, in this process: the fields of a batch are not looked at again.

    Its length is not limited: a batch has as many rows as its maker gave it.

    :raises FrameError: as :func:`decode`.
    """
    values = _unpack(frame)
    shape = _shape_of(values)
    return shape.cls(*values[1:]) if shape.batch else _build(shape, values)


def decode_chunk(chunk: bytes) -> list[tuple[Message, bytes]]:
    """Decode all frames of a transport message, each with its bytes; payloads that come one after the other become one batch.

    :raises FrameError: one of them is no message, or it does not end with the end of one.
    """
    found: list[tuple[Message, bytes]] = []
    arrivals: list[Any] = []
    for start, end, values in _frames(chunk):
        if type(values) is tuple and values and values[0] == Payload.TAG and type(values[0]) is int:
            arrivals.append(values[1:])
        else:
            _gather(arrivals, found)
            found.append((_build(_shape_of(values), values), chunk[start:end]))
    _gather(arrivals, found)
    return found


def _gather(arrivals: list[Any], found: list[tuple[Message, bytes]]) -> None:
    """Make one message of the payloads so far."""
    if not arrivals:
        return
    try:
        _ARRIVAL.check(arrivals)
    except (TypeError, ValueError) as wrong:
        raise FrameError(f"a field of Payload is of the wrong kind: {wrong}") from None
    batch = Arrivals(tuple(arrivals))
    found.append((batch, encode(batch)))
    arrivals.clear()


def rows_apart(message: Message) -> list[Message]:
    """Take a batch apart into batches of one row; anything else is returned as it is."""
    if not _SHAPES[message.TAG].batch:
        return [message]
    batch: Any = message
    return [evolve(batch, rows=(row,)) for row in batch.rows]


def _unpack(frame: bytes) -> Any:
    try:
        # The limits stand here once more: passing a dict of them would cost as much as unpacking.
        return unpackb(
            frame,
            use_list=False,
            max_str_len=16384,
            max_bin_len=MAX_OWN_FRAME,
            max_array_len=4096,
            max_map_len=0,
            max_ext_len=0,
        )
    except _BROKEN as broken:
        raise FrameError(f"not a msgpack array within the limits: {_reason(broken)}") from None


def _shape_of(values: Any) -> _Shape:
    if type(values) is not tuple or not values or type(values[0]) is not int:
        raise FrameError("a frame is an array that begins with its tag")
    shape = _SHAPES.get(values[0])
    if shape is None:
        raise FrameError(f"no message has the tag {values[0]}")
    return shape


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
    """Cut a transport message into its frames.

    :raises FrameError: it is too long, or does not end with the end of a frame.
    """
    return [chunk[start:end] for start, end, _ in _frames(chunk)]


def _frames(chunk: bytes) -> Iterator[tuple[int, int, Any]]:
    """Unpack what a transport message holds, each value with its begin and end."""
    if len(chunk) > MAX_CHUNK:
        raise FrameError(f"a message of {len(chunk)} bytes is longer than {MAX_CHUNK}")
    unpacker = Unpacker(max_buffer_size=MAX_CHUNK, **_LIMITS)
    unpacker.feed(chunk)
    start = 0
    while start < len(chunk):
        try:
            values = unpacker.unpack()
        except _BROKEN as broken:
            raise FrameError(f"not a sequence of msgpack arrays within the limits: {_reason(broken)}") from None
        end = unpacker.tell()
        if end - start > MAX_FRAME:
            raise FrameError(f"a frame of {end - start} bytes is longer than {MAX_FRAME}")
        yield start, end, values
        start = end
