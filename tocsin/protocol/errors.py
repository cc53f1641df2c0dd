"""Every error that Tocsin raises, by who is to blame.

::

    PushError                       .hresult says which, as Windows would
    ├── InvalidArgument             ValueError: you passed something that cannot be right
    │   └── UnreadableContent       it is no toast, tile or badge, or a payload no text or JSON; the text says where and why
    ├── IllegalCall                 RuntimeError: the call is right, but not now or not here
    │   ├── ChannelClosed           the channel was closed or revoked before
    │   ├── NotEntered              AttributeError: it was used without 'async with', which the text shows
    │   └── CallEnded               the call has ended; .reason says why
    ├── NotFound                    LookupError: what you named is not there
    ├── NotSupported                NotImplementedError: this installation or this kind of app cannot do that
    ├── Busy                        BlockingIOError: a queue is full; try again when it has drained
    ├── ChannelNotGranted           RuntimeError: a channel request has failed for good; .hresult and the text say why
    ├── NotShown                    RuntimeError: the desktop would not show a toast, or has no room for it, or policy forbids it
    ├── OperationCanceled           RuntimeError: the operation that you wait for was cancelled
    ├── TimedOut                    TimeoutError: no answer within the deadline
    ├── PlatformUnavailable         RuntimeError: the platform has stopped, or cannot start, and says why
    │   └── StateUnavailable        the state folder is in use, not private, locked, unwritable, corrupt, or of a newer
    │                               version; .in_doubt says whether something may have been written all the same
    ├── SendFailed                  RuntimeError: the push service did not take a notification; .result says what it answered
    │   ├── ChannelGone             404 or 410: the channel or subscription is no more; forget its URI
    │   ├── NotificationRefused     400, 413, ...: the same notification will never be taken
    │   ├── SenderNotAllowed        no token, or 401 or 403: these credentials, or this key, cannot send there
    │   ├── ServiceUnavailable      it cannot be reached, or 500 or 503; every attempt was made that may help
    │   └── Throttled               406 or 429: too much was sent; .result.retry_after says how long to wait
    └── ProtocolViolation           ValueError: the peer sent what the protocol forbids
        └── FrameError              bytes that are no message of ours
"""

from __future__ import annotations

from typing import ClassVar, Self

from tocsin.protocol.hresult import HResult
from tocsin.protocol.send_result import SendResult
from tocsin.protocol.text import MAX_DETAIL, harmless


class PushError(Exception):
    """The root of all errors of Tocsin; ``hresult`` is the code that Windows would report.

    Its text is one line of at most 2,000 characters that can be printed, whatever it quotes.
    """

    default_hresult: ClassVar[int] = HResult.E_FAIL

    def __init__(self, text: str, hresult: int | None = None) -> None:
        super().__init__(harmless(text, MAX_DETAIL))
        self.hresult: int = self.default_hresult if hresult is None else hresult


class InvalidArgument(PushError, ValueError):
    """An argument cannot be right, whatever the state."""

    default_hresult = HResult.E_INVALIDARG


class UnreadableContent(InvalidArgument):
    """What was to be shown is no toast, tile or badge that can be read, or a payload is not the text or JSON that it is read as."""


class IllegalCall(PushError, RuntimeError):
    """The call is legal at another time or in another place."""

    default_hresult = HResult.E_ILLEGAL_METHOD_CALL


class ChannelClosed(IllegalCall):
    """The channel was closed by its app, or revoked by the service."""

    default_hresult = HResult.WPN_E_CHANNEL_CLOSED


class NotEntered(IllegalCall, AttributeError):
    """It works within ``async with`` only, and was used without; the text shows how.

    It is an AttributeError too, so that code which asks whether an object has an attribute is told that this has none.
    """


class CallEnded(IllegalCall):
    """The call has ended; ``reason`` has the code and the subcode of why, None where that is not known."""

    def __init__(self, text: str, hresult: int | None = None, *, reason: tuple[int, int] | None = None) -> None:
        super().__init__(text, hresult)
        self.reason = reason


class NotFound(PushError, LookupError):
    """What was named is not there."""

    default_hresult = HResult.ERROR_NOT_FOUND


class NotSupported(PushError, NotImplementedError):
    """This installation, or this kind of app, cannot do that; the text says what is missing."""

    default_hresult = HResult.ERROR_NOT_SUPPORTED


class Busy(PushError, BlockingIOError):
    """A bounded queue is full: slow down, then try again."""

    default_hresult = HResult.WNP_E_BIND_USER_BUSY


class ChannelNotGranted(PushError, RuntimeError):
    """A channel request has ended without a channel, after every retry that its error allows; ``hresult`` is that error's."""


class NotShown(PushError, RuntimeError):
    """The desktop would not show a toast, or has no room for it, or group policy forbids it; the text says which."""


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
    """The state folder cannot be used, for now or at all.

    ``in_doubt`` False: nothing of what was asked for was written. True: it may be on disk or not, and asking for the same
    again is right; the text says so, too.
    """

    def __init__(self, text: str, hresult: int | None = None, *, in_doubt: bool = False) -> None:
        super().__init__(f"{text}; whether this was written is not known" if in_doubt else text, hresult)
        self.in_doubt = in_doubt


class SendFailed(PushError, RuntimeError):
    """The push service did not take a notification, or a hub not a registration; ``result`` is its last answer."""

    def __init__(self, text: str, hresult: int | None = None, *, result: SendResult | None = None) -> None:
        super().__init__(text, hresult)
        self.result = SendResult() if result is None else result


class ChannelGone(SendFailed, LookupError):
    """The channel or push subscription expired, was revoked, or never was: forget it, and wait for the app to send another."""

    default_hresult = HResult.WPN_E_CHANNEL_CLOSED


class NotificationRefused(SendFailed, ValueError):
    """Something in the notification is wrong; sent again unchanged, it is refused again."""

    default_hresult = HResult.E_INVALIDARG


class _OfSystem(OSError):
    """Stands first among the bases of a failed send that is an error of the system, too."""

    def __new__(cls, *_: object, **__: object) -> Self:
        """Make it by the base that has the fields of an error of the system: RuntimeError's own way, first in line, refuses."""
        return OSError.__new__(cls)


class SenderNotAllowed(_OfSystem, SendFailed, PermissionError):
    """The client id and secret get no token, or none that is good for this channel; or a hub has no use for the key, or a push subscription."""

    default_hresult = HResult.E_ACCESSDENIED


class ServiceUnavailable(_OfSystem, SendFailed, ConnectionError):
    """The push service or its token endpoint cannot be reached, or cannot work just now."""

    default_hresult = HResult.RPC_S_SERVER_UNAVAILABLE


class Throttled(SendFailed):
    """Too much was sent, to this channel or altogether: wait before the next."""

    default_hresult = HResult.WNP_E_BIND_USER_BUSY


class ProtocolViolation(PushError, ValueError):
    """The peer sent something that the protocol forbids at this point."""

    default_hresult = HResult.E_UNEXPECTED


class FrameError(ProtocolViolation):
    """Bytes that are not a message: too long, cut short, of an unknown tag, or with fields of the wrong kind."""


def _all_below(kind: type[PushError]) -> dict[str, type[PushError]]:
    found = {kind.__name__: kind}
    for below in kind.__subclasses__():
        found |= _all_below(below)
    return found


_BY_NAME = _all_below(PushError)


def error_of(name: str, text: str, hresult: int) -> PushError:
    """Build the error that a platform has answered with, by the name of its class; one that is not known here is a PushError."""
    return _BY_NAME.get(name, PushError)(text, hresult)
