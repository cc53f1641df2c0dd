"""What works within ``async with`` only, and says so where that was forgotten."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from tocsin.protocol.errors import NotEntered


class AsyncBlock:
    """The base of what is entered by ``async with``: by ``with`` or ``await`` it says how it is right.

    Type checkers do not see these methods, so they find the mistake before the program runs.
    """

    _entered_by = ""
    """The line that is right, for the sentence."""

    if not TYPE_CHECKING:

        def __enter__(self) -> Any:
            raise NotEntered(f"'with' does not enter this: write {self._entered_by}")

        def __exit__(self, *_: object) -> None:
            """Be there: ``with`` looks for both before it calls one."""

        def __await__(self) -> Generator[Any, Any, Any]:
            raise NotEntered(f"this is entered, not awaited: write {self._entered_by}")
