"""What is told beside the actors of the work that they see to, for those that wait for its end."""

from __future__ import annotations

import anyio


class WorkRecord:
    """Which session does the background work of each app, and which payloads are being cancelled, as the supervisor says it."""

    def __init__(self) -> None:
        self.running: dict[str, str] = {}
        """The session that does the work of an app just now."""
        self._stopping: dict[int, str] = {}
        self._orders = 0
        self._obeyed = 0
        self._forgotten: set[tuple[str, str]] = set()
        self._waiting: list[anyio.Event] = []

    def begin(self, app: str, session: str) -> None:
        """Note that a session does background work of an app."""
        self.running[app] = session
        self._wake()

    def end(self, app: str) -> None:
        """Note that it has ended."""
        if self.running.pop(app, None) is not None:
            self._wake()

    def stop(self, sequence: int, app: str) -> None:
        """Note that an app was told to stop its work on a payload."""
        self._stopping[sequence] = app

    def stopped(self, sequence: int) -> None:
        """Note that a payload has come to its end."""
        if self._stopping.pop(sequence, None) is not None:
            self._wake()

    def clear(self) -> None:
        """Forget what runs: the supervisor begins anew."""
        self.running.clear()
        self._stopping.clear()
        self._wake()

    def order(self) -> int:
        """Return a number for an order to the supervisor."""
        self._orders += 1
        return self._orders

    def obey(self, number: int) -> None:
        """Note that an order was taken: what it is about has begun to stop."""
        self._obeyed = max(self._obeyed, number)
        self._wake()

    async def has_stopped(self, number: int, app: str) -> None:
        """Wait until an order was taken, and no work is being stopped any more, of an app, or of all where that is empty."""
        while self._obeyed < number or (app in self._stopping.values() if app else self._stopping):
            await self.changed()

    def look_again(self) -> None:
        """Let those look again that wait: what they wait for beside this has changed."""
        self._wake()

    def forget(self, actor: str, app: str) -> None:
        """Note that an actor has forgotten an app, in the store as well."""
        self._forgotten.add((actor, app))
        self._wake()

    async def is_forgotten(self, app: str, actors: frozenset[str]) -> None:
        """Wait until these actors have forgotten an app."""
        wanted = {(actor, app) for actor in actors}
        while not wanted <= self._forgotten:
            await self.changed()
        self._forgotten -= wanted

    async def changed(self) -> None:
        """Wait until anything of it changes."""
        event = anyio.Event()
        self._waiting.append(event)
        await event.wait()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for event in waiting:
            event.set()
