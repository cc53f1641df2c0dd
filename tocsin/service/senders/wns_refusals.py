"""What WNS says to each outcome and refusal of a notification: its status and its words; its headers are in ``wns_answers``."""

from __future__ import annotations

from typing import Final

from tocsin.protocol.service import wns
from tocsin.protocol.service.refusal import Refusal, RefusalKind
from tocsin.protocol.service.wns import WnsRefusal
from tocsin.protocol.values import MAX_PAYLOAD, OFFLINE_NO_CACHE, NotificationStatus
from tocsin.service.devices.outbox import PushResult

NOT_WITHDRAWN: Final = WnsRefusal(
    503, "The service cannot write its store just now: send the DELETE again", reason="store_unwritable"
)
"""Said to a DELETE where the store cannot be written."""

_THROTTLED: Final = {
    RefusalKind.ADDRESS_THROTTLED: "Too many requests from this address: send more slowly",
    RefusalKind.APP_THROTTLED: "Too many notifications of this app: send more slowly",
    RefusalKind.CHANNEL_THROTTLED: "Too many notifications to this channel: send more slowly",
}
_YET: Final = ": it may yet come, and once more if it is sent again"
_SAID: Final[dict[RefusalKind, tuple[int, str]]] = {
    RefusalKind.TOKEN_FORGED: (401, "The access token was not issued by this service"),
    RefusalKind.TOKEN_EXPIRED: (401, "The access token has expired: get a new one"),
    RefusalKind.TOKEN_OF_UNKNOWN_APP: (401, "The access token is of an app that is no longer registered"),
    RefusalKind.NOT_AUTHORIZED: (403, "The access token is of another app than the channel"),
    RefusalKind.UNKNOWN_CHANNEL: (404, "The channel URI is not known to this service"),
    RefusalKind.CHANNEL_EXPIRED: (410, "Expired channel URL"),
    RefusalKind.CHANNEL_REVOKED: (410, wns.REVOKED),
    RefusalKind.TOO_LARGE: (413, f"The payload has more than {MAX_PAYLOAD} bytes"),
    RefusalKind.STORE_UNREADABLE: (503, "The service cannot read its store just now: send the request again"),
    RefusalKind.STORE_UNWRITABLE: (
        503,
        "The notification is for the service's store, which cannot be written just now",
    ),
    RefusalKind.NODE_LAPSED: (503, "This node of the service cannot act for devices just now: send the request again"),
    RefusalKind.NOT_ACKNOWLEDGED: (
        503,
        f"The device is connected, but did not acknowledge the notification in time{_YET}",
    ),
    RefusalKind.DEVICE_SUSPENDED: (503, f"The device is connected, but cannot store notifications just now{_YET}"),
    RefusalKind.TOO_MANY_WAITING: (503, "Too many notifications wait for the device: send more slowly"),
}
_OUTCOMES: Final = {RefusalKind.TOO_LARGE: NotificationStatus.DROPPED}
_REFUSALS: Final = {
    kind: WnsRefusal(*said, _OUTCOMES.get(kind), reason=kind.name.lower()) for kind, said in _SAID.items()
}
_DROPPED: Final = {
    PushResult.OFFLINE: OFFLINE_NO_CACHE,
    PushResult.LOST: "The connection to the device was lost before it acknowledged the notification",
    PushResult.NO_ROOM: "The device cannot be sent it now, and the service keeps no more notifications for later",
    PushResult.HELD_BACK: "The device saves power, and X-WNS-TTL does not let the notification wait",
    PushResult.CLOUD_DISABLED: "Group policy on the device forbids notifications from the network",
    PushResult.NOTIFICATIONS_DISABLED: "Notifications of the app are switched off on the device",
    PushResult.TYPE_DISABLED: "Notifications of this type are switched off on the device",
}
_OFFLINE_NO_TTL: Final = "Device is offline and X-WNS-TTL is 0"


def refused(refusal: Refusal) -> WnsRefusal:
    """Say a refusal as WNS does, which has one status for all that come too often, whosever the limit is."""
    words = _THROTTLED.get(refusal.kind)
    if words is None:
        return _REFUSALS[refusal.kind]
    return wns.throttled(words, refusal.retry_after or 1, refusal.kind.name.lower())


def status_and_words(result: PushResult, *, cache: bool) -> tuple[NotificationStatus, str]:
    """Say what has become of a notification.

    :param cache: whether its policy let it wait, so that its TTL is why it did not.
    """
    if result is PushResult.ACKNOWLEDGED or result is PushResult.STORED:
        return NotificationStatus.RECEIVED, ""
    no_ttl = result is PushResult.OFFLINE and cache
    return NotificationStatus.DROPPED, _OFFLINE_NO_TTL if no_ttl else _DROPPED[result]
