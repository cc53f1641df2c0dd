"""A node as the rules drive it: its lease, its devices' connections, and the posts that come to it."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any

from tests.protocol.service.nodes.hosts import Host, Wait
from tests.protocol.service.nodes.played_devices import Around, Devices
from tests.protocol.service.nodes.shared import Seen, Shared, Wake
from tocsin.protocol.service.nodes.block_numbers import BlockNumbers
from tocsin.protocol.service.nodes.device_row import ABSENT
from tocsin.protocol.service.nodes.lease import Effect, Event, Lease, Others, Phase
from tocsin.protocol.service.nodes.lease_row import Joining, LeaseRow, NotGranted
from tocsin.protocol.service.nodes.returning import Returning, ReturnPolicy


class Node:
    """One run of a node's program."""

    def __init__(self, host: Host, shared: Shared, name: str, around: Around) -> None:
        self.host, self.shared, self.name, self.around = host, shared, name, around
        self.lease = Lease(shared.terms)
        self.numbers = BlockNumbers()
        self.devices = Devices(host, shared, self.lease, around)
        self.cached: dict[str, Seen] = {}
        self.takes_devices = False
        self.most_looks = 0
        self.read = frozenset[Wake]()
        self.run = str(shared.time.chance.random())
        self.row = LeaseRow(0, name, self.run, "", "", 0.0, 0.0)

    @property
    def is_good(self) -> bool:
        """Tell whether it may act."""
        return self.devices.is_good

    # Its lease

    def live(self) -> Generator[Wait, Any, None]:
        """Hold a lease for as long as it can."""
        while self.lease.phase is not Phase.LEFT:
            now = self.host.clock()
            self.perform(self.lease.ring(now))
            if not self.devices.connections:
                self.perform(self.lease.empty(now))
            others = self.around.others(self.name) if self.lease.is_in_doubt else Others.NONE
            self.perform(self.lease.look_at_others(now, others, len(self.devices.connections)))
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
                    self.devices.hold()
                case Effect.RECLAIM:
                    self.devices.reclaim()
                case Effect.SEND_AWAY:
                    self.host.spawn(self._send_away())
                case Effect.CLOSE_DEVICES:
                    self.devices.close_all()
                case Effect.RELEASE:
                    release = self.shared.ask(self.host, partial(self.shared.release, self.name, self.lease.number))
                    self.host.spawn(_one(release), lambda _: self._released())
                case Effect.LOOK:
                    pass  # done where the wakes are

    def _released(self) -> None:
        if self.lease.phase is Phase.RELEASING:
            self.lease.happened(Event.RELEASED, self.host.clock())

    def _ask(self, asked: float, *, joined: bool) -> Generator[Wait, Any, None]:
        number, draining, read = self.lease.number, self.lease.phase is Phase.DRAINING, self.read
        asking = Joining(self.name, self.run, f"{self.name}:1", "1", number)
        answer = yield self.shared.ask(
            self.host,
            (lambda: self.shared.join(asking))
            if joined
            else (lambda: self.shared.renew(self.row, read, draining=draining)),
            self.shared.terms.renewal,
        )
        now, chance = self.host.clock(), self.shared.time.chance.random()
        if answer is None:
            self.lease.failed(asked, now, chance)
        elif isinstance(answer, NotGranted):
            ends = {Phase.LEAVING, Phase.RELEASING, Phase.LEFT}
            assert answer is NotGranted.OVER or self.lease.phase in ends, "replaced, and there is no other"
            self.perform(self.lease.refused(asked, Event.REFUSED, now, chance))
        else:
            row, wakes = (answer, frozenset[Wake]()) if joined else answer
            effects = self.lease.granted(asked, row.number, now, joined=joined)
            self.row = row if row.number == self.lease.number else self.row
            self.read = wakes
            for device, _ in sorted(wakes):  # also where the answer is passed over: it may say what is not said again
                self.cached.pop(device, None)
                self.devices.look_at(device)
            self.perform(effects)

    def _send_away(self) -> Generator[Wait, Any, None]:
        connections, policy = self.devices.connections, ReturnPolicy(per_node=2, shortest=0.5, longest=2)
        returning = Returning(len(connections), self.host.clock(), policy.span(len(connections), others=2))
        while connections:
            is_over = self.host.clock() >= returning.ends
            for connection in list(connections.values())[: None if is_over else returning.due(self.host.clock())]:
                self.devices.close(connection)
                returning.tell(1)
            yield self.host.sleep(max(returning.next_due() - self.host.clock(), 0.1))


def _one(wait: Wait) -> Generator[Wait, Any, Any]:
    return (yield wait)


NOTHING = Seen(ABSENT, (), frozenset())
