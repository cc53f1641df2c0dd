"""The line of actors whose mailboxes have filled while another had its turn: each has its own right behind it.

So what one actor tells another takes no turn of the event loop, as long as nothing has to be waited for. What is told
from outside of such turns, by apps or by the connection, wakes the task of the actor that it is for.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

T = TypeVar("T")

AT_ONCE: Final = 32
"""Turns that follow one at most, before the event loop has its own."""


class InLine(Protocol):
    """Has its turn in the line."""

    def take_turn(self) -> None:
        """Do all that needs no waiting."""
        ...

    def fail(self, failure: Exception) -> None:
        """Have raised in a task of its own what its turn has raised."""
        ...

    def wake(self) -> None:
        """Have the turn in a task of its own instead."""
        ...


class TurnLine:
    """All actors of a platform share one; it runs within the task of the actor whose turn it is."""

    def __init__(self) -> None:
        self._due: deque[InLine] = deque()
        self._is_open = False

    def join(self, follower: InLine) -> bool:
        """Let it have its turn behind the one that goes on just now; tell whether there is one."""
        if self._is_open:
            self._due.append(follower)
        return self._is_open

    def lead(self, turn: Callable[[], T]) -> T:
        """Run a turn, or a part of one, then the turns that came due in it.

        What fails in one of those is its own affair; what the first raises is raised here.
        """
        if self._is_open:
            return turn()
        self._is_open = True
        try:
            done = turn()
            for _ in range(AT_ONCE):
                if not self._due:
                    break
                follower = self._due.popleft()
                try:
                    follower.take_turn()
                except Exception as failure:  # noqa: BLE001  # raised in the follower's task, where it is decided what to do
                    follower.fail(failure)
        finally:
            self._is_open = False
            while self._due:
                self._due.popleft().wake()
        return done
