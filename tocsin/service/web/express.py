"""The express lane: a post that came whole, and that nothing speaks against, is answered without an ASGI request.

Most posts are such, and an ASGI request (a task, its events, its messages) costs more than all that is done for them.
The router that is offered one takes it, or leaves it as it was; then it becomes an ASGI request like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from attrs import frozen
from starlette.types import ASGIApp, Scope

from tocsin.service.url_paths import CHANNEL_PATH
from tocsin.service.web.headers import RawHeaders

EXPRESS: Final = f"{CHANNEL_PATH}?token=".encode()
"""How the request target of a post begins that may go by the express lane: a channel URI's, as the service made it."""


@frozen(eq=False)
class Head:
    """The headers of a post against which nothing speaks; a lane adds, in a subclass, what it reads in them.

    ``headers`` are they themselves, ``length`` is the bytes of body that they promise, ``recurs`` tells whether another post
    may have the same.
    """

    headers: RawHeaders
    length: int
    recurs: bool


class Sender(Protocol):
    """The connection that a post came on."""

    client: tuple[str, int] | None

    def answer(self, post: Post, headers: bytes) -> None:
        """Answer with 200, these header lines and no body."""
        ...

    def hand_over(self, post: Post, app: ASGIApp) -> None:
        """Let an ASGI application answer."""
        ...


class Post:
    """A POST that came whole, while its answer is awaited.

    It stands where uvicorn has its own object for the request that a connection is busy with, and has what is looked at there.

    :param token: the one in the channel URI; empty where there is none.
    :param head: what the headers say, where that is known from an earlier post.
    """

    __slots__ = ("_sender", "body", "disconnected", "head", "headers", "keep_alive", "response_complete", "token")

    def __init__(self, sender: Sender, token: str, headers: RawHeaders, body: bytes, head: Head | None) -> None:
        self._sender = sender
        self.token = token
        self.headers = headers
        self.body = body
        self.head = head
        self.keep_alive = True
        self.disconnected = False
        self.response_complete = False

    @property
    def scope(self) -> Scope:
        """What ASGI says of it, as far as the service asks."""
        return {"type": "http", "method": "POST", "client": self._sender.client, "headers": self.headers}

    @property
    def message_event(self) -> Post:
        """What uvicorn sets when a connection is lost, for a task that waits for the body: here none does."""
        return self

    def set(self) -> None:
        """Do nothing: see :attr:`message_event`."""

    def answer(self, headers: bytes) -> None:
        """Answer with 200, these header lines and no body."""
        self._sender.answer(self, headers)

    def hand_over(self, app: ASGIApp) -> None:
        """Let an ASGI application answer."""
        self._sender.hand_over(self, app)


Lane = Callable[[Post], bool]
"""Takes a post and gives it its head, or tells that it did nothing."""
