"""Whether actors go on: one that had work at two looks, and has ended no turn between them, stands still."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import Factory, define, frozen


@frozen
class Progress:
    """How far an actor has come."""

    turns: int
    """Batches that it has ended since its start."""
    has_work: bool
    """Whether it is within a batch, or has frames waiting."""


@define
class Liveness:
    """Compares each look at the actors with the one before."""

    _before: dict[str, Progress] = Factory(dict)

    def look(self, actors: Mapping[str, Progress]) -> list[str]:
        """Return the names of those that stand still; none at the first look."""
        still = [name for name, now in actors.items() if now.has_work and self._before.get(name) == now]
        self._before = dict(actors)
        return still
