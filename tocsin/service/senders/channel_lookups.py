"""The channels that requests have to look up in the store: those that are asked for together are read together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from attrs import Factory, define, frozen

from tocsin.protocol.service.refusal import Refusal
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.senders.dispatch import Dispatcher

MOST: Final = 256
"""Channels that are read together."""


@frozen(eq=False)
class ChannelLookup:
    """What a request asks for: the channel of a token, for an app, or None for a push subscription. ``found`` is called with it, or with why the app may not use it now.

    ``failed`` is called instead where that is a fault of ours, which is being handled then.
    """

    client_id: str | None
    token: str
    found: Callable[[ChannelRow | Refusal], None]
    failed: Callable[[], None]


@define(eq=False)
class ChannelLookups:
    """All of them. While channels are read, what is asked for waits, and goes together."""

    _dispatcher: Dispatcher
    _waiting: deque[ChannelLookup] = Factory(deque)
    _is_running: bool = False

    def add(self, lookup: ChannelLookup, start: Callable[[Coroutine[Any, Any, None]], None]) -> None:
        """Look a channel up.

        :param start: runs the task that does so, if none runs.
        """
        self._waiting.append(lookup)
        if not self._is_running:
            self._is_running = True
            start(self._run())

    async def _run(self) -> None:
        try:
            while self._waiting:
                lookups = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST))]
                try:
                    channels = await self._dispatcher.admit_all([(each.client_id, each.token) for each in lookups])
                except Exception:  # noqa: BLE001  # a fault of ours, which each of them logs
                    for each in lookups:
                        each.failed()
                else:
                    for each, channel in zip(lookups, channels, strict=True):
                        each.found(channel)
        finally:
            self._is_running = False
