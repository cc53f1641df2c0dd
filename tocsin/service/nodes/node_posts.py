"""The posts at this node whose devices are not here, or do not take them here; and the words to the nodes that have them."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, TypeVar

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
from tocsin.protocol.messages.node_protocol import AcknowledgeThere, WithdrawThere
from tocsin.protocol.service.nodes.device_row import Home
from tocsin.protocol.service.nodes.lease_row import LeaseRow
from tocsin.protocol.service.nodes.post_route import PostRoute
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.toast_label import ToastMatch
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.forwarding import ForwardedPost, ForwardResult
from tocsin.service.nodes.gathered_posts import GatheredPost, GatheredPosts
from tocsin.service.nodes.node_links import NodeLinks, NodePlace
from tocsin.service.nodes.post_way import PostWay, WayContext
from tocsin.service.nodes.shared_queues import SharedQueues
from tocsin.service.nodes.standing import NodeStanding
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.node_store import NodeStore
from tocsin.service.registry.service_store import ChannelRow

_T = TypeVar("_T")

_LONGEST_ID: Final = 32  # characters; what is longer is no id of ours

logger = logging.getLogger(__name__)


class NodePosts:
    """What ``Devices`` know of the other nodes (``OtherNodes``).

    :param others: gives the leases of the other nodes that are good.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # the node's parts
        self,
        standing: NodeStanding,
        store: NodeStore,
        queues: SharedQueues,
        devices: Devices,
        links: NodeLinks,
        counters: Counters,
        others: Callable[[], Iterable[LeaseRow]],
    ) -> None:
        self.is_good = standing.is_good
        self._standing = standing
        self._store = store
        self._queues = queues
        self._devices = devices
        self._others = others
        self.around = WayContext(standing, queues, devices, links, counters, self._clear)
        """What the ways of its posts share."""
        self._gathered = GatheredPosts(self.around, self, self._start)
        queues.tell_wakes(self.tell)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._has_ended = False

    @asynccontextmanager
    async def running(self) -> AsyncGenerator[None]:
        """Take posts while the block runs; those that are not at their end then are to be sent again."""
        try:
            yield
        finally:
            self._has_ended = True
            tasks = [*self._tasks]
            for task in tasks:
                task.cancel()
            self._gathered.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    # For devices

    def have(self, device: str) -> bool:
        """Tell whether another node has it, as far as this one has read lately."""
        return self.around.places.get(device) is not None

    def bring_now(
        self, channel: ChannelRow, payload: Payload, notification: Notification, settled: Callable[[PushResult], None]
    ) -> None:
        """Bring a payload to its device, or into the store, without a task for it where that is the usual way."""
        around, device = self.around, channel.device
        place = around.places.get(device)
        if self._has_ended:
            settled(PushResult.NOT_STORED)
        elif place is not None and device not in around.looking:  # nothing comes before what came earlier
            home, at = place
            self._forward(at, ForwardedPost(home.lease, home.epoch, channel, payload, notification), settled)
        else:
            self._gathered.add(self._way(channel, payload, notification, may_wait=notification.storable), settled)

    def forward(self, post: GatheredPost) -> None:
        """Forward a payload to the node that has its device, as was read just now."""
        way = post.way
        row, at = way.route.row, way.at
        assert row is not None and row.home is not None and at is not None  # noqa: S101, PT018  # it is there
        forwarded = ForwardedPost(row.home.lease, row.home.epoch, way.channel, way.payload, way.notification)
        self._forward(at, forwarded, post.settled)

    def _forward(self, at: LeaseRow, post: ForwardedPost, settled: Callable[[PushResult], None]) -> None:
        heard = partial(self._heard, at, post, settled)
        said = self.around.links.push_now(NodePlace.of(at), post, heard)
        if said is not None:
            heard(said)

    def _heard(
        self, at: LeaseRow, post: ForwardedPost, settled: Callable[[PushResult], None], said: ForwardResult
    ) -> None:
        if isinstance(said, PushResult):
            settled(said)
            return
        self.around.places.forget(post.channel.device)
        way = self._way(post.channel, post.payload, post.notification, may_wait=post.notification.storable)
        self.finish(way.begin_heard(Home(post.lease, post.epoch), at, said), settled, PushResult.NOT_STORED)

    async def bring(self, channel: ChannelRow, payload: Payload, notification: Notification) -> PushResult:
        """Bring a payload to its device, or into the store, and wait until it is there."""
        result: asyncio.Future[PushResult] = asyncio.get_running_loop().create_future()
        self.bring_now(channel, payload, notification, partial(_set, result))
        return await result

    async def keep(self, channel: ChannelRow, payload: Payload, notification: Notification) -> PushResult:
        """Store what the connection here did not bring to its device."""
        return await self._way(channel, payload, notification, may_wait=True).begin_undelivered()

    async def withdraw(self, channel: ChannelRow, match: ToastMatch) -> None:
        """Tell the device of deleted toasts, at the node that has it.

        :raises StateUnavailable: it could not be looked where that is.
        """
        device, at = channel.device, (await self._queues.look(channel.device)).at
        if at is not None and at.number != self._standing.lease:
            self.around.links.tell(NodePlace.of(at), WithdrawThere(device, channel.name, match.tag, match.group))
        self._devices.withdraw_here(device, channel.name, match)

    async def acknowledge(self, device: str, ids: Sequence[str]) -> None:
        """Let payloads end that a device has, and has said so here: at the node that has it, or in the store where none has."""
        try:
            at = (await self._queues.look(device)).at
            if at is not None and at.number != self._standing.lease:
                ours = tuple(each for each in ids if len(each) <= _LONGEST_ID)
                self.around.links.tell(NodePlace.of(at), AcknowledgeThere(device, ours))
            else:
                await self._queues.acknowledge_away(device, ids)
        except StateUnavailable as failure:
            text = "what devices have acknowledged comes to them again: %s"
            self._devices.offline.recurring.log(logger, logging.WARNING, "acknowledge", text, failure)

    # For other nodes, and what is told them

    async def keep_forwarded(self, post: ForwardedPost) -> ForwardResult:
        """Store what another node has forwarded, and the connection here did not bring to its device."""
        way = self._way(post.channel, post.payload, post.notification, may_wait=True, forwarded=True)
        return await way.begin_forwarded()

    def tell(self, lease: int, device: str) -> None:
        """Have the node of a lease look into a device for which a wake was left: it is only sooner than with its renewal."""
        for other in self._others():
            if other.number == lease:
                self.around.links.look(NodePlace.of(other), [device])

    def finish(self, work: Coroutine[Any, Any, _T], settled: Callable[[_T], None], failed: _T) -> None:
        """Do what has to wait in a task, from a callback of the event loop.

        :param failed: what is said where it is not done, since the node stops or for a fault of ours.
        """

        def done(task: asyncio.Task[_T]) -> None:
            if task.cancelled():
                settled(failed)
            elif (fault := task.exception()) is not None:
                found = "".join(traceback.format_exception(fault))
                self._devices.offline.recurring.log(
                    logger, logging.ERROR, found, "the way of a post has failed: %s", found
                )
                settled(failed)
            else:
                settled(task.result())

        if self._has_ended:
            work.close()
            settled(failed)
        else:
            self._start(work).add_done_callback(done)

    def _clear(self, device: str, home: Home) -> None:
        async def run() -> None:
            try:
                await self._store.clear(device, home, self._standing.lease)
            except StateUnavailable:
                logger.debug("a row could not be cleared; it is as its next post finds it")

        if not self._has_ended:
            self._start(run())

    def _start(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _way(
        self,
        channel: ChannelRow,
        payload: Payload,
        notification: Notification,
        *,
        may_wait: bool,
        forwarded: bool = False,
    ) -> PostWay:
        route = PostRoute(self._standing.lease, may_wait, forwarded)
        return PostWay(self.around, channel, payload, notification, route)


def _set(result: asyncio.Future[PushResult], settled: PushResult) -> None:
    if not result.done():
        result.set_result(settled)
