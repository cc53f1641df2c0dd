"""The devices that are connected, and the way of a payload to one of them or into its offline store."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from typing import Final

import anyio
from websockets.frames import CloseCode

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.service.offline_queue import Entry
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import DropReason, NotificationType
from tocsin.service.devices.browser_connection import BrowserConnection, BrowserContext
from tocsin.service.devices.browser_subscriptions import BrowserSubscriptions
from tocsin.service.devices.channel_answers import ChannelAnswers
from tocsin.service.devices.connections_here import ConnectionsHere
from tocsin.service.devices.device_connection import ConnectionContext, DeviceConnection
from tocsin.service.devices.offline_queues import OfflineQueues
from tocsin.service.devices.other_nodes import OtherNodes
from tocsin.service.devices.outbox import PushResult
from tocsin.service.devices.parting import Parting
from tocsin.service.devices.platform_connection import PlatformConnection
from tocsin.service.devices.turn import WritingTurn
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.web.heart import Rounds
from tocsin.service.web.websocket import WebSocket

_KEPT_INSTEAD = frozenset({PushResult.OFFLINE, PushResult.LOST, PushResult.TIMED_OUT, PushResult.SUSPENDED})
_UNWANTED = {
    DropReason.CLOUD_DISABLED: PushResult.CLOUD_DISABLED,
    DropReason.NOTIFICATIONS_DISABLED: PushResult.NOTIFICATIONS_DISABLED,
    DropReason.TYPE_DISABLED: PushResult.TYPE_DISABLED,
}

_STOPPING: Final = Parting(CloseCode.GOING_AWAY, "the service is stopping")

logger = logging.getLogger(__name__)


class Devices:
    """All device connections."""

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        channels: Channels,
        offline: OfflineQueues,
        unwanted: UnwantedPushes,
        settings: ServiceSettings,
        limits: Limits,
        counters: Counters,
    ) -> None:
        self.offline = offline
        self.nodes: OtherNodes | None = None
        """The others of a service that has several nodes; None where this is the only one."""
        self._unwanted = unwanted
        self._channels = channels
        answers = ChannelAnswers(channels, offline, limits, counters.tally)
        self._here = ConnectionsHere(offline, counters.tally)
        self._connections = self._here.newest
        self._around = ConnectionContext(
            *(answers, offline, unwanted, settings, limits, WritingTurn(offline.before_writing)),
            Rounds(settings.hello_timeout, DeviceConnection.miss_hello),
            *(self._here.admit, self._here.dismiss, self._forget),
        )
        self._limits = limits
        self._counters = counters
        subscriptions = BrowserSubscriptions(channels, offline, limits, counters)
        self._browsers = BrowserContext(subscriptions, counters, self._connections.get, self._acknowledge_elsewhere)
        self._running: set[DeviceConnection] = set()
        self.turn_away: Parting | None = None
        """What those are told that come now; None: they are let in."""
        self._idle = anyio.Event()
        offline.serve(self._here)

    def some(self, limit: int) -> dict[str, int]:
        """Return so many of the devices that are connected, with how many payloads are on their way to each."""
        some = islice(self._connections.items(), limit)
        return {device: connection.outbox.depth for device, connection in some}

    def connected(self, device: str) -> bool:
        """Tell whether the device has a connection, here or at another node."""
        return device in self._connections or (self.nodes is not None and self.nodes.have(device))

    def has(self, device: str) -> bool:
        """Tell whether the device has a connection here."""
        return device in self._connections

    def has_lapsed(self) -> bool:
        """Tell whether this is a node that may do nothing for any device just now."""
        return self.nodes is not None and not self.nodes.is_good()

    def reads_aesgcm(self, device: str) -> bool:
        """Tell whether the device reads messages of Web Push in the old coding, as far as is known: one that is not connected here may not."""
        connection = self._connections.get(device)
        return not isinstance(connection, BrowserConnection) or connection.reads_aesgcm

    def count(self) -> int:
        """Return how many devices are connected."""
        return len(self._connections)

    def gauges(self) -> dict[str, int]:
        """Return how many devices are connected, and how many payloads are on their way to them."""
        depth = sum(connection.outbox.depth for connection in self._connections.values())
        return {"devices": self.count(), "outbox": depth}

    async def push(self, channel: ChannelRow, payload: Payload, notification: Notification) -> PushResult:
        """Bring a payload to the channel's device, or into its offline store where its sender allows that.

        Payloads of a channel go out in the order of the calls.
        """
        nodes = self.nodes
        if self.has_lapsed():
            return PushResult.LAPSED
        if nodes is None or channel.device in self._connections:
            result = await self.attempt(channel, payload)
        else:
            result = self._why_unwanted(channel, payload.type) or await nodes.bring(channel, payload, notification)
        return await self.conclude(channel, payload, notification, result)

    async def attempt(self, channel: ChannelRow, payload: Payload) -> PushResult:
        """Bring a payload to the channel's device, if it is connected here, and return what has become of it so far."""
        unwanted = self._why_unwanted(channel, payload.type)
        if unwanted is not None:
            return unwanted
        connection = self._connections.get(channel.device)
        if connection is None:
            return PushResult.OFFLINE
        if connection.holds_back(channel.app, payload.priority):
            return PushResult.HELD_BACK
        self._counters.pushed += 1
        frame = connection.encode(payload, channel.app)
        if frame is None:  # the device could do nothing with it, which is its end there
            return PushResult.ACKNOWLEDGED
        return await connection.outbox.push(payload.id, frame)

    def push_now(
        self, channel: ChannelRow, payload: Payload, notification: Notification, settled: Callable[[PushResult], None]
    ) -> bool:
        """Push a payload to the channel's device, if it is there and takes that now, and call back with the result.

        :return: whether it was pushed; if not, it may go by :meth:`push`.
        """
        # What does not pass the checks of push, in its order, is left to that: it knows what becomes of it.
        nodes = self.nodes
        if nodes is not None and not nodes.is_good():
            return False
        if self._unwanted.known and self._why_unwanted(channel, payload.type) is not None:
            return False
        connection = self._connections.get(channel.device)
        if connection is None:
            if nodes is not None:
                nodes.bring_now(channel, payload, notification, settled)
            return nodes is not None
        if connection.holds_back(channel.app, payload.priority):
            return False
        outbox = connection.outbox
        frame = None if outbox.closed_for is not None else connection.encode(payload, channel.app)
        if frame is None:
            return False
        self._counters.pushed += 1
        outbox.push_nowait(payload.id, frame, settled)
        return True

    async def conclude(
        self, channel: ChannelRow, payload: Payload, notification: Notification, result: PushResult
    ) -> PushResult:
        """Store a payload that its device did not acknowledge, if its sender allows that; return the final result."""
        if result is PushResult.ACKNOWLEDGED:
            self._counters.acknowledged += 1
            return result
        final = self.verdict(channel, payload, notification, result)
        return final or await self._keep(channel, payload, notification)

    def verdict(
        self, channel: ChannelRow, payload: Payload, notification: Notification, result: PushResult
    ) -> PushResult | None:
        """Return what becomes of a payload after this result of a push; None: it is to be stored."""
        if result is PushResult.HELD_BACK:
            # The device is there, so the cache policy, which speaks of one that is away, does not forbid it.
            is_kept = notification.ttl != 0
        else:
            is_kept = result in _KEPT_INSTEAD and notification.storable
        # The device may have said that it does not want it after it was pushed, and then it goes.
        return self._why_unwanted(channel, payload.type) if is_kept else result

    def _why_unwanted(self, channel: ChannelRow, kind: NotificationType) -> PushResult | None:
        reason = self._unwanted.reason(channel, kind)
        return None if reason is None else _UNWANTED[reason]

    async def _keep(self, channel: ChannelRow, payload: Payload, notification: Notification) -> PushResult:
        """Put a payload into the offline store; its place is before whatever comes later."""
        if self.nodes is not None:
            return await self.nodes.keep(channel, payload, notification)

        def admitted(entry: Entry) -> None:
            entry.sent = self._here.may_acknowledge(channel.device, entry.id)
            self._here.look(channel.device)

        try:
            if not await self.offline.keep(channel, payload, admitted):
                return PushResult.NO_ROOM
        except StateUnavailable as failure:
            self.offline.recurring.log(
                logger, logging.WARNING, "keep", "a notification could not be stored: %s", failure
            )
            return PushResult.NOT_STORED
        finally:
            self._here.look(channel.device)
        self._counters.stored += 1
        return PushResult.STORED

    async def withdraw(self, channel: ChannelRow, match: ToastMatch) -> None:
        """Delete the toasts of a channel: those that are stored, and then those that its device has, if it is there.

        :raises StateUnavailable: those that are stored could not be deleted; then the others are not either.
        """
        await self.offline.withdraw(channel, match)
        if self.nodes is not None:
            await self.nodes.withdraw(channel, match)
        else:
            self.withdraw_here(channel.device, channel.name, match)

    async def withdraw_message(self, channel: ChannelRow, id: str) -> bool:  # noqa: A002 - the field's name
        """Delete a message of Web Push that is stored, and send it no more; tell whether it was.

        :raises StateUnavailable: it could not be deleted.
        """
        found = await self.offline.withdraw_message(channel, id)
        if found and channel.device in self._connections:
            self._connections[channel.device].hold_back()
        return found

    def withdraw_here(self, device: str, channel: str, match: ToastMatch) -> None:
        """Tell a device that toasts of a channel were deleted, if it is connected here."""
        if device in self._connections:
            self._connections[device].withdraw(channel, match)

    async def acknowledge_here(self, device: str, ids: Sequence[str]) -> None:
        """Let payloads end that a device has acknowledged at another node, if it is connected here."""
        if device in self._connections:
            others = self._connections[device].outbox.acknowledge(ids)
            await self.offline.acknowledge(device, others)

    async def _acknowledge_elsewhere(self, device: str, ids: Sequence[str]) -> None:
        where = self.offline if self.nodes is None else self.nodes
        await where.acknowledge(device, ids)

    async def prune(self) -> None:
        """Forget what devices do not want that have no channels, and are not there.

        :raises StateUnavailable: the store cannot be used.
        """
        await self._unwanted.prune(self.connected)

    def end_channels(self, devices: AbstractSet[str]) -> None:
        """Tell devices that an app of theirs was removed: those that are there now, the others when they come."""
        self._channels.note_orphaned(devices)
        for device in devices & self._connections.keys():
            self._connections[device].tell_what_ended()

    def part_with(self, most: int | None, parting: Parting) -> int:
        """Close so many connections of devices to which nothing is on its way, or all (None); return how many."""
        return self._here.part_with(most, parting)

    async def aclose(self) -> None:
        """Close all connections with ``GOING_AWAY`` (1001), let no other begin, and wait until they have ended."""
        self._here.stopping = True
        for connection in list(self._running):
            connection.close(_STOPPING.code, _STOPPING.words)
        if self._running:
            await self._idle.wait()

    def open(self, socket: WebSocket) -> DeviceConnection:
        """Take a connection of a device of ours, whose handshake is right."""
        return self._begin(PlatformConnection(self._around, self._address_of(socket), socket))

    def open_browser(self, socket: WebSocket) -> DeviceConnection:
        """Take a connection of a browser, whose handshake is right."""
        return self._begin(BrowserConnection(self._around, self._browsers, self._address_of(socket), socket))

    def _address_of(self, socket: WebSocket) -> str:
        return self._limits.address_of({"client": socket.client, "headers": socket.headers})

    def _begin(self, connection: DeviceConnection) -> DeviceConnection:
        self._running.add(connection)
        parting = _STOPPING if self._here.stopping else self.turn_away
        if parting is not None:
            asyncio.get_running_loop().call_soon(connection.close, parting.code, parting.words)
        return connection

    def _forget(self, connection: DeviceConnection) -> None:
        """Count a connection no more of which nothing runs."""
        self._running.discard(connection)
        if self._here.stopping and not self._running:
            self._idle.set()
