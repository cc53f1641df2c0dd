"""The promise of the calling service's store: calls, push registrations, users, and a few values of its own."""

from __future__ import annotations

from typing import Final, Protocol

from attrs import frozen

from tocsin.protocol.calling.call_token import CallTokenKind
from tocsin.protocol.calling.switchboard_rows import CallRow, PushRegistration, TurnRows

PATIENCE: Final = 5.0
"""Seconds that a caller waits for the store, where it says nothing else."""


@frozen
class UserRow:
    """A user: ``raw_id`` is what calls name, ``name`` what commands do; each is one user's only."""

    raw_id: str
    name: str
    display_name: str
    kind: CallTokenKind
    created: float


@frozen
class Kept:
    """What was kept of calls: those that are open, those that have ended and are not forgotten yet, and the registrations."""

    calls: tuple[CallRow, ...] = ()
    registrations: tuple[PushRegistration, ...] = ()


class CallingStore(Protocol):
    """What the calling service needs of what outlives it.

    Each method that changes something is one transaction: all of it is done or nothing, and it is on disk when the call
    returns. What a call has written is seen by each call that begins after it has returned. Times are the service's, in
    seconds since the epoch.

    All methods raise ``StateUnavailable`` where the store cannot be read or written, or not within its patience; its
    ``in_doubt`` says whether the change may be on disk all the same.
    """

    @property
    def fault(self) -> str | None:
        """Why nothing can be written just now, as a sentence; None while all is well."""
        ...

    async def load(self) -> Kept:
        """Return the calls, the earliest first, and the registrations."""
        ...

    async def commit(self, rows: TurnRows) -> None:
        """Write what a turn has to keep, in one transaction: what is forgotten first, then each row in place of the one that is there."""
        ...

    async def meta(self, key: str) -> bytes | None:
        """Return a value of the service's own, or None."""
        ...

    async def set_meta(self, key: str, value: bytes) -> None:
        """Keep a value of the service's own, or replace it."""
        ...

    async def users(self) -> list[UserRow]:
        """Return all users, by name."""
        ...

    async def save_user(self, user: UserRow) -> None:
        """Keep a user, or replace it; another of the same name goes: it was added for a caller who was told that it had failed."""
        ...

    async def remove_user(self, raw_id: str) -> None:
        """Forget a user with its push registrations; what is kept of calls stays until it would have been forgotten."""
        ...
