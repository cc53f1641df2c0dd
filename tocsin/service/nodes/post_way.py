"""Drives one post as ``PostRoute`` says: over the connections and queues here, and the links to other nodes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import ClassVar, Final

import anyio
from attrs import Factory, define, frozen

from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.nodes.device_row import ABSENT, DeviceRow, Home, RowChange, Unchanged
from tocsin.protocol.service.nodes.lease_row import LeaseRow
from tocsin.protocol.service.nodes.post_route import Effect, Event, PostRoute, RouteEnd
from tocsin.protocol.service.notification import Notification
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.forwarding import ForwardedPost, ForwardResult, NotPushed
from tocsin.service.nodes.node_links import NodeLinks, NodePlace
from tocsin.service.nodes.shared_queues import SharedQueues
from tocsin.service.nodes.standing import NodeStanding
from tocsin.service.nodes.storing import NotKept
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.node_store import SeenDevice
from tocsin.service.registry.service_store import ChannelRow

MOST_PLACES: Final = 131_072
"""Devices of which it is remembered that they are at other nodes."""

Effects = tuple[Effect, ...]

_RESULTS: Final = {
    RouteEnd.STORED: PushResult.STORED,
    RouteEnd.DROPPED: PushResult.OFFLINE,
    RouteEnd.UNKNOWN: PushResult.TIMED_OUT,
    RouteEnd.NO_ROOM: PushResult.NO_ROOM,
    RouteEnd.UNAVAILABLE: PushResult.NOT_STORED,
}
_TOLD: Final = {RouteEnd.NOT_HERE: NotPushed.NOT_HERE, RouteEnd.UNAVAILABLE: NotPushed.UNAVAILABLE}
_ENDS: Final = {NotPushed.NOT_HERE: RouteEnd.NOT_HERE, NotPushed.UNAVAILABLE: RouteEnd.UNAVAILABLE}

logger = logging.getLogger(__name__)


class Places:
    """Where devices were found that are at other nodes: the leases of these, and what their rows called the connections."""

    def __init__(self, most: int = MOST_PLACES) -> None:
        self._most = most
        self._places: dict[str, tuple[Home, LeaseRow]] = {}
        self.get = self._places.get

    def note(self, device: str, seen: SeenDevice, own: int) -> None:
        """Remember what was read; ``own`` is this node's lease."""
        self.forget(device)
        if seen.row.home is not None and seen.at is not None and seen.at.number != own:
            self._places[device] = seen.row.home, seen.at
            if len(self._places) > self._most:
                del self._places[next(iter(self._places))]

    def forget(self, device: str) -> None:
        """Forget what turned out to be so no more."""
        self._places.pop(device, None)


@frozen
class WayContext:
    """What the ways of all posts at this node share.

    ``clear`` has a row's home cleared that is no more, for which nothing waits. ``looking`` counts the posts to a device that wait to hear where it is.
    """

    standing: NodeStanding
    queues: SharedQueues
    devices: Devices
    links: NodeLinks
    counters: Counters
    clear: Callable[[str, Home], None]
    looking: Counter[str] = Factory(Counter)
    places: Places = Factory(Places)


@define(eq=False)
class PostWay:
    """One post at this node; it begins with one of the methods of that name, and each returns how it ends.

    :param may_wait: whether it may be stored, for a device that is away.
    :param forwarded: whether another node has sent it here.
    """

    around: WayContext
    channel: ChannelRow
    payload: Payload
    notification: Notification
    route: PostRoute
    seen: SeenDevice | None = None
    """What was read last of its device."""
    said: PushResult | None = None
    """What the connection has said, here or at the other node."""
    _is_fresh: bool = False  # whether nothing that was kept of another look is good enough any more

    async def begin(self) -> PushResult:
        """Look for its device, and bring it there or into the store."""
        return self._result(await self._go((Effect.LOOK,)))

    async def begin_heard(self, home: Home, at: LeaseRow, said: NotPushed) -> PushResult:
        """Go on from what another node has said, to which it was forwarded by what was remembered of another look."""
        self.seen, self._is_fresh = SeenDevice(DeviceRow(0, home), (), at), True
        self.route.read(self.seen.row, self._is_at, kept=True)
        return self._result(await self._go(self.heard(said)))

    async def begin_undelivered(self) -> PushResult:
        """Go on from a connection here that did not bring it to its device."""
        return self._result(await self._go(self._tried_here()))

    async def begin_forwarded(self) -> ForwardResult:
        """Do the same for a node that has forwarded it here."""
        end = await self._go(self._tried_here())
        return _TOLD.get(end) or self._result(end)

    def _tried_here(self) -> Effects:
        self._is_fresh = True
        self.route.here()
        return self._undelivered()

    def _result(self, end: RouteEnd) -> PushResult:
        if end is RouteEnd.AS_PUSHED and self.said is not None:
            return self.said
        return _RESULTS[end]

    async def _go(self, effects: Effects) -> RouteEnd:
        while Effect.ANSWER not in effects:
            (effect,) = effects
            effects = await self._STEPS[effect](self)
        home = self.route.row.home if self.route.row is not None else None
        if Effect.CLEAR in effects and home is not None:
            self.around.clear(self.channel.device, home)
        assert self.route.end is not None  # noqa: S101  # it has ended
        return self.route.end

    # Its steps

    async def _look(self) -> Effects:
        around, route, device = self.around, self.route, self.channel.device
        if not around.standing.is_good():
            return route.happened(Event.LAPSED)
        if self._is_here():
            return route.here()
        # A post behind another that is read for reads by itself, so that it does not come before it.
        seen = None if self._is_fresh or around.looking[device] else around.queues.known(device)
        kept, self._is_fresh = seen is not None, True
        if seen is None:
            try:
                seen = await self._read()
            except StateUnavailable as failure:
                text = "it cannot be looked where devices are: %s"
                around.devices.offline.recurring.log(logger, logging.WARNING, "look", text, failure)
                return route.happened(Event.FAILED)
            if not around.standing.is_good():
                return route.happened(Event.LAPSED)
            if self._is_here():  # it came meanwhile
                return route.here()
        self.seen = seen
        return route.read(seen.row, self._is_at, kept=kept)

    async def _read(self) -> SeenDevice:
        looking, device = self.around.looking, self.channel.device
        looking[device] += 1
        try:
            seen = await self.around.queues.look(device)
            if self.around.standing.lease == self.route.lease:  # else it may be at what was this node itself
                self.around.places.note(device, seen, self.route.lease)
            return seen
        finally:
            looking[device] -= 1
            if not looking[device]:
                del looking[device]

    def _is_here(self) -> bool:
        return not self.route.pushed and self.around.devices.has(self.channel.device)

    def _is_at(self, lease: int) -> bool:
        at = None if self.seen is None else self.seen.at
        return at is not None and at.number == lease

    async def _push(self) -> Effects:
        devices, channel, payload = self.around.devices, self.channel, self.payload
        result = await devices.attempt(channel, payload)
        self.said = devices.verdict(channel, payload, self.notification, result)
        return self._undelivered() if self.said is None else self.route.happened(Event.SETTLED)

    def _undelivered(self) -> Effects:
        self.seen = self.around.queues.known(self.channel.device)
        return self.route.undelivered(ABSENT if self.seen is None else self.seen.row)

    async def _forward(self) -> Effects:
        row, at = self.route.row, None if self.seen is None else self.seen.at
        assert row is not None and row.home is not None and at is not None  # noqa: S101, PT018  # it is there
        post = ForwardedPost(row.home.lease, row.home.epoch, self.channel, self.payload, self.notification)
        return self.heard(await self.around.links.push(NodePlace.of(at), post))

    def heard(self, said: ForwardResult) -> Effects:
        """Take what has become of it at the other node."""
        if isinstance(said, PushResult):
            self.said = said
            return self.route.heard(RouteEnd.AS_PUSHED)
        return self.route.heard(_ENDS.get(said), sent=said is not NotPushed.UNREACHABLE)

    async def _store(self) -> Effects:
        if self.seen is None:  # nothing is known that it could be decided from
            return self.route.happened(Event.MOVED)
        return await self._store_by(self.seen)

    async def _store_locked(self) -> Effects:
        return await self._store_by(None)

    async def _store_by(self, seen: SeenDevice | None) -> Effects:
        around, route = self.around, self.route
        if around.standing.lease != route.lease:  # what was found out under another is not worth anything any more
            return route.happened(Event.LAPSED)
        match await around.queues.store(self.channel, self.payload, seen, route.denied):
            case NotKept.NO_ROOM:
                return route.happened(Event.NO_ROOM)
            case NotKept.FAILED:
                return route.happened(Event.FAILED)
            case Unchanged.FENCED:
                return route.happened(Event.LAPSED)
            case Unchanged.MOVED:
                return route.happened(Event.MOVED)
            case RowChange(behind=behind):
                around.counters.stored += 1
                return route.happened(Event.STORED_BEHIND if behind else Event.STORED)

    async def _outlast(self) -> Effects:
        await anyio.sleep(self.around.standing.terms.outlast)
        return self.route.happened(Event.OUTLASTED)

    _STEPS: ClassVar[dict[Effect, Callable[[PostWay], Awaitable[Effects]]]] = {
        Effect.LOOK: _look,
        Effect.PUSH: _push,
        Effect.FORWARD: _forward,
        Effect.STORE: _store,
        Effect.STORE_LOCKED: _store_locked,
        Effect.OUTLAST: _outlast,
    }
