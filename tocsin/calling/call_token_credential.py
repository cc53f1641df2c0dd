"""The token by which an agent signs in, and where the next one comes from."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
from attrs import field, frozen

from tocsin.api.callbacks import call, contain, is_awaitable
from tocsin.protocol.arguments import check_callable, check_kind
from tocsin.protocol.calling.call_token import CallTokenClaims, read_call_token
from tocsin.protocol.calling.raw_id import CommunicationIdentifier
from tocsin.protocol.errors import InvalidArgument, PlatformUnavailable
from tocsin.protocol.text import describe_error

TokenRefresher = Callable[[], Awaitable[str]]
"""Gets another token of the same user, as from the app's own server."""

REFRESH_TIMEOUT: Final = 60.0
"""Seconds that a refresher may take."""

_WHAT: Final = "the refresher of a call token"


class CallTokenCredential:
    """A user's token, such as ``tocsin calling token`` prints, and what gets another one before it expires.

    The token is shown nowhere. One credential may be used by several clients.

    :param token: the first one; ``""`` with a refresher, which is then asked at once.
    :param refresher: an async function without arguments that returns a token.
    :param refresh_proactively: whether it is asked a while before the token expires (10 minutes, or half of the time that
        is left where that is later), and not only when a token is needed.
    :raises InvalidArgument: the token is none, or the refresher cannot be called.
    """

    def __init__(
        self, token: str, refresher: TokenRefresher | None = None, *, refresh_proactively: bool = True
    ) -> None:
        check_kind(token, "a call token", str)
        check_kind(refresh_proactively, "refresh_proactively", bool)
        if refresher is not None:
            check_callable(refresher, _WHAT)
        if not token and refresher is None:
            raise InvalidArgument("a call token must not be empty where there is no refresher to get one")
        self._claims = read_call_token(token) if token else None
        self._token = token.strip()  # as it is read; a service takes a signature without what is around it
        self._refresher = refresher
        self._lock = anyio.Lock()
        self._now: Callable[[], float] = time.time
        self.refresh_proactively = refresh_proactively and refresher is not None
        """Whether another token is got before this one expires."""

    def __repr__(self) -> str:
        """Show whose token it is, and nothing of it."""
        return f"CallTokenCredential({self._claims.user.raw_id if self._claims else 'no token yet'!r})"

    @property
    def has_refresher(self) -> bool:
        """Whether another token can be got; not for apps."""
        return self._refresher is not None

    def seconds_left(self, claims: CallTokenClaims) -> float:
        """Return how long a token is good by the clock of this machine; not for apps."""
        return claims.expires - self._now()

    async def sign_in(self) -> tuple[str, CallTokenClaims]:
        """Return a token that has not expired by the clock of this machine, and what it says; not for apps.

        The refresher is asked if need be.

        :raises InvalidArgument: it has expired and there is no refresher, or the refresher returns what is no such token.
        :raises PlatformUnavailable: the refresher has failed.
        """
        async with self._lock:
            if self._claims is not None and self._claims.expires > self._now():
                return self._token, self._claims
            if self._refresher is None:
                raise InvalidArgument("the call token has expired, and there is no refresher: give another one")
            return await self._refresh(self._refresher)

    async def refresh(self, instead_of: str) -> tuple[str, CallTokenClaims]:
        """Return another token than that one, and what it says; not for apps; errors as of :meth:`sign_in`."""
        async with self._lock:
            if self._claims is not None and self._token != instead_of and self._claims.expires > self._now():
                return self._token, self._claims  # another client has got it meanwhile
            if self._refresher is None:
                raise InvalidArgument("the call token is not good, and there is no refresher: give another one")
            return await self._refresh(self._refresher)

    async def _refresh(self, refresher: TokenRefresher) -> tuple[str, CallTokenClaims]:
        token = await _asked(refresher)
        if not isinstance(token, str):
            raise InvalidArgument(f"{_WHAT} must return text, not {type(token).__name__}")
        claims = read_call_token(token)
        if claims.expires <= self._now():
            raise InvalidArgument(f"{_WHAT} has returned one that has expired")
        if self._claims is not None and claims.user != self._claims.user:
            raise InvalidArgument(
                f"{_WHAT} has returned one of {claims.user.raw_id}, and must return one of {self._claims.user.raw_id}"
            )
        self._token, self._claims = token.strip(), claims
        return self._token, claims


async def _asked(refresher: TokenRefresher) -> Any:
    """Return what the app's refresher returns; it runs in a task of its own, and whatever it does to that ends with it.

    :raises PlatformUnavailable: it has failed.
    """
    returned: list[Any] = []
    failure = "it was cancelled by the app"

    async def ask() -> None:
        nonlocal failure
        try:
            with anyio.fail_after(REFRESH_TIMEOUT):
                token: Any = refresher()
                returned.append(await token if is_awaitable(token) else token)
        except TimeoutError:
            failure = f"it has not returned within {REFRESH_TIMEOUT:g} s"
        except Exception as error:  # noqa: BLE001  # it is the app's, and raises whatever it likes
            failure = describe_error(error)

    await contain(_WHAT, call, _WHAT, ask)
    if not returned:
        raise PlatformUnavailable(f"{_WHAT} has failed: {failure}")
    return returned[0]


@frozen
class SignIn:
    """What an agent begins with: a credential, its token of then, and whose that is."""

    credential: CallTokenCredential
    token: str = field(repr=False)
    user: CommunicationIdentifier
