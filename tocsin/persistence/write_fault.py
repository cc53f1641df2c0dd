"""Why a database cannot be written: from a failure until a trial succeeds, so that it ends also where nothing else is written."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from attrs import Factory, define

from tocsin.protocol.kernel.durability import RecoveryPolicy


@define(eq=False)
class WriteFault:
    """A fault of a database, and its end.

    :param trial: begins to write something that tells whether that is possible again, and is not kept.
    """

    _trial: Callable[[], asyncio.Future[Any]]
    said: str | None = None
    """Why nothing can be written just now, as a sentence; None while all is well."""
    _policy: RecoveryPolicy = Factory(RecoveryPolicy)
    _trials: int = 0
    """Of this fault, with the next one."""
    _next: asyncio.TimerHandle | None = None
    _is_over: bool = False

    def failed(self, said: str) -> None:
        """Learn that something could not be written, a trial as well."""
        if not self._is_over:
            self.said = said
            if not self._trials:
                self._wait()

    def close(self) -> None:
        """Try nothing more."""
        self._is_over = True
        if self._next is not None:
            self._next.cancel()

    def _wait(self) -> None:
        self._trials += 1
        self._next = asyncio.get_running_loop().call_later(self._policy.wait(self._trials), self._try)

    def _try(self) -> None:
        self._trial().add_done_callback(self._tried)

    def _tried(self, trial: asyncio.Future[Any]) -> None:
        if trial.exception() is None:
            self.said, self._trials = None, 0
        elif not self._is_over:
            self._wait()
