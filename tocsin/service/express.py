"""The express lane: a post that came whole, and that nothing speaks against, is answered without an ASGI request.

Most posts are such, and an ASGI request (a task, its events, its messages) costs more than all that is done for them.
Whoever is offered one takes it, or leaves it as it was; then it becomes an ASGI request like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.types import ASGIApp, Scope

from tocsin.service.answers import RawHeaders
from tocsin.service.channels import PATH

EXPRESS: Final = f"{PATH}?token=".encode()
"""How the request target of a post begins that may go by the express lane: a channel URI's, as the service made it."""

_SKIPPED: Final = len(PATH) + 1


class Post:
    """A POST that came whole, while its answer is awaited.

    It stands where uvicorn has its own object for the request that a connection is busy with, and has what is looked at there.

    :param url: the request target.
    :param scope: as ASGI has it, without method and path.
    :param answer: called with it and with the headers of its answer, which is 200 without a body.
    :param hand_over: called with it and with an ASGI application that answers instead.
    """

    __slots__ = ("_answer", "_hand_over", "body", "disconnected", "keep_alive", "query", "response_complete", "scope")

    def __init__(
        self,
        url: bytes,
        scope: Scope,
        body: bytes,
        answer: Callable[[Post, RawHeaders], None],
        hand_over: Callable[[Post, ASGIApp], None],
    ) -> None:
        self.query = url[_SKIPPED:]
        self.scope = scope
        self.body = body
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False
        self._answer = answer
        self._hand_over = hand_over

    @property
    def message_event(self) -> Post:
        """What uvicorn sets when a connection is lost, for whoever waits for the body: here nobody does."""
        return self

    def set(self) -> None:
        """Do nothing: see :attr:`message_event`."""

    def answer(self, headers: RawHeaders) -> None:
        """Answer with 200, these headers and no body."""
        self._answer(self, headers)

    def hand_over(self, app: ASGIApp) -> None:
        """Let an ASGI application answer."""
        self._hand_over(self, app)


Lane = Callable[[Post], bool]
"""Takes a post, or tells that it did nothing."""
