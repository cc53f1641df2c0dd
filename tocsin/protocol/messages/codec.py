"""Messages to frames and back; every decoder is bounded.

A frame is one msgpack array. A binary WebSocket message carries one or more frames one after the other: an actor
may pass a frame on without decoding it. What comes from outside is checked field by field at the door (:func:`decode`,
:func:`decode_chunk`); behind it the rows of a batch are taken as they are (:func:`decode_own`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from operator import call
from typing import Any, Final, cast

from attrs import astuple, evolve
from msgpack import Packer

from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages import Arrivals, Message, Payload
from tocsin.protocol.messages.shapes import PAYLOADS, SHAPES, Shape
from tocsin.protocol.messages.unpacking import MAX_FRAME, unpack_all, unpack_bounded, unpack_each, unpack_own_making

_check: Final = cast("Callable[[Callable[[Any, Any], Any], Any, Any], Any]", call)  # of a hook, a value and its kind
_PACKER = Packer(autoreset=True, default=astuple)  # holds no state between calls, and a call never yields
_ESCAPING = Packer(autoreset=True, default=astuple, unicode_errors="backslashreplace")


class _Frame(bytes):
    """A frame that remembers its message as long as it stays in this process: what actors tell each other is not unpacked."""

    message: Message


def encode(message: Message) -> bytes:
    r"""Encode a message as one frame; a lone surrogate, which UTF-8 cannot hold, goes as its escape, such as ``\udc80``."""
    shape = SHAPES[message.TAG]
    values = shape.pick(message)
    try:
        packed: bytes = _PACKER.pack(values)
    except UnicodeEncodeError:
        escaped: bytes = _ESCAPING.pack(values)
        return escaped
    if not shape.is_taken_as_is:
        return packed
    frame = _Frame(packed)
    frame.message = message
    return frame


def decode(frame: bytes) -> Message:
    """Decode one frame.

    The rows of a batch are plain tuples, in which a member of an enumeration is its value.

    :raises FrameError: the bytes are no message; the text says why.
    """
    if len(frame) > MAX_FRAME:
        raise FrameError(f"a frame of {len(frame)} bytes is longer than {MAX_FRAME}")
    return _build(unpack_bounded(frame))


def decode_known(frame: bytes) -> Message:
    """Decode one frame of a peer that may be newer, and pass over the fields that are behind those known here.

    :raises FrameError: as :func:`decode`.
    """
    values = unpack(frame)
    return _build(values[: len(_shape_of(values).hooks) + 1])


def unpack(frame: bytes) -> tuple[Any, ...]:
    """Return the values of a frame from outside, its tag first, within the limits, without a look at what they are.

    :raises FrameError: the bytes are no frame.
    """
    values: tuple[Any, ...] = unpack_bounded(frame)
    _shape_of(values)
    return values


def unpack_own(frame: bytes) -> tuple[Any, ...]:
    """Return the values of a frame that was made, or checked, in this process."""
    values: tuple[Any, ...] = unpack_own_making(frame)
    return values


def pack(values: tuple[Any, ...]) -> bytes:
    """Make a frame of its values, the tag first."""
    frame: bytes = _PACKER.pack(values)
    return frame


def decode_own(frame: bytes) -> Message:
    """Decode a frame that was made, or checked, in this process: the fields of a batch are not looked at again.

    Its length is not limited: a batch has as many rows as its maker gave it.

    :raises FrameError: as :func:`decode`.
    """
    if type(frame) is _Frame:
        return frame.message
    values = unpack_own_making(frame)
    shape = _shape_of(values)
    return shape.cls(*values[1:]) if shape.is_taken_as_is else _build(values)


def decode_chunk(chunk: bytes) -> list[tuple[Message, bytes]]:
    """Decode all frames of a transport message, each with its bytes; payloads that come one after the other become one batch.

    :raises FrameError: one of them is no message, or it does not end with the end of one.
    """
    columns = _only_payloads(chunk)
    if columns is not None:
        return [_arrivals(columns)]
    found: list[tuple[Message, bytes]] = []
    payloads: list[Any] = []
    for start, end, values in unpack_each(chunk):
        message = _build(values)
        if isinstance(message, Payload):
            payloads.append(values)
            continue
        if payloads:
            found.append(_arrivals(zip(*payloads, strict=True)))
            payloads = []
        found.append((message, chunk[start:end]))
    if payloads:
        found.append(_arrivals(zip(*payloads, strict=True)))
    return found


def _only_payloads(chunk: bytes) -> tuple[tuple[Any, ...], ...] | None:
    """Return the columns of a chunk that holds payloads and nothing else, as most do; None where it needs a closer look."""
    rows = unpack_all(chunk)
    if rows is None:
        return None
    columns = PAYLOADS.columns_of(rows)
    return columns if columns is not None and columns[0].count(Payload.TAG) == len(rows) else None


def _arrivals(columns: Iterable[tuple[Any, ...]]) -> tuple[Message, bytes]:
    """Make one message of payloads that came one after the other; the first column is their tags."""
    _, *rest = columns
    batch = Arrivals(*rest)
    return batch, encode(batch)


def rows_apart(message: Message) -> list[Message]:
    """Take a batch apart into batches of one row; anything else is returned as it is."""
    shape, batch = SHAPES[message.TAG], cast(Any, message)
    if shape.is_columns:
        _, *columns = shape.pick(message)
        return [shape.cls(*((value,) for value in row)) for row in zip(*columns, strict=True)]
    return [evolve(batch, rows=(row,)) for row in batch.rows] if shape.has_rows else [message]


def _shape_of(values: Any) -> Shape:
    if type(values) is not tuple or not values or type(values[0]) is not int:
        raise FrameError("a frame is an array that begins with its tag")
    try:
        return SHAPES[values[0]]
    except KeyError:
        raise FrameError(f"no message has the tag {values[0]}") from None


def _build(values: Any) -> Message:
    """Make the message that these are the values of, its tag first."""
    shape = _shape_of(values)
    if len(values) != len(shape.hooks) + 1:
        raise FrameError(f"{shape.cls.__name__} has {len(shape.hooks)} fields, got {len(values) - 1}")
    try:
        found = list(map(_check, shape.hooks, values[1:], shape.kinds))
    except Exception as wrong:  # noqa: BLE001  # cattrs raises whatever a hook met: ValueError, KeyError, ...
        raise FrameError(f"a field of {shape.cls.__name__} is of the wrong kind: {wrong}") from None
    if shape.is_columns and len(set(map(len, found))) > 1:
        raise FrameError(f"the columns of {shape.cls.__name__} are not of the same length")
    return shape.cls(*found)


def split(chunk: bytes) -> list[bytes]:
    """Cut a transport message into its frames.

    :raises FrameError: it is too long, or does not end with the end of a frame.
    """
    return list(frames(chunk))


def messages(chunk: bytes) -> Iterator[Message]:
    """Decode the frames of a transport message, one after the other as they are asked for.

    :raises FrameError: as :func:`decode` and :func:`split`, when what is wrong comes to light.
    """
    return map(_message_of, unpack_each(chunk))


def _message_of(found: tuple[int, int, Any]) -> Message:
    return _build(found[2])


def frames(chunk: bytes) -> Iterator[bytes]:
    """Cut a transport message into its frames, one after the other as they are asked for.

    :raises FrameError: as :func:`split`, when what is wrong comes to light.
    """
    return (chunk[start:end] for start, end, _ in unpack_each(chunk))
