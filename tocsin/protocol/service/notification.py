"""A notification as the service delivers it, by whichever way it came in."""

from __future__ import annotations

from attrs import field, frozen

from tocsin.protocol.toast_label import LabelText, ToastLabel
from tocsin.protocol.values import NotificationType


@frozen
class Notification:
    """What a sender wants of the delivery; the body goes beside it, since many bodies have the same wishes.

    ``cache`` tells whether it may wait for a device that is away, ``ttl`` is in seconds or None, and ``tag`` with ``group``
    says which stored notification it replaces. ``label`` says to the device what it says of the popup beside its content.
    """

    type: NotificationType
    cache: bool
    tag: str | None
    group: str | None
    ttl: int | None
    priority: int
    suppress_popup: bool = False
    label: LabelText = field(init=False)

    @label.default
    def _label(self) -> LabelText:
        return ToastLabel(self.tag or "", self.group or "", self.suppress_popup).text

    @property
    def storable(self) -> bool:
        """Whether it may wait for a device that is away; a TTL of 0 means now or never."""
        return self.cache and self.ttl != 0
