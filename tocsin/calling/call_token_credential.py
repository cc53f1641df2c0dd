"""The token by which an agent signs in, and where the next one comes from."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

TokenRefresher = Callable[[], Awaitable[str]]
"""Gets another token of the same user, as from the app's own server."""


class CallTokenCredential:
    """A user's token, such as ``tocsin calling token`` prints, and what gets another one before it expires.

    The token is shown nowhere. One credential may be used by several clients.

    :param token: the first one; ``""`` with a refresher, which is then asked at once.
    :param refresher: an async function without arguments that returns a token.
    :param refresh_proactively: whether it is asked a while before the token expires (when 4 minutes are left, or a tenth of its
        life), and not only when a token is needed.
    :raises InvalidArgument: the token is none, or the refresher cannot be called.
    """

    def __init__(self, token: str, refresher: TokenRefresher | None = None, *, refresh_proactively: bool = True) -> None:
        raise NotImplementedError
