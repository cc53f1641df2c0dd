"""The promise of a database to its one writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from tocsin.protocol.kernel.durability import Event

Ended = Callable[[Any, BaseException | None], object]
"""Gets what a job has returned, or else what it has raised."""


class Medium(Protocol):
    """The database as its writer sees it; each job calls back in the writer's event loop when it has ended."""

    @property
    def name(self) -> object:
        """What the database is called in a sentence."""
        ...

    def transact(self, statements: list[Any], number: int, ended: Ended) -> None:
        """Run statements as one transaction, which sets the commit counter to its number."""
        ...

    def ask(self, ended: Ended) -> None:
        """Open the database anew, and return the number of the last transaction that it holds for good."""
        ...

    def judge(self, failure: BaseException) -> tuple[Event, str]:
        """Tell which event the failure of a job is, and say in a sentence what is wrong."""
        ...

    def settled(self) -> None:
        """Hear that a transaction is there, and its writers know."""
        ...
