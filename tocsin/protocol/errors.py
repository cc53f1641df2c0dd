"""Every error that Tocsin raises, by who is to blame.

::

    PushError                       .hresult says which, as Windows would
    ├── InvalidArgument             ValueError: you passed something that cannot be right
    ├── IllegalCall                 RuntimeError: the call is right, but not now or not here
    │   └── ChannelClosed           the channel was closed or revoked before
    ├── NotFound                    LookupError: what you named is not there
    ├── NotSupported                NotImplementedError: this installation or this kind of app cannot do that
    ├── Busy                        BlockingIOError: a queue is full; try again when it has drained
    ├── OperationCanceled           RuntimeError: somebody cancelled the operation that you wait for
    ├── TimedOut                    TimeoutError: no answer within the deadline
    ├── PlatformUnavailable         RuntimeError: the platform has stopped, or cannot start, and says why
    │   └── StateUnavailable        the state folder is in use, unwritable, corrupt, or of a newer version
    └── ProtocolViolation           ValueError: the peer sent what the protocol forbids
        └── FrameError              bytes that are no message of ours
"""

from __future__ import annotations

from typing import ClassVar

from tocsin.protocol.hresult import HResult


class PushError(Exception):
    """The root of all errors of Tocsin; ``hresult`` is the code that Windows would report."""

    default_hresult: ClassVar[int] = HResult.E_FAIL

    def __init__(self, text: str, hresult: int | None = None) -> None:
        super().__init__(text)
        self.hresult: int = self.default_hresult if hresult is None else hresult


class InvalidArgument(PushError, ValueError):
    """An argument cannot be right, whatever the state."""

    default_hresult = HResult.E_INVALIDARG


class IllegalCall(PushError, RuntimeError):
    """The call is legal at another time or in another place."""

    default_hresult = HResult.E_ILLEGAL_METHOD_CALL


class ChannelClosed(IllegalCall):
    """The channel was closed by its app, or revoked by the service."""

    default_hresult = HResult.WPN_E_CHANNEL_CLOSED


class NotFound(PushError, LookupError):
    """What was named is not there."""

    default_hresult = HResult.ERROR_NOT_FOUND


class NotSupported(PushError, NotImplementedError):
    """This installation, or this kind of app, cannot do that; the text says what is missing."""

    default_hresult = HResult.ERROR_NOT_SUPPORTED


class Busy(PushError, BlockingIOError):
    """A bounded queue is full: slow down, then try again."""

    default_hresult = HResult.WNP_E_BIND_USER_BUSY


class OperationCanceled(PushError, RuntimeError):
    """The operation was cancelled, and has no result."""

    default_hresult = HResult.ERROR_CANCELLED


class TimedOut(PushError, TimeoutError):
    """The peer did not answer within the deadline."""

    default_hresult = HResult.ERROR_TIMEOUT


class PlatformUnavailable(PushError, RuntimeError):
    """The platform has stopped, or cannot start; the text says why."""

    default_hresult = HResult.WPN_E_PLATFORM_UNAVAILABLE


class StateUnavailable(PlatformUnavailable):
    """The state folder cannot be used; nothing in it was changed."""


class ProtocolViolation(PushError, ValueError):
    """The peer sent something that the protocol forbids at this point."""

    default_hresult = HResult.E_UNEXPECTED


class FrameError(ProtocolViolation):
    """Bytes that are not a message: too long, cut short, of an unknown tag, or with fields of the wrong kind."""
