"""What all state machines share: one table that says what is legal, and a step that obeys it.

Each machine is a module of its own with its ``Phase``, its ``Event``, its ``Effect`` and its ``TABLE``: read one, and you know where
to look in all.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import TypeVar

P = TypeVar("P", bound=Enum)
E = TypeVar("E", bound=Enum)
F = TypeVar("F", bound=Enum)


class Label(Enum):
    """A phase, an event or an effect: an enumeration whose members are hashed as the objects that they are.

    A step looks its pair up in the table; hashing by name, as enumerations do, would cost more than all the rest of it.
    """

    __hash__ = object.__hash__


class IllegalEvent(Exception):
    """An event came that the table does not allow in this phase; nothing was changed.

    This is a defect of the caller, not of its user: actors decide which event it was before they step.
    """

    def __init__(self, phase: Enum, event: Enum) -> None:
        super().__init__(f"{event.name} is not legal in {type(phase).__name__}.{phase.name}")
        self.phase = phase
        self.event = event


def step(table: Mapping[tuple[P, E], tuple[P, tuple[F, ...]]], phase: P, event: E) -> tuple[P, tuple[F, ...]]:
    """Look up the next phase and the effects to perform.

    :raises IllegalEvent: the table has no such pair.
    """
    try:
        return table[phase, event]
    except KeyError:
        raise IllegalEvent(phase, event) from None
