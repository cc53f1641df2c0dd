"""The connections that the service has: how many, from where, who keeps it waiting, and what it keeps meanwhile."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from tocsin.protocol.network.addresses import client_key
from tocsin.service.operations.settings import ServiceSettings

MAX_HELD: Final = 8 * 1024 * 1024
"""Bytes that are kept of what connections have begun to send and not finished, all together, at most."""


class Peer(Protocol):
    """A connection."""

    def drop(self) -> None:
        """End the connection at once."""
        ...


class Newcomer(Peer, Protocol):
    """A connection whose request is awaited."""

    def give_way(self) -> None:
        """Say that there are too many connections, and end at once."""
        ...


class Connections:
    """Counts connections, and drops those that let the service wait, or keep too much.

    All have the same time, so those that wait stand in the order of their deadlines.

    :param exempt: tells whether an address has no limit of its own: that of a proxy.
    :param now: seconds on a clock that never goes back.
    :param turned_away: called for each connection that was too many with the reason and the address, as the limits count.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        exempt: Callable[[str], bool],
        now: Callable[[], float],
        turned_away: Callable[[str, str], None] = lambda *_: None,
    ) -> None:
        self._settings = settings
        self._exempt = exempt
        self._now = now
        self._turned_away = turned_away
        self._places: dict[Peer, str] = {}
        self._by_address: Counter[str] = Counter()
        self._silent: OrderedDict[Newcomer, float] = OrderedDict()
        self._stalled: OrderedDict[Peer, float] = OrderedDict()
        self._parting: OrderedDict[Peer, float] = OrderedDict()
        self._held: OrderedDict[Peer, int] = OrderedDict()
        self._held_in_all = 0
        self.refused = 0
        """Connections that were too many."""
        self.dropped = 0
        """Connections that were dropped, since they let the service wait or had to make room."""

    @property
    def count(self) -> int:
        """How many connections there are."""
        return len(self._places)

    def admit(self, peer: Newcomer, host: str) -> bool:
        """Let a new connection in, unless there are too many.

        When all places are taken, the one whose end has been awaited for longest gives way; where there is none, the one
        that has been silent for longest, and is told so.
        """
        address = client_key(host)
        if not self._exempt(host) and self._by_address[address] >= self._settings.max_connections_per_address:
            return self._refuse("too_many_of_address", address)
        if self.count >= self._settings.max_connections:
            if self._parting:
                self._drop(self._parting)
            elif self._silent:
                longest = next(iter(self._silent))
                self._forget(longest)
                self.dropped += 1
                longest.give_way()
            else:
                return self._refuse("too_many", address)
        self._places[peer] = address
        self._by_address[address] += 1
        self._silent[peer] = self._now()
        return True

    def _refuse(self, reason: str, address: str) -> bool:
        self.refused += 1
        self._turned_away(reason, address)
        return False

    def hand_over(self, peer: Peer, successor: Peer) -> None:
        """Give the place of a connection that has been heard to what it has become."""
        self._places[successor] = self._places.pop(peer)
        self._forget(peer)

    def left(self, peer: Peer) -> None:
        """Forget a connection that has ended; one that was not let in, or is something else now, is not known."""
        address = self._places.pop(peer, None)
        if address is None:
            return
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]
        self._forget(peer)

    def _forget(self, peer: Peer) -> None:
        self._silent.pop(peer, None)  # type: ignore[call-overload]  # others are simply not among them
        self._stalled.pop(peer, None)
        self._parting.pop(peer, None)
        self.hold(peer, 0)

    def silent(self, peer: Newcomer) -> None:
        """Note that a request has begun, and its headers are not complete."""
        if peer not in self._silent:
            self._silent[peer] = self._now()

    def heard(self, peer: Newcomer) -> None:
        """Note that the headers of a request are complete."""
        self._silent.pop(peer, None)
        if self._held:
            self.hold(peer, 0)

    def stalled(self, peer: Peer) -> None:
        """Note that a peer does not read what it is sent."""
        self._stalled.setdefault(peer, self._now())

    def flowing(self, peer: Peer) -> None:
        """Note that a peer reads again."""
        self._stalled.pop(peer, None)

    def parting(self, peer: Peer) -> None:
        """Note that a connection is to end, once its peer has read the last or has answered it; no head is awaited any more."""
        self._silent.pop(peer, None)  # type: ignore[call-overload]  # others are simply not among them
        self._parting.setdefault(peer, self._now())

    def hold(self, peer: Peer, size: int) -> None:
        """Note how many bytes are kept of what a connection has begun to send and not finished.

        When it is too much in all, the connection that has been at it for longest gives way.
        """
        self._held_in_all += size - self._held.get(peer, 0)
        if size:
            self._held[peer] = size  # in its old place, if it has one
        else:
            self._held.pop(peer, None)
        while self._held_in_all > MAX_HELD:
            self._drop(self._held)

    def sweep(self) -> None:
        """Drop the connections whose time to send, to read or to part is over."""
        now = self._now()
        for waiting, patience in (
            (self._silent, self._settings.head_timeout),
            (self._stalled, self._settings.write_timeout),
            (self._parting, self._settings.write_timeout),
        ):
            while waiting and next(iter(waiting.values())) <= now - patience:
                self._drop(waiting)

    def _drop(self, waiting: OrderedDict[Newcomer, float] | OrderedDict[Peer, float] | OrderedDict[Peer, int]) -> None:
        peer: Peer = next(iter(waiting))
        self._forget(peer)
        self.dropped += 1
        peer.drop()
