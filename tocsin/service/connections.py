"""The connections that the service has: how many, from where, and who keeps it waiting."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Protocol

from tocsin.service.limits import network_of
from tocsin.service.settings import ServiceSettings


class Peer(Protocol):
    """A connection."""

    def drop(self) -> None:
        """End it at once."""
        ...


class Connections:
    """Counts connections, and drops those who let the service wait.

    Everybody has the same time, so those who wait stand in the order of their deadlines.

    :param exempt: tells whether an address has no limit of its own: that of a proxy.
    :param now: seconds on a clock that never goes back.
    """

    def __init__(self, settings: ServiceSettings, exempt: Callable[[str], bool], now: Callable[[], float]) -> None:
        self._settings = settings
        self._exempt = exempt
        self._now = now
        self._by_address: Counter[str] = Counter()
        self._silent: OrderedDict[Peer, float] = OrderedDict()
        self._stalled: OrderedDict[Peer, float] = OrderedDict()
        self.count = 0
        """Connections that there are."""
        self.refused = 0
        """Connections that were too many."""
        self.dropped = 0
        """Connections that were dropped, since they let the service wait or had to make room."""

    def admit(self, peer: Peer, host: str) -> bool:
        """Let a new connection in, unless there are too many.

        When all places are taken, the one that has been silent for longest gives way.
        """
        address = network_of(host) if ":" in host else host
        if not self._exempt(host) and self._by_address[address] >= self._settings.max_connections_per_address:
            self.refused += 1
            return False
        if self.count >= self._settings.max_connections:
            if not self._silent:
                self.refused += 1
                return False
            self._drop(self._silent)
        self.count += 1
        self._by_address[address] += 1
        self._silent[peer] = self._now()
        return True

    def left(self, peer: Peer, host: str) -> None:
        """Forget a connection that was let in and has ended."""
        address = network_of(host) if ":" in host else host
        self.count -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
        self._silent.pop(peer, None)
        self._stalled.pop(peer, None)

    def silent(self, peer: Peer) -> None:
        """Note that a request has begun, and its headers are not complete."""
        if peer not in self._silent:
            self._silent[peer] = self._now()

    def heard(self, peer: Peer) -> None:
        """Note that the headers of a request are complete."""
        self._silent.pop(peer, None)

    def stalled(self, peer: Peer) -> None:
        """Note that a peer does not read what it is sent."""
        self._stalled.setdefault(peer, self._now())

    def flowing(self, peer: Peer) -> None:
        """Note that a peer reads again."""
        self._stalled.pop(peer, None)

    def sweep(self) -> None:
        """Drop all whose time is over."""
        now = self._now()
        for waiting, patience in (
            (self._silent, self._settings.head_timeout),
            (self._stalled, self._settings.write_timeout),
        ):
            while waiting and next(iter(waiting.values())) <= now - patience:
                self._drop(waiting)

    def _drop(self, waiting: OrderedDict[Peer, float]) -> None:
        peer, _ = waiting.popitem(last=False)
        self.dropped += 1
        peer.drop()
