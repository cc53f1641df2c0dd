"""Drives one post as ``PostRoute`` says: over the connections and queues here, and the links to other nodes."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from math import inf
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
from tocsin.service.nodes.known_devices import TURN
from tocsin.service.nodes.node_links import NodeLinks, NodePlace
from tocsin.service.nodes.shared_queues import SharedQueues
from tocsin.service.nodes.standing import NodeStanding
from tocsin.service.nodes.storing import Kept, NotKept
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
    RouteEnd.LAPSED: PushResult.LAPSED,
}
_TOLD: Final = {
    RouteEnd.NOT_HERE: NotPushed.NOT_HERE,
    RouteEnd.UNAVAILABLE: NotPushed.UNAVAILABLE,
    RouteEnd.LAPSED: NotPushed.UNAVAILABLE,
}
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


def leave(looking: Counter[str], device: str) -> None:
    """Count one post less to a device that waits to hear where it is."""
    looking[device] -= 1
    if not looking[device]:
        del looking[device]


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
    """One post at this node; each method that waits returns how it ends.

    :param may_wait: whether it may be stored, for a device that is away.
    :param forwarded: whether another node has sent it here.
    """

    around: WayContext
    channel: ChannelRow
    payload: Payload
    notification: Notification
    route: PostRoute
    seen: SeenDevice | None = None
    """What was read last of its device, where storing may go on from that."""
    at: LeaseRow | None = None
    """The lease that the row's home names."""
    said: PushResult | None = None
    """What the connection has said, here or at the other node."""
    is_fresh: bool = False
    """Whether nothing that was kept of another look is good enough any more."""
    until: float = inf
    """The moment on the event loop's clock after which it waits no more for what came before for its device."""

    async def go_on(self, effects: Effects) -> PushResult:
        """Go on from effects that its route has returned."""
        return self._result(await self._go(effects))

    async def begin_heard(self, home: Home, at: LeaseRow, said: NotPushed) -> PushResult:
        """Go on from what another node has said, to which it was forwarded by what was remembered of another look."""
        self.take_time(anyio.current_time())
        self.at, self.is_fresh = at, True
        self.route.read(DeviceRow(0, home), self._is_at, kept=True)
        return self._result(await self._go(self.heard(said)))

    async def begin_undelivered(self) -> PushResult:
        """Go on from a connection here that did not bring it to its device."""
        return self._result(await self._go(self._tried_here()))

    async def begin_forwarded(self) -> ForwardResult:
        """Do the same for a node that has forwarded it here."""
        end = await self._go(self._tried_here())
        return _TOLD.get(end) or self._result(end)

    def _tried_here(self) -> Effects:
        self.take_time(anyio.current_time())
        self.is_fresh = True
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
        return self._end(effects)

    def take_time(self, now: float) -> None:
        """Wait from now on for ``TURN`` at most, in all, for what came before for its device."""
        self.until = now + TURN

    def _end(self, effects: Effects) -> RouteEnd:
        home = self.route.row.home if self.route.row is not None else None
        if Effect.CLEAR in effects and home is not None:
            self.around.clear(self.channel.device, home)
        assert self.route.end is not None  # noqa: S101  # it has ended
        return self.route.end

    def answer(self, effects: Effects) -> PushResult:
        """Return what its sender is to hear, where the effects say that it is to."""
        return self._result(self._end(effects))

    @property
    def wants_fresh(self) -> bool:
        """Whether its device is to be read for it: it is dropped for nothing that is kept."""
        return self.is_fresh or not self.route.storable

    # Its steps

    async def _look(self) -> Effects:
        if not self.around.standing.is_good():
            return self.route.happened(Event.LAPSED)
        if self._is_here():
            return self.route.here()
        looking, device = self.around.looking, self.channel.device
        # A post behind another that is read for reads by itself, so that it does not come before it.
        seen = None if self.is_fresh or device in looking else self.around.queues.known(device)
        kept = seen is not None
        if seen is None:
            looking[device] += 1
            try:
                seen = await self.around.queues.look(device, self.until)
            except StateUnavailable as failure:
                return self.not_looked(failure)
            finally:
                leave(looking, device)
            self.note(seen)
        effects = self.looked(seen.row, seen.at, kept=kept)
        self.seen = seen
        return effects

    def note(self, seen: SeenDevice) -> None:
        """Remember where its device was seen."""
        if self.is_of_this_lease:  # else it may be at what was this node itself
            self.around.places.note(self.channel.device, seen, self.route.lease)

    def not_looked(self, failure: StateUnavailable) -> Effects:
        """Take it that nothing could be read."""
        text = "it cannot be looked where devices are: %s"
        self.around.devices.offline.recurring.log(logger, logging.WARNING, "look", text, failure)
        return self.route.happened(Event.FAILED)

    def looked(self, row: DeviceRow, at: LeaseRow | None, *, kept: bool) -> Effects:
        """Go on from its device's row, as it is read or known.

        :param kept: whether it was not read for this look.
        """
        self.is_fresh = True
        if not self.around.standing.is_good():
            return self.route.happened(Event.LAPSED)
        if self._is_here():  # it may have come meanwhile
            return self.route.here()
        self.at = at
        return self.route.read(row, self._is_at, kept=kept)

    def _is_here(self) -> bool:
        return not self.route.pushed and self.around.devices.has(self.channel.device)

    def _is_at(self, lease: int) -> bool:
        return self.at is not None and self.at.number == lease

    async def _push(self) -> Effects:
        devices, channel, payload = self.around.devices, self.channel, self.payload
        result = await devices.attempt(channel, payload)
        self.take_time(anyio.current_time())  # what its device took is not counted
        self.said = devices.verdict(channel, payload, self.notification, result)
        return self._undelivered() if self.said is None else self.route.happened(Event.SETTLED)

    def _undelivered(self) -> Effects:
        self.seen = self.around.queues.known(self.channel.device)
        self.at = None if self.seen is None else self.seen.at
        return self.route.undelivered(ABSENT if self.seen is None else self.seen.row)

    async def _forward(self) -> Effects:
        row, at = self.route.row, self.at
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
        if not self.is_of_this_lease:
            return self.route.happened(Event.LAPSED)
        kept = await self.around.queues.store(self.channel, self.payload, seen, self.route.denied, self.until)
        return self.kept(kept)

    @property
    def is_of_this_lease(self) -> bool:
        """Whether the node's lease is the one that its post came under: what was found out under another is worth nothing."""
        return self.around.standing.lease == self.route.lease

    def kept(self, kept: Kept) -> Effects:
        """Go on from what has become of it in the store."""
        route = self.route
        match kept:
            case NotKept.NO_ROOM:
                return route.happened(Event.NO_ROOM)
            case NotKept.FAILED:
                return route.happened(Event.FAILED)
            case Unchanged.FENCED:
                return route.happened(Event.LAPSED)
            case Unchanged.MOVED:
                return route.happened(Event.MOVED)
            case RowChange(behind=behind):
                self.around.counters.stored += 1
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
