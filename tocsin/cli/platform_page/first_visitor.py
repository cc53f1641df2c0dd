"""Who may see the page that ``tocsin open`` serves: programs of its own user on this machine that were given its address."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Final

import anyio
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from tocsin.protocol.network.single_use import SingleUse
from tocsin.service.operations.visitors import is_from_here
from tocsin.service.page.access import PageRight
from tocsin.service.page.peer_user import is_of_another_user

LASTS: Final = 60.0
"""Seconds in which the address has to be opened."""

_AGAIN: Final = "The address of this page is good once, and for a minute: run 'tocsin open' again.\n"


class FirstVisitor:
    """Lets in who opens the address first, and knows that one by a cookie from then on.

    :param port: where the page is; it is in the cookie's name, since browsers send cookies to all ports of a host.
    :param now: seconds on a clock that never goes back.
    """

    def __init__(self, port: int, now: Callable[[], float]) -> None:
        self.key = secrets.token_urlsafe(32)
        """What the path of the address ends with."""
        self.entered = anyio.Event()
        """Set once the address was opened."""
        self._cookie = f"tocsin_open_{port}"
        self._now = now
        self._first = SingleUse(self.key, now() + LASTS)
        self._session: bytes | None = None  # the hash of the cookie's value

    def judge(self, request: HTTPConnection) -> PageRight:
        """Judge who has sent a request."""
        if not is_from_here(request, lambda _: False) or is_of_another_user(request.scope):
            return PageRight.HIDDEN
        return PageRight.SEES if self.has_session(request) else PageRight.ASKED

    def has_session(self, request: HTTPConnection) -> bool:
        """Tell whether a request is from who was let in."""
        given = _hash(request.cookies.get(self._cookie, ""))
        return self._session is not None and hmac.compare_digest(given, self._session)

    async def enter(self, request: Request) -> Response:
        """Let in who gives the key, and lead to the page."""
        if request.method == "GET" and self._first.opens(request.path_params["key"], self._now()):
            session = secrets.token_urlsafe(32)
            self._session = _hash(session)
            self.entered.set()
            answer = RedirectResponse("/", 303)
            answer.set_cookie(self._cookie, session, httponly=True, samesite="strict")
            return answer
        return RedirectResponse("/", 303) if self.has_session(request) else self.ask()

    @staticmethod
    def ask() -> Response:
        """Say how to be let in."""
        return PlainTextResponse(_AGAIN, 403)


def _hash(session: str) -> bytes:
    return hashlib.sha256(session.encode("utf-8", "replace")).digest()
