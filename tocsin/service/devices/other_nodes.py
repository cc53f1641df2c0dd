"""The promise of the other nodes of a service: they may have a device that is not connected here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from tocsin.protocol.messages import Payload
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.toast_label import ToastMatch
from tocsin.service.devices.outbox import PushResult
from tocsin.service.registry.service_store import ChannelRow


class OtherNodes(Protocol):
    """Where payloads go whose device is not here, or does not take them here.

    Each result is the last word: what may wait is stored, here or at the node that has the device.
    """

    def is_good(self) -> bool:
        """Tell whether this node may act for any device, also for one that is connected here."""
        ...

    def have(self, device: str) -> bool:
        """Tell whether another node has a device's connection, as far as this one has read lately."""
        ...

    def bring_now(
        self, channel: ChannelRow, payload: Payload, notification: Notification, settled: Callable[[PushResult], None]
    ) -> None:
        """Bring a payload to a device that is not connected here, or into the store where its sender allows that; call back with the result."""
        ...

    async def bring(self, channel: ChannelRow, payload: Payload, notification: Notification) -> PushResult:
        """Do the same, and wait for the result."""
        ...

    async def keep(self, channel: ChannelRow, payload: Payload, notification: Notification) -> PushResult:
        """Store a payload that the connection here did not bring to its device, or holds back; or bring it where the device is since."""
        ...

    async def withdraw(self, channel: ChannelRow, match: ToastMatch) -> None:
        """Delete those toasts of a channel that its device has, at whichever node it is.

        :raises StateUnavailable: it could not be looked where that is.
        """
        ...

    async def acknowledge(self, device: str, ids: Sequence[str]) -> None:
        """Let payloads end that a device has acknowledged here, which is not connected here any more; they may come again if that fails."""
        ...
