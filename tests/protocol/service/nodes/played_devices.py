"""The devices' connections at a played node: written down, sent what is stored before what comes now, and erased from the store."""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum, auto
from functools import partial
from typing import Any, Protocol

from attrs import Factory, define

from tests.protocol.service.nodes.hosts import Host, Resume, Wait
from tests.protocol.service.nodes.shared import Seen, Shared, decide
from tocsin.protocol.service.nodes import device_row
from tocsin.protocol.service.nodes.device_row import Home, RowChange, Unchanged
from tocsin.protocol.service.nodes.lease import Lease, Others, Phase

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

    def others(self, name: str) -> Others:
        """Tell what that one hears of the other nodes."""
        ...


@define(eq=False)
class Connection:
    """A device's connection at a node; ``seen`` is None while the queue has to be read before anything goes out."""

    at: Devices
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
    erasing: bool = False


class Devices:
    """The connections at one run of a node's program."""

    def __init__(self, host: Host, shared: Shared, lease: Lease, around: Around) -> None:
        self.host, self.shared, self.lease, self.around = host, shared, lease, around
        self.connections: dict[str, Connection] = {}

    @property
    def is_good(self) -> bool:
        """Tell whether its node may act."""
        return self.lease.is_good(self.host.clock())

    def hold(self) -> None:
        """Let nothing go out."""
        for connection in self.connections.values():
            connection.seen = None

    def reclaim(self) -> None:
        """Write all down under the new lease."""
        for connection in self.connections.values():
            connection.was, connection.home = connection.home or connection.was, None
            self.look(connection)

    def close_all(self) -> None:
        """Close all connections."""
        for connection in list(self.connections.values()):
            self.close(connection)

    def look_at(self, device: str) -> None:
        """Look anew at what others may have changed, if the device is here."""
        if device in self.connections:
            self.look(self.connections[device])

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
        if connection.home is not None:
            self.host.spawn(self.clear(connection.device, connection.home))

    def clear(self, device: str, home: Home) -> Generator[Wait, Any, None]:
        """Write down that a connection is no more."""
        lease = self.lease.number
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
        if not connection.erasing:
            connection.erasing = True
            self.host.spawn(self._erase(connection))

    def _erase(self, connection: Connection) -> Generator[Wait, Any, None]:
        """Erase what the device has, however often the queue moves on meanwhile; at the latest the next connection does."""
        device, seen = connection.device, connection.seen
        while connection.erase and (connection.open or seen is not None):
            ids, connection.erase = frozenset(connection.erase), set()  # what comes meanwhile may be stored since
            seen = seen or (yield self.shared.ask(self.host, lambda: self.shared.read(device)))
            if seen is None:
                connection.erase |= ids
                yield self.host.sleep(0.1)
                continue
            if any(each.id in ids for each in seen.queue):
                write = partial(
                    self.shared.change_queue, device, self.lease.number, seen, decide(seen.queue, None, ids)
                )
                changed = yield self.shared.ask(self.host, write)
                if isinstance(changed, RowChange):
                    self.look(connection)
                else:
                    connection.erase |= ids
            seen = None
        connection.erasing = False
