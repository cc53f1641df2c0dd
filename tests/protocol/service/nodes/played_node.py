"""A node as the rules drive it: its lease, its devices' connections, and the posts that come to it."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum, auto
from typing import Any, Protocol

from attrs import Factory, define

from tests.protocol.service.nodes.hosts import Host, Resume, Wait
from tests.protocol.service.nodes.shared import Seen, Shared, Stored, Wake, decide
from tocsin.protocol.service.nodes import device_row
from tocsin.protocol.service.nodes.block_numbers import BlockNumbers
from tocsin.protocol.service.nodes.device_row import ABSENT, Home, RowChange, Unchanged
from tocsin.protocol.service.nodes.lease import Effect, Event, Lease, Phase
from tocsin.protocol.service.nodes.lease_row import Joining, NotGranted

PATIENCE = 1.0
"""Seconds that a push waits for its acknowledgement."""


class Pushed(Enum):
    """How a push ends."""

    ACKNOWLEDGED = auto()
    LOST = auto()
    TIMED_OUT = auto()


class Around(Protocol):
    """What is around a node."""

    def hand_over(self, connection: Connection, id: str) -> None:  # noqa: A002 - the field's name
        """Put a payload on its way to a device."""
        ...

    def hang_up(self, connection: Connection) -> None:
        """Close a device's connection."""
        ...


@define(eq=False)
class Connection:
    """A device's connection at a node; ``seen`` is None while the queue has to be read before anything goes out."""

    node: Node
    device: str
    open: bool = True
    home: Home | None = None
    was: Home | None = None
    seen: Seen | None = None
    loading: bool = False
    again: bool = False
    sent: set[int] = Factory(set)
    pushes: list[tuple[str, Resume]] = Factory(list)
    waiting: list[tuple[str, Resume]] = Factory(list)
    erase: set[str] = Factory(set)
    """What the device has acknowledged, and may be in its queue."""
    until_written: list[Resume] = Factory(list)


class Node:
    """One run of a node's program."""

    def __init__(self, host: Host, shared: Shared, name: str, around: Around) -> None:
        self.host, self.shared, self.name, self.around = host, shared, name, around
        self.lease = Lease(shared.terms)
        self.numbers = BlockNumbers()
        self.connections: dict[str, Connection] = {}
        self.cached: dict[str, Seen] = {}
        self.takes_devices = False
        self.most_looks = 0
        self.read = frozenset[Wake]()

    @property
    def is_good(self) -> bool:
        """Tell whether it may act."""
        return self.lease.is_good(self.host.clock())

    # Its lease

    def live(self) -> Generator[Wait, Any, None]:
        """Hold a lease for as long as it can."""
        while self.lease.phase is not Phase.LEFT:
            now = self.host.clock()
            self.perform(self.lease.ring(now))
            if not self.connections:
                self.perform(self.lease.empty(now))
            self.perform(self.lease.look_at_others(now, others_have=False, connected=len(self.connections)))
            alarm = self.lease.alarm
            yield self.host.sleep(min(0.1, max((alarm or now + 1) - self.host.clock(), 0.001)))

    def perform(self, effects: tuple[Effect, ...]) -> None:
        """Do what the lease says."""
        for effect in effects:
            match effect:
                case Effect.JOIN | Effect.RENEW:
                    self.host.spawn(self._ask(self.host.clock(), joined=effect is Effect.JOIN))
                case Effect.OPEN:
                    self.takes_devices = True
                case Effect.HOLD:
                    self.takes_devices = False
                    for connection in self.connections.values():
                        connection.seen = None
                case Effect.RECLAIM:
                    for connection in self.connections.values():
                        connection.was, connection.home = connection.home or connection.was, None
                        self.look(connection)
                case Effect.SEND_AWAY:
                    self.host.spawn(self._send_away())
                case Effect.CLOSE_DEVICES:
                    for connection in list(self.connections.values()):
                        self.close(connection)
                case Effect.RELEASE:
                    number = self.lease.number
                    release = self.shared.ask(self.host, lambda: self.shared.release(self.name, number))
                    self.host.spawn(_one(release), lambda _: self._released())
                case Effect.LOOK:
                    pass  # done where the wakes are

    def _released(self) -> None:
        if self.lease.phase is Phase.RELEASING:
            self.lease.happened(Event.RELEASED, self.host.clock())

    def _ask(self, asked: float, *, joined: bool) -> Generator[Wait, Any, None]:
        number, draining, read = self.lease.number, self.lease.phase is Phase.DRAINING, self.read
        asking = Joining(self.name, f"{self.name}:1", "1", number)
        answer = yield self.shared.ask(
            self.host,
            (lambda: self.shared.join(asking))
            if joined
            else (lambda: self.shared.renew(self.name, number, read, draining=draining)),
            self.shared.terms.renewal,
        )
        now, chance = self.host.clock(), self.shared.time.chance.random()
        if answer is None:
            self.lease.failed(asked, now, chance)
        elif isinstance(answer, NotGranted):
            event = Event.REPLACED if answer is NotGranted.REPLACED else Event.REFUSED
            self.perform(self.lease.refused(asked, event, now, chance))
        else:
            row, wakes = (answer, frozenset[Wake]()) if joined else answer
            effects = self.lease.granted(asked, row.number, now, joined=joined)
            self.read = wakes
            for device, _ in wakes:  # also where the answer is passed over: it may say what is not said again
                self.cached.pop(device, None)
                if device in self.connections:
                    self.look(self.connections[device])
            self.perform(effects)

    def _send_away(self) -> Generator[Wait, Any, None]:
        while self.connections:
            self.close(next(iter(self.connections.values())))
            yield self.host.sleep(0.2)

    # Its devices

    def accept(self, device: str) -> Connection:
        """Take a device's connection."""
        connection = Connection(self, device)
        previous = self.connections.pop(device, None)
        if previous is not None:
            self.close(previous)
        self.connections[device] = connection
        self.look(connection)
        return connection

    def close(self, connection: Connection) -> None:
        """Close a connection, as its node."""
        self.around.hang_up(connection)
        self.ended(connection)

    def ended(self, connection: Connection) -> None:
        """Note that a connection has ended."""
        if not connection.open:
            return
        connection.open = False
        if self.connections.get(connection.device) is connection:
            del self.connections[connection.device]
        for _, resume in (*connection.waiting, *connection.pushes):
            resume(Pushed.LOST)
        for resume in connection.until_written:
            resume(None)
        if connection.home is not None:
            self.host.spawn(self.clear(connection.device, connection.home))

    def clear(self, device: str, home: Home) -> Generator[Wait, Any, None]:
        """Write down that a connection is no more."""
        lease = self.lease.number
        self.cached.pop(device, None)
        yield self.shared.ask(
            self.host,
            lambda: self.shared.change_row(device, lease, lambda row, by: device_row.clear(row, home, by)),
        )

    def look(self, connection: Connection) -> None:
        """Let nothing go out until the row and the queue are read again."""
        connection.seen, connection.again = None, True
        if not connection.loading:
            connection.loading = True
            self.host.spawn(self._load(connection))

    def _load(self, connection: Connection) -> Generator[Wait, Any, None]:
        while connection.again and connection.open:
            connection.again = False
            seen = yield from self._claim(connection)
            if not connection.again and connection.open:
                connection.seen = seen
            if seen is None and self.lease.phase is not Phase.LAPSED:
                connection.again = True
        connection.loading = False
        self.pump(connection)

    def _claim(self, connection: Connection) -> Generator[Wait, Any, Seen | None]:
        """Write a connection down where it is not, and read what is stored; None: not now."""
        device, lease, was = connection.device, self.lease.number, connection.was
        if connection.home is None:
            changed = yield self.shared.ask(
                self.host,
                lambda: self.shared.change_row(
                    device,
                    lease,
                    lambda row, by: device_row.connect(row, by) if was is None else device_row.reclaim(row, was, by),
                ),
            )
            if changed is Unchanged.MOVED:
                self.close(connection)
            if not isinstance(changed, RowChange):
                yield self.host.sleep(0.05)
                return None
            if lease != self.lease.number:
                connection.was = changed.row.home
                return None
            connection.home = changed.row.home
            for resume in connection.until_written:
                resume(None)
            connection.until_written.clear()
            if not connection.open:
                assert connection.home is not None
                yield from self.clear(device, connection.home)
                return None
        seen = yield self.shared.ask(self.host, lambda: self.shared.read(device))
        if isinstance(seen, Seen) and seen.row.home != connection.home:
            connection.was, connection.home = connection.home, None
            return None
        if seen is None:
            yield self.host.sleep(0.05)
        return seen if isinstance(seen, Seen) else None

    def pump(self, connection: Connection) -> None:
        """Hand over what may go: what is stored goes before what comes now."""
        seen = connection.seen
        if seen is None or not connection.open or not self.is_good:
            return
        for each in seen.queue:
            if each.number not in connection.sent:
                connection.sent.add(each.number)
                self.around.hand_over(connection, each.id)
        while connection.pushes:
            push = connection.pushes.pop(0)
            connection.waiting.append(push)
            self.around.hand_over(connection, push[0])

    def push(self, connection: Connection, id: str) -> Wait:  # noqa: A002 - the field's name
        """Hand a payload over, and wait for its acknowledgement."""

        def begin(resume: Resume) -> None:
            connection.pushes.append((id, resume))
            self.pump(connection)

        return self.host.within(PATIENCE, begin) if connection.open else lambda resume: resume(Pushed.LOST)

    def acknowledged(self, connection: Connection, id: str) -> None:  # noqa: A002 - the field's name
        """Take an acknowledgement; it is true whatever the lease is."""
        for push in [each for each in connection.waiting if each[0] == id]:
            connection.waiting.remove(push)
            push[1](Pushed.ACKNOWLEDGED)
        connection.erase.add(id)
        if len(connection.erase) == 1:
            self.host.spawn(self._erase(connection))

    def _erase(self, connection: Connection) -> Generator[Wait, Any, None]:
        """Erase what the device has, however often the queue moves on meanwhile; at the latest the next connection does."""
        device, seen = connection.device, connection.seen
        while connection.erase:
            seen = seen or (yield self.shared.ask(self.host, lambda: self.shared.read(device)))
            ids = frozenset(connection.erase)
            if seen is not None and not any(each.id in ids for each in seen.queue):
                connection.erase -= ids
            elif seen is not None:
                becomes = decide(seen.queue, None, ids)
                changed = yield self._change_queue(device, seen, becomes)
                if isinstance(changed, RowChange):
                    connection.erase -= ids
                    self.look(connection)
                seen = None
            elif not connection.open:
                return
            else:
                yield self.host.sleep(0.1)

    def _change_queue(
        self,
        device: str,
        seen: Seen,
        becomes: tuple[Stored, ...],
        lease: int | None = None,
        denied: frozenset[Home] = frozenset(),
    ) -> Wait:
        number = lease or self.lease.number
        return self.shared.ask(self.host, lambda: self.shared.change_queue(device, number, seen, becomes, denied), 0.7)


def _one(wait: Wait) -> Generator[Wait, Any, Any]:
    return (yield wait)


NOTHING = Seen(ABSENT, (), frozenset())
