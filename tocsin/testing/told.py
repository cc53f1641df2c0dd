"""A value that a test changes, and those who are told of it, each in the event loop in which it listens."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from threading import Lock, get_ident
from typing import Generic, TypeVar

import anyio
from anyio.from_thread import BlockingPortal
from attrs import frozen

T = TypeVar("T")

PATIENCE = 10.0
"""Seconds within which an event loop has to take the news."""


@frozen(eq=False)
class _Listener:
    """One that is told, and its thread."""

    portal: BlockingPortal
    thread: int
    tell: Callable[[], None]

    def wake(self) -> None:
        """Tell it, and return when it has been told."""
        if self.thread == get_ident():
            self.tell()
        else:
            with suppress(RuntimeError, CancelledError):  # it has ended meanwhile
                self.portal.start_task_soon(self.tell).result(PATIENCE)


class Told(Generic[T]):
    """Holds the value; any thread may change it, and several platforms may listen."""

    def __init__(self, value: T) -> None:
        self._value = value
        self._lock = Lock()
        self._listeners: list[_Listener] = []

    @property
    def value(self) -> T:
        """The value as it is now."""
        return self._value

    def set(self, value: T) -> None:
        """Change the value, and return when all that listen have been told."""
        with self._lock:
            self._value = value
            listeners = list(self._listeners)
        for each in listeners:
            each.wake()

    async def listen(self, tell: Callable[[T], None]) -> None:
        """Tell the value at once, and after each change, until cancelled."""
        async with BlockingPortal() as portal:
            listener = _Listener(portal, get_ident(), lambda: tell(self._value))
            with self._lock:
                self._listeners.append(listener)
            try:
                listener.tell()
                await anyio.sleep_forever()
            finally:
                with self._lock:
                    self._listeners.remove(listener)
