"""The promise of the devices' offline queues: ``OfflineStore`` keeps it for one node, ``SharedQueues`` for several."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from tocsin.protocol.messages import Payload
from tocsin.protocol.service.offline_queue import Entry, OfflineQueue, Phase
from tocsin.protocol.toast_label import ToastLabel, ToastMatch
from tocsin.repeat_log import RepeatLog
from tocsin.service.registry.service_store import ChannelRow


class DevicesHere(Protocol):
    """The connections of this node, as the queues tell them what has changed; a device that has none here is passed over."""

    def look(self, device: str) -> None:
        """Look at what is stored, and whether it may be sent."""
        ...

    def hold_back(self, device: str) -> None:
        """Let nothing go out until told to look, not even what is stored and queued."""
        ...

    def drop_waiting(self, device: str) -> None:
        """Never send what waits for the device, and was not sent: its senders are told that it was not acknowledged."""
        ...

    def displaced(self, device: str) -> None:
        """Close the connection: the device is at another node."""
        ...

    def may_acknowledge(self, device: str, id: str) -> bool:  # noqa: A002 - the field's name
        """Tell whether the device was sent that payload, and may acknowledge it yet though its sender waits no more."""
        ...


class OfflineQueues(Protocol):
    """All devices' queues. Methods that go to the store may raise ``StateUnavailable``."""

    now: Callable[[], float]
    recurring: RepeatLog
    """Says what fails again and again."""

    @property
    def before_writing(self) -> Callable[[], None] | None:
        """What is called before devices are written to, once in a turn; None: nothing has to be asked then."""
        ...

    @property
    def counts(self) -> Counter[Phase]:
        """How many stored notifications have ended how, since the service was opened."""
        ...

    @property
    def kept(self) -> int:
        """How many are stored now, or are being stored."""
        ...

    @property
    def kept_messages(self) -> int:
        """How many of these are messages of Web Push."""
        ...

    def serve(self, here: DevicesHere) -> None:
        """Tell these connections what changes."""
        ...

    def arrived(self, device: str) -> None:
        """Note that a device has a new connection here."""
        ...

    def connection_lost(self, device: str) -> None:
        """Note that this connection is no more: nothing is on its way to the device."""
        ...

    def is_read(self, device: str) -> bool:
        """Tell whether a device's connection may be sent what there is; if not, it is told to look when it may."""
        ...

    def unreadable(self, device: str) -> None:
        """Note that what is stored for a device that is here could not be read."""
        ...

    def has(self, device: str) -> bool:
        """Tell whether something is stored for a device, or is being stored, or that is not known yet."""
        ...

    def of(self, device: str) -> OfflineQueue | None:
        """Return a device's queue, if it is in memory."""
        ...

    async def attend(self, device: str) -> OfflineQueue:
        """Bring a device's queue into memory, and keep it there until :meth:`leave`."""
        ...

    def leave(self, device: str) -> None:
        """Let a queue be put away."""
        ...

    async def keep(self, channel: ChannelRow, payload: Payload, admitted: Callable[[Entry], None]) -> bool:
        """Store a payload; when this returns True, it is on disk. False: there is no room for one more.

        :param admitted: called when it has its place in the queue, before it is written.
        """
        ...

    async def bodies(self, entries: Sequence[Entry]) -> dict[int, bytes]:
        """Return the bodies of stored notifications, by sequence number."""
        ...

    async def acknowledge(self, device: str, ids: Sequence[str]) -> None:
        """Erase what the device has committed; ids that are not stored are passed over."""
        ...

    async def withdraw(self, channel: ChannelRow, match: ToastMatch) -> None:
        """Erase the toasts of a channel that its sender deletes."""
        ...

    async def withdraw_message(self, channel: ChannelRow, id: str) -> bool:  # noqa: A002 - the field's name
        """Erase a message of Web Push that its sender deletes; tell whether it waited here."""
        ...

    async def end_channels(self, device: str, names: Sequence[str]) -> None:
        """Erase what belongs to channels that were revoked."""
        ...

    async def expire(self, device: str) -> None:
        """Erase what has expired or lost its channel."""
        ...

    async def lose(self, device: str, entries: Iterable[Entry]) -> None:
        """Let go of what turned out not to be on disk any more: its app was removed."""
        ...

    def take_back(self, device: str, ids: Sequence[str]) -> None:
        """Note that these notifications were queued for the device but not sent."""
        ...

    async def prune(self) -> None:
        """Erase what has expired or lost its channel, of all devices."""
        ...


def entry_of(sequence: int, channel: ChannelRow, payload: Payload, now: float) -> Entry:
    """Make a payload's place in a queue."""
    label = ToastLabel.read(payload.label)
    return Entry(
        sequence,
        payload.id,
        payload.channel,
        channel.app,
        payload.type,
        label.tag,
        label.group,
        payload.priority,
        now,
        payload.expires,
        channel.expires,
        label.suppress_popup,
    )
