"""What a push service's answer to a sender says, and what it means in words."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from tocsin.protocol.retry_after import parse_retry_after
from tocsin.protocol.wns import OFFLINE_NO_CACHE, NotificationStatus

MAY_PASS = frozenset({None, 406, 408, 500, 502, 503, 504})
"""The HTTP statuses that another attempt may change; None is no answer at all."""

_WAITS = ("retry-after", "x-wns-continue-after")
_SHOWN = 64  # characters of a wait that is not understood
_OFFLINE = "The device is away, and the notification was not one to be kept for it: send with the cache policy 'cache'."
_UNWANTED = (
    "The service has discarded it without a reason: its app or user wants none, or the device is away and nothing"
    " keeps it."
)
_THROTTLED = "The service has discarded it because too much was sent to this channel: send less often."
_NO_STATUS = "The service has answered 200 without X-WNS-Status: is it a push service?"
_RECEIVED = "The service has taken it on; whether it was shown, no sender can know."


@frozen
class SendResult:
    """What became of a notification; a field that the service did not send is None.

    ``http_status`` is None where there was no answer at all, ``status`` one of :class:`NotificationStatus` or a word
    that is not known yet, ``retry_after`` the seconds that the service asks to wait. Where it asks in a way that is not
    understood, ``retry_unclear`` is how.
    """

    http_status: int | None = None
    status: str | None = None
    msg_id: str | None = None
    description: str | None = None
    debug_trace: str | None = None
    device_connection_status: str | None = None
    retry_after: float | None = None
    retry_unclear: str | None = None
    attempts: int = 1

    @property
    def received(self) -> bool:
        """Whether the service has taken the notification on."""
        return self.http_status == 200 and self.status == NotificationStatus.RECEIVED

    @property
    def explanation(self) -> str:
        """What that means, in a sentence for people."""
        if self.status == NotificationStatus.CHANNEL_THROTTLED:
            return self.description or _THROTTLED
        if self.http_status is None:
            return self.description or "There was no answer."
        if self.http_status != 200:
            return self.description or f"The service answered {self.http_status} without a reason."
        if self.status == NotificationStatus.RECEIVED:
            return _RECEIVED
        if self.status == NotificationStatus.DROPPED:
            return self._dropped()
        return (
            _NO_STATUS
            if self.status is None
            else f"The service has answered with the status {self.status!r}, which is not known here."
        )

    def _dropped(self) -> str:
        if self.description == OFFLINE_NO_CACHE or (self.description is None and self._is_away()):
            return _OFFLINE
        return f"The service has discarded it: {self.description}." if self.description else _UNWANTED

    def _is_away(self) -> bool:
        return self.device_connection_status == "disconnected"


def read_answer(http_status: int, headers: Mapping[str, str], attempts: int, now: float) -> SendResult:
    """Read an answer; header names are lower-cased. Of the status, either spelling of its header will do.

    :param now: the time in seconds since the epoch, for an answer that names a date and not its own.
    """
    retry_after, retry_unclear = read_wait(headers, now)
    return SendResult(
        http_status=http_status,
        status=_word(headers.get("x-wns-status") or headers.get("x-wns-notificationstatus")),
        msg_id=headers.get("x-wns-msg-id"),
        description=headers.get("x-wns-error-description") or None,
        debug_trace=headers.get("x-wns-debug-trace"),
        device_connection_status=headers.get("x-wns-deviceconnectionstatus"),
        retry_after=retry_after,
        retry_unclear=retry_unclear,
        attempts=attempts,
    )


def _word(status: str | None) -> str | None:
    return None if status is None else status.strip().lower()


def read_wait(headers: Mapping[str, str], now: float) -> tuple[float | None, str | None]:
    """Return the longest wait that an answer asks for, in seconds, and the words of one that is not understood.

    A header that is there asks for a wait, whatever it holds, also nothing. Header names are lower-cased; what was not said is None.
    """
    waits = {
        text: parse_retry_after(text, headers.get("date"), now) for text in map(headers.get, _WAITS) if text is not None
    }
    seconds = [wait for wait in waits.values() if wait is not None]
    unclear = [text for text, wait in waits.items() if wait is None]
    return max(seconds, default=None), unclear[0][:_SHOWN] if unclear else None
