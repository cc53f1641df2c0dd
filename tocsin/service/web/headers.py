"""Headers as they go out: in the spelling that they have here, where the server would lower it."""

from __future__ import annotations

RawHeaders = list[tuple[bytes, bytes]]


class HeaderName(bytes):
    """A header's name that goes out as it is spelled, where the server would lower it."""

    __slots__ = ()

    def lower(self) -> HeaderName:
        """Return the name as it is."""
        return self


class FramingName(HeaderName):
    """The name of a header that the server looks at: it is the same in whatever spelling."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, bytes) and bytes.lower(self) == other.lower()

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = bytes.__hash__


def write(headers: RawHeaders) -> bytes:
    """Write headers as they go out."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])
