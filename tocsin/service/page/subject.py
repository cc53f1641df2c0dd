"""What a page is of: a push service, or what else is looked at; it promises what the page shows, and how that is called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import frozen

from tocsin.service.page.markup import Markup


@frozen
class Table:
    """A table of the page; its rows are the section ``NAME-rows``, and what stands below it may be ``NAME-note``."""

    title: str
    name: str
    columns: Sequence[str]
    caption: str = ""
    """What a screen reader is told of it; the title where it is empty."""


@frozen
class Face:
    """What does not change on a page: its words, and which sections it has."""

    kind: str
    """What the page is of, as a title."""
    teller: str
    """What tells the page what comes, as the subject of a sentence."""
    skip_words: str
    skip_to: str
    """Where the first link leads that the keyboard reaches: the id of an element, behind a ``#``."""
    now: Sequence[str]
    """The sections that stand above all others."""
    columns: Sequence[str]
    """Of the list of what came lately."""
    tables: Sequence[Table]
    note: str
    """What is said at the end."""


class Subject(Protocol):
    """What a page is of."""

    async def written(self) -> Mapping[str, Markup]:
        """Look at what there is, and write the sections that change: each is what stands in one element, by its id."""
        ...

    def sample(self, now: float) -> None:
        """Note what was counted up to a moment, in seconds on a clock that never goes back."""
        ...
