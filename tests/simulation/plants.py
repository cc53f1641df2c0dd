"""Bugs that are planted to see that the world finds them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from unittest.mock import patch

from tests.simulation.store import WatchedStore
from tocsin.actors.background_sessions import BackgroundSessions
from tocsin.agent.launcher import Launcher
from tocsin.protocol.delivery.payload_life import Event, Phase, Tracked
from tocsin.protocol.messages import PayloadRow
from tocsin.protocol.platform.launches import Effect

Patches = Callable[[ExitStack], None]


def _same_attempt_after_a_crash(stack: ExitStack) -> None:
    crashed: set[int] = set()
    stores = list[WatchedStore]()
    died, fetch = BackgroundSessions.died, WatchedStore.fetch

    def note(self: BackgroundSessions, tracked: Tracked, *, is_head: bool) -> Event:
        crashed.add(tracked.sequence)
        return died(self, tracked, is_head=is_head)

    async def forget_to_raise(
        self: WatchedStore, channel: str, after: int, limit: int, types: frozenset[str] | None = None
    ) -> list[PayloadRow]:
        if stores != [self]:  # another run
            crashed.clear()
            stores[:] = [self]
        page = await fetch(self, channel, after, limit, types)
        same = [row._replace(attempt=row.attempt - 1) if row.sequence in crashed else row for row in page]
        self._open |= {row.sequence: row for row in same}
        crashed.difference_update(row.sequence for row in page)
        return same

    stack.enter_context(patch.object(BackgroundSessions, "died", note))
    stack.enter_context(patch.object(WatchedStore, "fetch", forget_to_raise))


def _settle_for_a_session_that_is_gone(stack: ExitStack) -> None:
    def settle(self: BackgroundSessions, tracked: Tracked, *, is_head: bool) -> Event:  # noqa: ARG001
        return Event.COMPLETED if tracked.phase is Phase.ACTIVATED else Event.HANDLED

    stack.enter_context(patch.object(BackgroundSessions, "died", settle))


def _keep_a_launch_slot(stack: ExitStack) -> None:
    init = Launcher.__init__

    def keeping(self: Launcher, *arguments: object, **keywords: object) -> None:
        init(self, *arguments, **keywords)  # type: ignore[arg-type]  # as they came
        self._perform[Effect.FREE_PLACE] = lambda _: None

    stack.enter_context(patch.object(Launcher, "__init__", keeping))


PLANTS: Mapping[str, Patches] = {
    "same attempt after a crash": _same_attempt_after_a_crash,
    "settle for a session that is gone": _settle_for_a_session_that_is_gone,
    "keep a launch slot": _keep_a_launch_slot,
}
"""By what the code does wrong."""


@contextmanager
def planted(name: str) -> Iterator[None]:
    """Let the code do that while the block runs."""
    with ExitStack() as stack:
        PLANTS[name](stack)
        yield
