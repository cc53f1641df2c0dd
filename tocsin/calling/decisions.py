"""Those who wait until something about a call is decided: that it was accepted or declined here, that it began, or that it is over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import anyio
from attrs import define, field

from tocsin.calling.open_questions import ASK_TIMEOUT
from tocsin.protocol.errors import PushError, TimedOut

LATE: Final = f"the calling service did not answer within {ASK_TIMEOUT:g} s"


@define(eq=False)
class Decision:
    """What one task waits for."""

    is_answered: bool = False
    """Whether the service has answered what was asked for it."""
    refusal: PushError | None = None
    _made: anyio.Event = field(factory=anyio.Event)

    def make(self) -> None:
        """Let the task go on."""
        self._made.set()

    async def wait(self) -> None:
        """Wait until it is made.

        :raises PushError: the service would not do what it was asked, for the reason that it gave.
        :raises TimedOut: it was not made within ``ASK_TIMEOUT``.
        """
        try:
            with anyio.fail_after(ASK_TIMEOUT):
                await self._made.wait()
        except TimeoutError:
            raise TimedOut(LATE) from None
        if self.refusal is not None:
            raise self.refusal


class Decisions:
    """The decisions that are waited for, one a call."""

    def __init__(self) -> None:
        self._open: dict[str, Decision] = {}

    def __contains__(self, call: str) -> bool:
        return call in self._open

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._open))

    @contextmanager
    def about(self, call: str) -> Iterator[Decision]:
        """Have a decision about a call while the block runs."""
        decision = self._open[call] = Decision()
        try:
            yield decision
        finally:
            del self._open[call]

    def make(self, call: str) -> None:
        """Let the task go on that waits for a decision about a call, if one does."""
        if (decision := self._open.get(call)) is not None:
            decision.make()

    def answer(self, call: str, refusal: PushError | None) -> None:
        """Note that the service has answered what was asked about a call; with a refusal, that is the decision."""
        if (decision := self._open.get(call)) is not None:
            decision.is_answered, decision.refusal = True, refusal
            if refusal is not None:
                decision.make()
