"""Calls and push registrations as rows of SQLite, and their tables."""

from __future__ import annotations

from typing import Any, Final

from attrs import astuple

from tocsin.protocol.calling.call_at_service import Phase
from tocsin.protocol.calling.switchboard_rows import CallRow, Endpoint, PushRegistration, Side

TABLES: Final = (
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
    """CREATE TABLE users (
        raw_id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, display_name TEXT NOT NULL, kind TEXT NOT NULL, created REAL NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE calls (
        call TEXT PRIMARY KEY, phase TEXT NOT NULL,
        caller TEXT NOT NULL, caller_device TEXT NOT NULL, caller_name TEXT NOT NULL, caller_video INTEGER NOT NULL,
        caller_muted INTEGER NOT NULL, caller_held INTEGER NOT NULL,
        callee TEXT NOT NULL, callee_device TEXT NOT NULL, callee_name TEXT NOT NULL, callee_video INTEGER NOT NULL,
        callee_muted INTEGER NOT NULL, callee_held INTEGER NOT NULL,
        context TEXT NOT NULL, began REAL NOT NULL, rings_until REAL NOT NULL, answered REAL NOT NULL, ended REAL NOT NULL,
        code INTEGER NOT NULL, subcode INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE registrations (
        user TEXT NOT NULL, device TEXT NOT NULL, uri TEXT NOT NULL, expires REAL NOT NULL, PRIMARY KEY (user, device)
    ) WITHOUT ROWID""",
)

CALL: Final = (
    "call, phase, caller, caller_device, caller_name, caller_video, caller_muted, caller_held,"
    " callee, callee_device, callee_name, callee_video, callee_muted, callee_held,"
    " context, began, rings_until, answered, ended, code, subcode"
)
"""The columns of a call, in the order of its row."""


def call_to_row(call: CallRow) -> tuple[Any, ...]:
    """Return a call as it is kept."""
    return (
        *(call.call, call.phase.name, *astuple(call.caller), *astuple(call.callee), call.context),
        *(call.began, call.rings_until, call.answered, call.ended, call.code, call.subcode),
    )


def call_from_row(row: tuple[Any, ...]) -> CallRow:
    """Read a call."""
    call, phase, *sides = row[:14]
    return CallRow(call, Phase[phase], _side(sides[:6]), _side(sides[6:]), *row[14:])


def _side(fields: list[Any]) -> Side:
    user, device, name, *flags = fields
    return Side(user, device, name, *map(bool, flags))


def registration_to_row(registration: PushRegistration) -> tuple[Any, ...]:
    """Return a registration as it is kept."""
    endpoint = registration.endpoint
    return (endpoint.user, endpoint.device, registration.uri, registration.expires)


def registration_from_row(row: tuple[Any, ...]) -> PushRegistration:
    """Read a registration."""
    user, device, uri, expires = row
    return PushRegistration(Endpoint(user, device), uri, expires)
