"""The users of a calling service, and their tokens: JSON web tokens that only this service signs (RFC 7519)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import uuid4

import jwt
from anyio import Lock
from attrs import frozen

from tocsin.calling_service.calling_store import CallingStore, UserRow
from tocsin.protocol.arguments import check_app_name, check_kind, check_within
from tocsin.protocol.calling.call_token import MAX_CALL_TOKEN, CallTokenKind
from tocsin.protocol.errors import IllegalCall, InvalidArgument, NotFound
from tocsin.protocol.messages.calling import MAX_CALL_NAME
from tocsin.protocol.text import quoted

MAX_USERS: Final = 10_000
"""Users of a service at most, where it says nothing else."""

SHORTEST_LIFE: Final = 3_600
"""Seconds that a token is good for at least."""

LONGEST_LIFE: Final = 24 * 3_600
"""Seconds that a token is good for at most, and where nothing else is said."""

_ALGORITHM: Final = "HS256"
_KEY_BYTES: Final = 32
_KEY: Final = "token_key"
_RESOURCE: Final = "resource"


@frozen
class VerifiedToken:
    """Whose token it is, and until when it is good, in seconds since the epoch."""

    user: UserRow
    expires: float


class Users:
    """All users, held in memory and kept in the store; made by :meth:`load`."""

    def __init__(  # what was loaded
        self, store: CallingStore, key: bytes, resource: str, now: Callable[[], float], most: int
    ) -> None:
        self._store = store
        self._key = key
        self._now = now
        self._most = most
        self._by_id: dict[str, UserRow] = {}
        self._by_name: dict[str, UserRow] = {}
        self._changing = Lock()
        self.resource = resource
        """What the raw ids of this service's users have in common: a GUID."""
        self.end_all_of: Callable[[UserRow], Awaitable[None]] = _nothing_to_end
        """Called where a user is removed, when the tokens are good for nothing: connections, registrations and calls are to end."""

    @classmethod
    async def load(cls, store: CallingStore, now: Callable[[], float], most: int = MAX_USERS) -> Users:
        """Read what the store holds; at the first start, make the key that tokens are signed with, and the id of the service.

        :param now: the service's time, in seconds since the epoch.
        :param most: users at most; those that are there already stay.
        :raises StateUnavailable: the store cannot be used.
        """
        key = await _kept(store, _KEY, lambda: secrets.token_bytes(_KEY_BYTES))
        resource = await _kept(store, _RESOURCE, lambda: str(uuid4()).encode())
        users = cls(store, key, resource.decode(), now, most)
        for user in await store.users():
            users._hold(user)
        return users

    async def add(self, name: str, display_name: str = "", kind: CallTokenKind | str = CallTokenKind.ACS) -> UserRow:
        """Add a user, whose raw id is made here.

        :param name: what commands call the user: 1 to 128 printable characters.
        :param display_name: what others see where an agent says nothing else, up to 256 printable characters; by default the name.
        :param kind: ``acs``, or ``teams`` for a raw id such as those of Microsoft Teams.
        :raises InvalidArgument: an argument cannot be right.
        :raises IllegalCall: there is a user of that name, or there are as many as there may be.
        :raises StateUnavailable: it could not be stored.
        """
        check_app_name(name, "a user's name")
        _check_display_name(display_name)
        user = UserRow(self._new_id(read_kind(kind)), name, display_name or name, read_kind(kind), self._now())
        async with self._changing:
            if name in self._by_name:
                raise IllegalCall(f"there is a user {quoted(name)} already")
            if len(self._by_id) >= self._most:
                raise IllegalCall(
                    f"there are {self._most} users already, and no more may be added: remove one, or raise the limit"
                )
            await self._store.save_user(user)
            self._hold(user)
        return user

    async def remove(self, name: str) -> UserRow:
        """Forget a user; the user's tokens are good for nothing from now on, and all else of the user ends.

        :raises NotFound: there is no user of that name.
        :raises StateUnavailable: it could not be stored; the user is still there, and may be removed again.
        """
        async with self._changing:
            user = self._known(name)
            self._let_go(user)  # at first: what ends must not begin anew by a connection that comes meanwhile
            try:
                await self.end_all_of(user)
                await self._store.remove_user(user.raw_id)
            except BaseException:
                self._hold(user)
                raise
        return user

    def users(self) -> list[UserRow]:
        """Return all users, by name."""
        return sorted(self._by_id.values(), key=lambda user: user.name)

    def named(self, name: str) -> UserRow | None:
        """Return the user that commands call so, or None."""
        return self._by_name.get(name)

    async def named_or_added(self, name: str) -> UserRow:
        """Return the user that commands call so, added under that name where there is none; errors as of :meth:`add`."""
        try:
            return self.named(name) or await self.add(name)
        except IllegalCall:
            user = self.named(name)
            if user is None:
                raise
            return user  # it was added meanwhile

    def with_id(self, raw_id: str) -> UserRow | None:
        """Return the user with that raw id, or None."""
        return self._by_id.get(raw_id)

    def issue_token(self, name: str, lifetime: int = LONGEST_LIFE) -> tuple[str, float]:
        """Sign a token for a user, and return it with the time until which it is good; it is kept nowhere.

        :param lifetime: seconds, from 3,600 to 86,400.
        :raises NotFound: there is no user of that name.
        :raises InvalidArgument: the lifetime is outside its limits.
        """
        user = self._known(name)
        check_within(lifetime, "a token's lifetime in seconds", SHORTEST_LIFE, LONGEST_LIFE)
        now = int(self._now())
        expires = now + lifetime
        claims = {"sub": user.raw_id, "kind": user.kind.value, "iat": now, "exp": expires, "jti": uuid4().hex}
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM), float(expires)

    def verify(self, token: str) -> VerifiedToken:
        """Return whose token it is, and until when it is good.

        :raises InvalidArgument: it is none of this service's, has expired, or its user was removed. The sentence says
            which, and does not show it.
        """
        check_kind(token, "a token", str)
        claims = self._decode(token)
        expires = float(claims["exp"])
        if expires <= self._now():
            raise InvalidArgument("the token has expired: have another issued")
        user = self.with_id(claims["sub"])
        if user is None:
            raise InvalidArgument("the user of the token was removed: add the user again, and have another issued")
        return VerifiedToken(user, expires)

    def _decode(self, token: str) -> dict[str, Any]:
        """Return what this service has signed."""
        try:
            if len(token) > MAX_CALL_TOKEN:
                raise jwt.InvalidTokenError  # noqa: TRY301  # it is said once what is wrong
            claims: dict[str, Any] = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                # Time is compared by us, on our clock.
                options={"require": ["sub", "exp"], "verify_exp": False, "verify_iat": False, "verify_nbf": False},
            )
        except (jwt.InvalidTokenError, UnicodeEncodeError):
            raise InvalidArgument(
                "the token is none that this calling service has signed: have one issued by it for its user"
            ) from None
        return claims

    def _known(self, name: str) -> UserRow:
        user = self.named(name)
        if user is None:
            raise NotFound(f"there is no user {quoted(name)}")
        return user

    def _new_id(self, kind: CallTokenKind) -> str:
        return f"8:orgid:{uuid4()}" if kind is CallTokenKind.TEAMS else f"8:acs:{self.resource}_{uuid4()}"

    def _hold(self, user: UserRow) -> None:
        self._by_id[user.raw_id] = user
        self._by_name[user.name] = user

    def _let_go(self, user: UserRow) -> None:
        del self._by_id[user.raw_id], self._by_name[user.name]


async def _nothing_to_end(_: UserRow) -> None:
    """Stand in where nothing of users is open."""


def read_kind(kind: str) -> CallTokenKind:
    """Return the kind of a user by its word.

    :raises InvalidArgument: it is none.
    """
    try:
        return CallTokenKind(kind)
    except ValueError:
        raise InvalidArgument(f"a user's kind is {' or '.join(CallTokenKind)}, not {quoted(kind)}") from None


def _check_display_name(name: str) -> None:
    check_kind(name, "a display name", str)
    if len(name) > MAX_CALL_NAME or not name.isprintable():
        raise InvalidArgument(f"a display name has up to {MAX_CALL_NAME} printable characters, not {quoted(name)}")


async def _kept(store: CallingStore, key: str, make: Callable[[], bytes]) -> bytes:
    """Return a value of the store's, which is made the first time."""
    value = await store.meta(key)
    if value is None:
        value = make()
        await store.set_meta(key, value)
    return value
