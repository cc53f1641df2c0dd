"""What is moved from one engine to another: the tables of a service, in their order, and how far that has come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgpack
from attrs import field, frozen

from tocsin.service.registry.service_store import MOVE_KEY, PORT_KEY, SERVICE_KEY


@frozen
class MovedTable:
    """A table that both engines have, with the same columns."""

    name: str
    key: tuple[str, ...]
    """The columns by which its rows are read in order; no two rows are the same in all of them."""
    left_out: tuple[str, ...] = ()
    """The keys of the rows that are not moved."""
    large: tuple[str, ...] = ()
    """The columns whose values may be long."""


TABLES: Final = (
    MovedTable("meta", ("key",), left_out=(PORT_KEY, SERVICE_KEY, MOVE_KEY)),
    MovedTable("apps", ("client_id",)),
    MovedTable("secrets", ("hash",)),
    MovedTable("channels", ("hash",)),
    MovedTable("unwanted", ("device",), large=("what",)),
    MovedTable("hubs", ("id",)),
    MovedTable("hub_keys", ("rowid",)),
    MovedTable("hub_registrations", ("sequence",), large=("uri", "tags", "template", "variables")),
    MovedTable("hub_installations", ("hub", "id"), large=("document",)),
    MovedTable("hub_messages", ("number",), large=("body", "devices", "headers")),
    MovedTable("hub_retries", ("message", "place")),
    MovedTable("stored", ("sequence",), large=("body",)),
)
"""The tables; ``hub_tags`` is none of them, since each engine makes its rows of those of ``hub_registrations``."""

MADE: Final = (MovedTable("hub_tags", ("hub", "tag", "sequence")),)
"""The tables whose rows come of themselves, so that there have to be as many."""


def kept_rows(table: MovedTable) -> str:
    """Return the condition of the rows that are moved, in the SQL of either engine."""
    keys = ", ".join(f"'{key}'" for key in table.left_out)
    return f"key NOT IN ({keys})" if keys else "TRUE"


@frozen
class MovedRows:
    """Rows of a table that go together."""

    rows: Sequence[Sequence[Any]] = field(repr=False)
    last: tuple[Any, ...] = field(repr=False)
    """The key of the last of them."""


@frozen
class Reached:
    """How far a move has come: behind the row of a table with this key; with none, at the table's beginning."""

    table: str = TABLES[0].name
    after: tuple[Any, ...] = field(default=(), repr=False)

    def to_bytes(self) -> bytes:
        """Return it as it is kept."""
        packed: bytes = msgpack.packb([self.table, list(self.after)])
        return packed

    @classmethod
    def read(cls, kept: bytes) -> Reached:
        """Return it as it was kept."""
        table, after = msgpack.unpackb(kept)
        return cls(table, tuple(after))
