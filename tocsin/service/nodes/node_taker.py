"""What other nodes forward to this one, for the connections of devices that are here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import anyio

from tocsin.protocol.messages.node_protocol import AcknowledgeThere, WithdrawThere
from tocsin.protocol.service.nodes.device_row import Home
from tocsin.protocol.toast_label import ToastMatch
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.forwarding import ForwardedPost, ForwardResult, NotPushed
from tocsin.service.nodes.forwards_out import Settled
from tocsin.service.nodes.node_posts import NodePosts
from tocsin.service.nodes.shared_queues import SharedQueues
from tocsin.service.nodes.standing import NodeStanding

PATIENCE: Final = 2.0
"""Seconds for which a forward waits until it is known whether the connection that it names is the one here."""


class NodeTaker:
    """Takes forwards as ``Devices`` take the posts of senders, for the connection that each names (``ForwardTaker``)."""

    def __init__(self, standing: NodeStanding, queues: SharedQueues, devices: Devices, posts: NodePosts) -> None:
        self._standing = standing
        self._queues = queues
        self._devices = devices
        self._posts = posts

    def take_now(self, post: ForwardedPost, settled: Settled) -> bool:
        """Push a notification without a task, or say why not; what its device does not acknowledge goes on by itself."""
        device = post.channel.device
        if not self._standing.is_good():
            settled(NotPushed.UNAVAILABLE)
            return True
        home = self._queues.home_of(device)
        if home is None and self._devices.has(device) and post.lease == self._standing.lease:
            return False
        if home is None or not _names(post, home) or not self._devices.has(device):
            settled(NotPushed.NOT_HERE)
            return True
        pushed = partial(self._pushed, post, settled)
        return self._devices.push_now(post.channel, post.payload, post.notification, pushed)

    def _pushed(self, post: ForwardedPost, settled: Settled, result: PushResult) -> None:
        if result is PushResult.ACKNOWLEDGED:
            settled(result)
        else:
            self._posts.finish(self._conclude(post, result), settled, NotPushed.UNAVAILABLE)

    async def take(self, post: ForwardedPost) -> ForwardResult:
        """Bring a notification to its device, or store it where its sender allows that."""
        devices, device, standing = self._devices, post.channel.device, self._standing
        home = self._queues.home_of(device)
        if home is None and devices.has(device):  # its row is being written
            with anyio.move_on_after(PATIENCE) as patience:
                home = await self._queues.claimed(device)
            if patience.cancelled_caught:  # it may be the one that is named
                return NotPushed.UNAVAILABLE
        if not standing.is_good():
            return NotPushed.UNAVAILABLE
        if home is None or not _names(post, home):
            return NotPushed.NOT_HERE
        result = await devices.attempt(post.channel, post.payload)
        return NotPushed.NOT_HERE if result is PushResult.OFFLINE else await self._conclude(post, result)

    async def _conclude(self, post: ForwardedPost, result: PushResult) -> ForwardResult:
        """Store what its device does not have, where its sender allows that."""
        final = self._devices.verdict(post.channel, post.payload, post.notification, result)
        return final or await self._posts.keep_forwarded(post)

    def look(self, devices: Sequence[str]) -> None:
        """Read rows and queues anew."""
        self._queues.stale(devices)

    def withdraw(self, message: WithdrawThere) -> None:
        """Tell a device of deleted toasts."""
        self._devices.withdraw_here(message.device, message.channel, ToastMatch(message.tag, message.group))

    def acknowledge(self, message: AcknowledgeThere) -> None:
        """Let payloads end that a device of ours has acknowledged at another node."""
        self._posts.finish(self._devices.acknowledge_here(message.device, message.ids), lambda _: None, None)


def _names(post: ForwardedPost, home: Home) -> bool:
    return post.epoch == home.epoch and post.lease == home.lease
