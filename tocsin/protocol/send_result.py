"""What became of a notification, and what that means in words."""

from __future__ import annotations

from attrs import frozen

from tocsin.protocol.values import OFFLINE_NO_CACHE, NotificationStatus

_OFFLINE = "The device is away, and the notification was not one to be kept for it: send with the cache policy 'cache'."
_UNWANTED = (
    "The service has discarded it without a reason: its app or user wants none, or the device is away and nothing"
    " keeps it."
)
_THROTTLED = "The service has discarded it because too much was sent to this channel: send less often."
_NO_STATUS = "The service has answered 200 without X-WNS-Status: is it a push service?"
_UNSENT = "It was not sent, and has not arrived: it waited for its turn behind others, or for an access token."
_RECEIVED = "The service has taken it on; whether it was shown, no sender can know."


@frozen
class SendResult:
    """What became of a notification; a field that the service did not send is None.

    ``http_status`` is None where there was no answer at all, ``status`` one of :class:`NotificationStatus` or a word
    that is not known yet, ``retry_after`` the seconds that the service asks to wait. Where it asks in a way that is not
    understood, ``retry_unclear`` is how. ``sent`` is False where no attempt has left the line here, or got a token: it has not
    arrived; where it is True it may have, whatever was answered. ``lasting`` is True where there was no answer for a cause that no wait mends, such as a
    certificate that is not trusted, or http:// where TLS is spoken: ``explanation`` says which.
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
    sent: bool = True
    lasting: bool = False

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
            return self.description or ("There was no answer." if self.sent else _UNSENT)
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
