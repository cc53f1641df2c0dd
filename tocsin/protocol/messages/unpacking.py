"""Bytes to values: msgpack within limits, one frame or all of a transport message."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from msgpack import Unpacker, unpackb
from msgpack.exceptions import ExtraData, UnpackException

from tocsin.protocol.errors import FrameError

MAX_FRAME = 64 * 1024
"""Bytes of one frame at most: the largest payload with room for what surrounds it."""

MAX_CHUNK = 1024 * 1024
"""Bytes of one transport message at most."""

MAX_OWN_FRAME = 16 * 1024 * 1024
"""Bytes of one text or body, and members of one array, in a frame of this process's own making at most: all that it can make."""

_MAX_TEXT: Final = 16 * 1024
_MAX_ARRAY: Final = 4096
_LIMITS: Final[dict[str, Any]] = {
    "use_list": False,
    "max_str_len": _MAX_TEXT,
    "max_bin_len": MAX_FRAME,
    "max_array_len": _MAX_ARRAY,
    "max_map_len": 0,
    "max_ext_len": 0,
}
_BROKEN: Final = (UnpackException, ExtraData, ValueError, TypeError, OverflowError)


def _unpack(frame: bytes) -> Any:
    return unpackb(  # each limit by its name: passing _LIMITS would cost as much as unpacking
        frame,
        use_list=False,
        max_str_len=_MAX_TEXT,
        max_bin_len=MAX_FRAME,
        max_array_len=_MAX_ARRAY,
        max_map_len=0,
        max_ext_len=0,
    )


def unpack_bounded(frame: bytes) -> Any:
    """Return what a frame from outside holds.

    :raises FrameError: it is no msgpack within the limits.
    """
    try:
        return _unpack(frame)
    except _BROKEN as broken:
        raise _not_an_array(broken) from None


def unpack_own_making(frame: bytes) -> Any:
    """Return what a frame of this process's own making holds.

    :raises FrameError: it is none.
    """
    try:
        return unpackb(  # each limit by its name: passing a dict of them would cost as much as unpacking
            frame,
            use_list=False,
            max_str_len=MAX_OWN_FRAME,
            max_bin_len=MAX_OWN_FRAME,
            max_array_len=MAX_OWN_FRAME,
            max_map_len=0,
            max_ext_len=0,
        )
    except _BROKEN as broken:
        raise _not_an_array(broken) from None


def _not_an_array(broken: BaseException) -> FrameError:
    return FrameError(f"not a msgpack array within the limits: {_reason(broken)}")


def unpack_all(chunk: bytes) -> list[Any] | None:
    """Return the values of all frames of a transport message; None where it needs a closer look, as one that is wrong does.

    It holds one frame most often, for which an unpacker would take ten times as long to make as to use.
    """
    if len(chunk) > MAX_FRAME:  # one frame in it may be too long
        return None
    try:
        return [_unpack(chunk)]
    except ExtraData:
        pass
    except _BROKEN:
        return None
    unpacker = Unpacker(max_buffer_size=MAX_CHUNK, **_LIMITS)
    unpacker.feed(chunk)
    try:
        values = list(unpacker)
    except _BROKEN:
        return None
    return values if unpacker.tell() == len(chunk) else None


def unpack_each(chunk: bytes) -> Iterable[tuple[int, int, Any]]:
    """Unpack the frames of a transport message, each with its begin and end; most hold one.

    :raises FrameError: when what is wrong comes to light: one is too long or no msgpack, or the last does not end.
    """
    if len(chunk) <= MAX_FRAME:
        try:
            return ((0, len(chunk), _unpack(chunk)),)
        except _BROKEN:  # it holds more than one, or is wrong in a way that comes to light there
            pass
    return _many_frames(chunk)


def _many_frames(chunk: bytes) -> Iterator[tuple[int, int, Any]]:
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


def _reason(broken: BaseException) -> str:
    """Say what was wrong; some of msgpack's errors have a name only."""
    return str(broken) or type(broken).__name__
