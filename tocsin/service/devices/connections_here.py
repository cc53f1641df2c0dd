"""Which connections devices have here: usually one each; a browser may have several (``DevicesHere``)."""

from __future__ import annotations

from tocsin.protocol.service.device_connection import ENDING, Event
from tocsin.protocol.service.tally import MinuteTally
from tocsin.service.devices.device_connection import DeviceConnection
from tocsin.service.devices.offline_queues import OfflineQueues
from tocsin.service.devices.parting import Parting


class ConnectionsHere:
    """The connections whose devices have said hello, and that have not ended."""

    def __init__(self, offline: OfflineQueues, tally: MinuteTally) -> None:
        self.newest: dict[str, DeviceConnection] = {}
        """Of each device the one that gets what comes for it."""
        self.stopping = False
        """Whether all are about to end."""
        self._older: dict[str, list[DeviceConnection]] = {}  # those that stay beside it, the oldest first
        self._offline = offline
        self._tally = tally

    def admit(self, connection: DeviceConnection) -> None:
        """Make this the newest of its device; one that it had before ends, or stays beside it."""
        device = connection.device
        previous = self.newest.get(device)
        self.newest[device] = connection
        if previous is None:
            self._tally.device_came()
        else:
            previous.give_way()
            if previous.outbox.phase not in ENDING:
                self._older.setdefault(device, []).append(previous)
            self._offline.connection_lost(device)
        self._offline.arrived(device)

    def dismiss(self, connection: DeviceConnection) -> None:
        """Forget a connection that has ended; if it was the newest, the last that it had overtaken takes its place."""
        device = connection.device
        older = self._older.get(device, [])
        if self.newest.get(device) is connection:
            heir = older.pop() if older and not self.stopping else None
            self._lose(device, heir)
        elif connection in older:
            older.remove(connection)
        if not older:
            self._older.pop(device, None)

    def _lose(self, device: str, heir: DeviceConnection | None = None) -> None:
        """Note that the newest connection of a device is no more."""
        del self.newest[device]
        if heir is None and not self.stopping:
            self._tally.device_went()
        self._offline.connection_lost(device)
        if heir is not None:
            self.newest[device] = heir
            self._offline.arrived(device)
            heir.step(Event.NEWEST)

    def part_with(self, most: int | None, parting: Parting) -> int:
        """Close so many connections of devices to which nothing is on its way, or all (None); return how many."""
        those = [each for each in self.newest.values() if most is None or not each.outbox.depth][:most]
        for connection in those:
            for each in (*self._older.pop(connection.device, ()), connection):
                each.close(parting.code, parting.words)
        return len(those)

    # What the offline queues say

    def look(self, device: str) -> None:
        """Have the device's connection look at what is stored."""
        if device in self.newest:
            self.newest[device].look()

    def hold_back(self, device: str) -> None:
        """Let nothing go out to the device until it is told to look."""
        if device in self.newest:
            self.newest[device].hold_back()

    def drop_waiting(self, device: str) -> None:
        """Send the device nothing of what waits for it, and was not sent."""
        if device in self.newest:
            self.newest[device].outbox.drop_waiting()

    def displaced(self, device: str) -> None:
        """Let the device's connection give way: it has a newer one at another node."""
        connection = self.newest.get(device)
        if connection is not None:
            connection.give_way()
            if connection.outbox.phase not in ENDING:  # it stays, and what comes for the device goes to the other node
                self._older.pop(device, None)
                self._lose(device)

    def may_acknowledge(self, device: str, id: str) -> bool:  # noqa: A002 - the field's name
        """Tell whether the device was sent that payload, and may acknowledge it yet though its sender waits no more."""
        return device in self.newest and self.newest[device].outbox.may_acknowledge(id)
