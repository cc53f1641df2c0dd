"""A notification as the service delivers it, by whichever way it came in."""

from __future__ import annotations

from attrs import Factory, field, frozen

from tocsin.protocol.toast_label import LabelText, ToastLabel
from tocsin.protocol.values import NotificationType


def _label_of(notification: Notification) -> LabelText:
    return ToastLabel(notification.tag or "", notification.group or "", notification.suppress_popup).text


@frozen
class Notification:
    """What a sender wants of the delivery; the body goes beside it, since many bodies have the same wishes.

    ``cache`` tells whether it may wait for a device that is away, ``ttl`` is in seconds or None, and ``tag`` with ``group``
    says which stored notification it replaces. ``label`` is what the device is told of tag, group and popup.
    """

    type: NotificationType
    cache: bool
    tag: str | None
    group: str | None
    ttl: int | None
    priority: int
    suppress_popup: bool = False
    label: LabelText = field(init=False, default=Factory(_label_of, takes_self=True))

    @property
    def storable(self) -> bool:
        """Whether it may wait for a device that is away; a TTL of 0 means now or never."""
        return self.cache and self.ttl != 0
