"""Who may see the page: programs of the service's own user on this machine or, where there is a token, who has it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from enum import Enum, auto, unique
from typing import Final

from starlette.requests import HTTPConnection

from tocsin.service.operations.limits import Limits
from tocsin.service.operations.visitors import is_from_here
from tocsin.service.page.peer_user import is_of_another_user

_COOKIE: Final = "tocsin_page"

MAX_SESSIONS: Final = 64
"""Sessions at a time; the oldest one ends when there are more."""

_CLIENT: Final = "the page"  # whom wrong tokens are counted for


@unique
class PageRight(Enum):
    """What the page is to a visitor."""

    SEES = auto()
    ASKED = auto()
    """It is shown once the token is given."""
    HIDDEN = auto()
    """There is none."""


def cookie_name(request: HTTPConnection) -> str:
    """Return the name of the cookie of a session.

    Browsers send the cookies of a host to all its ports: services there would end one another's sessions if it had no
    port in it. It is the one that the browser asks for, which a container's own need not be.
    """
    port = request.headers.get("host", "").rpartition(":")[2]
    return f"{_COOKIE}_{port}" if port.isascii() and port.isdecimal() else _COOKIE


def right(*, has_token: bool, is_proven: bool, is_ours: bool) -> PageRight:
    """Judge a visitor.

    :param has_token: whether the page has a token.
    :param is_proven: whether the visitor has it, or has given it before.
    :param is_ours: whether the visitor is a program of the service's own user on this machine.
    """
    if has_token:
        return PageRight.SEES if is_proven else PageRight.ASKED
    return PageRight.SEES if is_ours else PageRight.HIDDEN


class Access:
    """Judges visitors, and has the sessions of those who gave the token; they end with the service.

    :param token: the page's token; empty where it has none.
    """

    def __init__(self, token: str, limits: Limits) -> None:
        self._token = token.encode()
        self._limits = limits
        self._sessions: dict[bytes, None] = {}  # the hashes of their ids, the oldest first

    def judge(self, request: HTTPConnection) -> PageRight:
        """Judge who has sent a request."""
        if self._token:
            return right(has_token=True, is_proven=self._is_proven(request), is_ours=False)
        is_ours = is_from_here(request, self._limits.is_proxy) and not is_of_another_user(request.scope)
        return right(has_token=False, is_proven=False, is_ours=is_ours)

    def still_sees(self, request: HTTPConnection) -> bool:
        """Tell whether who was shown the page may go on seeing it: a session may have ended, whose program it is stays so."""
        return not self._token or self._is_proven(request)

    def has_session(self, request: HTTPConnection) -> bool:
        """Tell whether a request is of a session, which can be ended."""
        return self._session(request) in self._sessions

    def log_in(self, request: HTTPConnection, token: str) -> str | float:
        """Begin a session and return its id; where the token is wrong, return the seconds until it may be tried again, or 0."""
        wait = self._limits.secret(request.scope, _CLIENT)
        if wait:
            return wait
        if not self._token or not hmac.compare_digest(token.encode("utf-8", "replace"), self._token):
            self._limits.wrong_secret(request.scope, _CLIENT)
            return 0.0
        session = secrets.token_urlsafe(32)
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        self._sessions[_hash(session)] = None
        return session

    def log_out(self, request: HTTPConnection) -> None:
        """End the session of a request, if it is of one."""
        self._sessions.pop(self._session(request), None)

    def _is_proven(self, request: HTTPConnection) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return self.has_session(request)
        if self._limits.secret(request.scope, _CLIENT):
            return False
        if hmac.compare_digest(given.encode("latin-1", "replace"), self._token):
            return True
        self._limits.wrong_secret(request.scope, _CLIENT)
        return False

    @staticmethod
    def _session(request: HTTPConnection) -> bytes:
        return _hash(request.cookies.get(cookie_name(request), ""))


def _hash(session: str) -> bytes:
    return hashlib.sha256(session.encode("utf-8", "replace")).digest()
