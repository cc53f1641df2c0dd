"""One post at a node, as its route says."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import partial
from typing import Any, Final

from attrs import define, field

from tests.protocol.service.nodes.hosts import Wait
from tests.protocol.service.nodes.played_devices import Connection, Pushed
from tests.protocol.service.nodes.played_node import NOTHING, Node
from tests.protocol.service.nodes.shared import Seen, Stored, decide
from tocsin.protocol.service.nodes.device_row import Home, RowChange, Unchanged
from tocsin.protocol.service.nodes.post_route import Effect, Event, PostRoute, RouteEnd

Forward = Callable[[Node, Home, "PlayedPost"], Wait]
"""Sends a post to the node that a connection is at; None where no answer comes."""

NOT_SENT: Final = object()
"""What comes of a forward for which there is no connection."""

Steps = Generator[Wait, Any, tuple[Effect, ...]]


@define(eq=False)
class PlayedPost:
    """One post at one node."""

    node: Node
    device: str
    id: str
    storable: bool
    forward: Forward
    forwarded: bool = False
    pushed: Pushed | None = None
    seen: Seen | None = None
    fresh: bool = False
    """Whether no cached row is good enough any more."""
    route: PostRoute = field(init=False)
    connection: Connection = field(init=False)

    def run(self) -> Generator[Wait, Any, tuple[RouteEnd, Pushed | None]]:
        """Go its way; return what its sender is to hear."""
        node = self.node
        self.route = route = PostRoute(node.lease.number, self.storable, self.forwarded)
        steps = {
            Effect.PUSH: self._push,
            Effect.FORWARD: self._forward,
            Effect.STORE: self._store,
            Effect.STORE_LOCKED: self._store_locked,
            Effect.OUTLAST: self._outlast,
        }
        effects: tuple[Effect, ...] = (Effect.LOOK,)
        looks = 0
        while Effect.ANSWER not in effects:
            following: tuple[Effect, ...] = ()
            for effect in effects:
                looks += effect is Effect.LOOK
                following = yield from (self._look() if effect is Effect.LOOK else steps[effect]())
            effects = following
        if Effect.CLEAR in effects and self.seen is not None and self.seen.row.home is not None:
            node.host.spawn(node.devices.clear(self.device, self.seen.row.home))
        node.most_looks = max(node.most_looks, looks)
        assert route.end is not None
        return route.end, self.pushed

    def _here(self) -> Connection | None:
        return None if self.route.pushed else self.node.devices.connections.get(self.device)

    def _look(self) -> Steps:
        node, route = self.node, self.route
        if not node.is_good:
            return route.happened(Event.LAPSED)
        connection = self._here()
        if connection is None and self.forwarded and not route.pushed:
            return route.happened(Event.ELSEWHERE)
        if connection is None:
            seen = None if self.fresh else node.cached.get(self.device)
            kept, self.fresh = seen is not None, True
            if seen is None:
                device = self.device
                seen = yield node.shared.ask(node.host, lambda: node.shared.read(device))
                if seen is None:
                    return route.happened(Event.FAILED)
                node.cached[self.device] = seen
            if not node.is_good:
                return route.happened(Event.LAPSED)
            connection = self._here()  # it may have come meanwhile
            if connection is None:
                self.seen = seen
                return route.read(seen.row, seen.good.__contains__, kept=kept)
        self.fresh = True
        self.connection = connection
        return route.here()

    def _push(self) -> Steps:
        connection = self.connection
        self.pushed = (yield self.node.devices.push(connection, self.id)) or Pushed.TIMED_OUT
        if self.pushed is Pushed.ACKNOWLEDGED or not self.storable:
            return self.route.happened(Event.SETTLED)
        self.seen = connection.seen or NOTHING
        return self.route.undelivered(self.seen.row)

    def _forward(self) -> Steps:
        assert self.route.row is not None
        assert self.route.row.home is not None
        answer = yield self.node.host.within(PATIENCE_OF_LINK, self.forward(self.node, self.route.row.home, self))
        if answer is NOT_SENT:
            return self.route.heard(None, sent=False)
        end, self.pushed = answer or (None, self.pushed)
        return self.route.heard(end)

    def _store(self) -> Steps:
        node, seen = self.node, self.seen
        assert seen is not None
        last = seen.queue[-1].number if seen.queue else 0
        number = node.numbers.take(last)
        while number is None:
            first = yield node.shared.ask(node.host, node.shared.draw)
            if first is None:
                return self.route.happened(Event.FAILED)
            node.numbers.drew(first)
            number = node.numbers.take(last)
        becomes = decide(seen.queue, Stored(number, self.id), frozenset())
        device, lease, denied = self.device, self.route.lease, self.route.denied
        changed = yield node.shared.ask(
            node.host,
            lambda: node.shared.change_queue(device, lease, seen, becomes, denied),
            0.7,
            partial(node.devices.look_at, device),
        )
        return self._stored(changed)

    def _store_locked(self) -> Steps:
        node, device, lease, denied = self.node, self.device, self.route.lease, self.route.denied

        def decided(queue: tuple[Stored, ...], first: int) -> tuple[Stored, ...]:
            return decide(queue, Stored(first, self.id), frozenset())

        changed = yield node.shared.ask(
            node.host,
            lambda: node.shared.change_queue_locked(device, lease, denied, decided),
            0.7,
            partial(node.devices.look_at, device),
        )
        return self._stored(changed)

    def _stored(self, changed: RowChange | Unchanged | None) -> tuple[Effect, ...]:
        node = self.node
        node.cached.pop(self.device, None)
        node.devices.look_at(self.device)
        match changed:
            case None:  # in doubt, and not found out in time
                return self.route.happened(Event.FAILED)
            case Unchanged.FENCED:
                return self.route.happened(Event.LAPSED)
            case Unchanged.MOVED:
                return self.route.happened(Event.MOVED)
            case RowChange(behind=behind):
                return self.route.happened(Event.STORED_BEHIND if behind else Event.STORED)

    def _outlast(self) -> Steps:
        yield self.node.host.sleep(self.node.shared.terms.outlast)
        return self.route.happened(Event.OUTLASTED)


PATIENCE_OF_LINK = 3.0
