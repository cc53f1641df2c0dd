"""What is kept of the messages of notification hubs, in the service's SQLite database."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from tocsin.persistence.database import Database
from tocsin.persistence.sqlite_connection import Statement
from tocsin.protocol.hub.message_life import Phase
from tocsin.service.registry.hub_rows import message_from_row, tally_to_text
from tocsin.service.registry.hub_store import DeadTarget, MessageRow, Retry
from tocsin.service.registry.sqlite_ended_channels import end_channels

_MESSAGE: Final = (
    "number, id, hub, phase, format, tags, headers, body, accepted, devices, due, began, ended, place, until, tally"
)
# The place and the tally of one that was ended meanwhile by a removal of its hub have no row, and are lost with it.
_SAVE_MESSAGE: Final = """UPDATE hub_messages SET phase = ?1, began = ?2, ended = ?3, place = ?4, until = ?5, tally = ?6
    WHERE id = ?7 AND ended IS NULL AND NOT (?1 = 'CANCELLED' AND phase = 'PROCESSING')"""


class SqliteHubMessages:
    """Keeps what :class:`tocsin.service.registry.hub_store.HubStore` promises of messages: where each stands, and what is tried again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_message(self, message: MessageRow) -> None:
        """Keep a message that was accepted."""
        row = (
            *(message.number, message.id, message.hub, message.phase.name, message.format, message.tags),
            json.dumps(message.headers),
            *(message.body, message.accepted, json.dumps(message.devices), message.due, message.began, message.ended),
            *(message.place, message.until, tally_to_text(message.tally)),
        )
        marks = ", ".join("?" * len(row))
        await self._write((f"INSERT INTO hub_messages ({_MESSAGE}) VALUES ({marks})", [row]))

    async def message(self, hub: int, id: str) -> MessageRow | None:  # noqa: A002 - the field's name
        """Return a message, or None."""
        rows = await self._messages("hub = ? AND id = ?", hub, id)
        return rows[0] if rows else None

    async def count_scheduled(self, hub: int, limit: int) -> int:
        """Count the messages of a hub that are scheduled, ``limit`` at most."""
        sql = "SELECT count(*) FROM (SELECT 1 FROM hub_messages WHERE hub = ? AND phase = 'SCHEDULED' LIMIT ?)"
        return int((await self._read(sql, (hub, limit)))[0][0])

    async def message_of_any(self, id: str) -> MessageRow | None:  # noqa: A002 - the field's name
        """Return a message of whatever hub, or None."""
        rows = await self._messages("id = ?", id)
        return rows[0] if rows else None

    async def last_number(self) -> int:
        """Return the highest number of a message, or 0."""
        return int((await self._read("SELECT coalesce(max(number), 0) FROM hub_messages"))[0][0])

    async def open_messages(self, phase: Phase, after: int, limit: int) -> list[MessageRow]:
        """Return messages of a phase that have not ended, behind that number, the oldest first."""
        where = "phase = ? AND ended IS NULL AND number > ? ORDER BY number LIMIT ?"
        return await self._messages(where, phase.name, after, limit)

    async def due_messages(self, now: float, limit: int) -> list[MessageRow]:
        """Return messages that are scheduled for now or before, the first due first."""
        return await self._messages("phase = 'SCHEDULED' AND due <= ? ORDER BY due LIMIT ?", now, limit)

    async def save_progress(
        self, message: MessageRow, retries: Sequence[Retry], done: Sequence[int], dead: Sequence[DeadTarget]
    ) -> None:
        """Keep where a message stands, what of it is to be tried again, and forget what leads nowhere."""
        gone = [(each.sequence, each.channel) for each in dead]
        await self._write(
            _saving(message),
            ("DELETE FROM hub_retries WHERE message = ? AND place = ?", [(message.id, place) for place in done]),
            (
                # A place is tried twice where the service was killed in between, and has its first retry already.
                "INSERT OR REPLACE INTO hub_retries SELECT ?, ?, ?, ? WHERE EXISTS (SELECT 1 FROM hub_messages WHERE id = ? AND ended IS NULL)",
                [(each.message, each.place, each.attempts, each.due, each.message) for each in retries],
            ),
            *end_channels("d.channel = ?", [each.channel for each in dead if each.installation]),
            ("DELETE FROM hub_registrations WHERE sequence = ? AND channel = ?", gone),
        )

    async def due_retries(self, now: float, limit: int) -> list[Retry]:
        """Return what is to be tried again now, the first due first."""
        sql = "SELECT message, place, attempts, due FROM hub_retries WHERE due <= ? ORDER BY due LIMIT ?"
        return [Retry(*row) for row in await self._read(sql, (now, limit))]

    async def has_retries(self, message: str, besides: Sequence[int] = ()) -> bool:
        """Tell whether something of a message is to be tried again, at other places than these."""
        sql = "SELECT 1 FROM hub_retries WHERE message = ? AND place NOT IN (SELECT value FROM json_each(?)) LIMIT 1"
        return bool(await self._read(sql, (message, json.dumps(list(besides)))))

    async def next_scheduled(self) -> float | None:
        """Return when the next message is due that is scheduled, or None."""
        due: float | None = (await self._read("SELECT min(due) FROM hub_messages WHERE phase = 'SCHEDULED'"))[0][0]
        return due

    async def next_retry(self) -> float | None:
        """Return when the next target is due that is to be tried again, or None."""
        due: float | None = (await self._read("SELECT min(due) FROM hub_retries"))[0][0]
        return due

    async def _read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return await self._database.read(sql, parameters)

    async def _write(self, *statements: Statement) -> None:
        await self._database.write(*(each for each in statements if each[1]))

    async def _messages(self, where: str, *parameters: Any) -> list[MessageRow]:
        rows = await self._read(f"SELECT {_MESSAGE} FROM hub_messages WHERE {where}", parameters)
        return [message_from_row(row) for row in rows]


def _saving(message: MessageRow) -> Statement:
    return (
        _SAVE_MESSAGE,
        [
            (
                *(message.phase.name, message.began, message.ended, message.place, message.until),
                *(tally_to_text(message.tally), message.id),
            )
        ],
    )
