"""The system bus as sensors share it: one connection, and what each of them is told of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import anyio

from tocsin.bus_connection import SYSTEM, BusConnection


class BusListener(Protocol):
    """Is told of what happens on the bus; it does not wait, and it does not fail."""

    def hear(self, message: Any) -> None:
        """Take a signal."""
        ...

    def turned(self) -> None:
        """The connection was made, or has gone."""
        ...


class SystemBus:
    """One connection, made when a sensor first asks, while at least one sensor runs.

    :param address: where the bus is; None: as the environment says, else where it is by default.
    """

    def __init__(self, address: str | None = None) -> None:
        self._connection = BusConnection(SYSTEM, self._hear, self._turned, address, self._turned)
        self._listeners: list[BusListener] = []
        self._watching = anyio.Lock()
        self.tried = anyio.Event()
        """Set when it is known whether there is a bus."""

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection now."""
        return self._connection.is_connected

    @property
    def connections(self) -> int:
        """How many there have been."""
        return self._connection.connections

    @contextmanager
    def heard_by(self, listener: BusListener) -> Iterator[None]:
        """Tell a listener of what happens, until the block is left."""
        self._listeners.append(listener)
        try:
            yield
        finally:
            self._listeners.remove(listener)

    async def watch(self) -> None:
        """See connections end, until cancelled; one of those who call this does so for all."""
        async with self._watching:
            await self._connection.run()

    async def connect(self) -> None:
        """Make a connection, where there is none.

        :raises BusLost: there is no bus, or dbus-fast is not installed.
        """
        try:
            await self._connection.connect()
        finally:
            self.tried.set()

    async def match(self, rule: str) -> None:
        """Hear the signals of a rule from now on; errors as for :meth:`call`."""
        await self._connection.match(rule)

    async def unmatch(self, rule: str) -> None:
        """Hear the signals of a rule no more; errors as for :meth:`call`."""
        await self._connection.unmatch(rule)

    async def call(  # noqa: PLR0913, PLR0917  # a call of D-Bus has these
        self, destination: str, interface: str, path: str, member: str, signature: str = "", body: Sequence[Any] = ()
    ) -> Any:
        """Call a method, and return the answer.

        :raises BusLost: there is no bus, or no answer in time.
        :raises BusCallRefused: the answer is an error.
        """
        return await self._connection.call(destination, interface, path, member, signature, body)

    def _hear(self, message: Any) -> None:
        for each in self._listeners:
            each.hear(message)

    def _turned(self) -> None:
        for each in self._listeners:
            each.turned()
