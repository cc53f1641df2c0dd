"""HTTP with an express lane: posts that come whole are offered to it before they become ASGI requests."""

from __future__ import annotations

import asyncio
import logging
import traceback
from typing import Any, Final

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tocsin.service.url_paths import token_of
from tocsin.service.web.bounded_http import BoundedHttp
from tocsin.service.web.express import EXPRESS, Lane, Post
from tocsin.service.web.heads import Heads
from tocsin.service.web.shared_state import SharedState

_SKIPPED: Final = EXPRESS.index(b"token=")

logger = logging.getLogger(__name__)


class ExpressHttp(BoundedHttp):
    """A connection of a server with an express lane.

    :param lane: is offered posts.
    :param heads: those of posts that it took, from whatever connection.
    """

    def __init__(
        self,
        config: Config,
        server_state: SharedState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop,
        lane: Lane,
        heads: Heads,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._lane = lane
        self._heads = heads
        self._between = True  # the parser is at the beginning of a request
        self._repeats = True  # as far as is known, what comes next may have headers that came before
        self._whole: list[bytes] | None = None  # of the body of a post that is to be offered
        self._taken: Post | None = None  # of the chunk that is being parsed
        self._declined = False  # whether the post in the chunk that is being parsed was offered before

    def parse(self, data: bytes) -> None:
        """Offer a post whose headers are known; parse anything else, and remember the headers of what is taken."""
        from_its_beginning = self._between
        if from_its_beginning and self._offer_known(data):
            return
        super().parse(data)
        self._declined = False
        if self._taken is not None:
            self._repeats = from_its_beginning and self._heads.remember(data, self._taken)
            self._taken = None
        if self._whole is not None:  # its end has not come with its beginning, or is nonsense
            if self.transport.is_closing():
                self._whole = None
            else:
                self._begin()

    def _offer_known(self, data: bytes) -> bool:
        """Offer a post without parsing it, if its headers are known; tell whether it was taken."""
        if not self._repeats or self._is_busy():
            return False
        known = self._heads.recall(data)
        if known is None:
            return False
        token, head, body = known
        self._declined = not self._offer(Post(self, token, head.headers, body, head))
        if self._declined:
            return False
        self.note_whole_request()
        return True

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._between = False
        super().on_message_begin()

    def begin_request(self) -> None:
        """Wait with a post that the express lane may take."""
        if self._may_be_express():
            self._whole = []
        else:
            super().begin_request()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        if self._whole is None:
            super().on_body(body)
        else:
            self._whole.append(body)

    def end_request(self) -> None:
        """Offer a post that is there whole; one that is not taken becomes an ASGI request."""
        self._between = True
        if self._whole is not None:
            post = Post(self, token_of(self.url[_SKIPPED:]) or "", self.headers, b"".join(self._whole), None)
            if self._offer(post):
                self.note_end()
                self._whole = None
                self._taken = post
                return
            self._begin()
        super().end_request()

    def _may_be_express(self) -> bool:
        """Tell whether this is a post that the express lane may take once it is there whole."""
        parser: Any = self.parser  # which is there for as long as it parses
        return (
            self.url.startswith(EXPRESS)
            and parser.get_method() == b"POST"
            and not self._is_busy()
            and not self._declined
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not self.expect_100_continue
        )

    def _is_busy(self) -> bool:
        """Tell whether an earlier request is not answered yet, or an answer could not be written now."""
        busy_with: Any = self.cycle  # None before the first request
        return (busy_with is not None and not busy_with.response_complete) or self.flow.write_paused

    def _offer(self, post: Post) -> bool:
        """Offer a post to the express lane; tell whether it was taken."""
        earlier, self.cycle = self.cycle, post  # type: ignore[assignment]  # as far as uvicorn looks, it is one
        try:
            if self._lane(post):
                return True
        except Exception:  # noqa: BLE001  # the parser would take it for the sender's fault
            trace = traceback.format_exc()
            self._state.recurring.log(logger, logging.ERROR, trace, "the express lane failed: %s", trace)
        self.cycle = earlier
        return False

    def _begin(self) -> None:
        """Make an ASGI request of what was kept for the express lane."""
        parts, self._whole = self._whole or [], None
        super().begin_request()
        for part in parts:
            super().on_body(part)

    def answer(self, post: Post, headers: bytes) -> None:
        """Answer a post with 200 and no body, unless its sender has left."""
        post.response_complete = True
        if post.disconnected or self.transport.is_closing():
            return
        end = b"\r\n" if post.keep_alive else b"connection: close\r\n\r\n"
        self.transport.write(b"".join((self._state.beginning(), headers, end)))
        if not post.keep_alive:
            self.transport.close()
        self.on_response_complete()

    def hand_over(self, post: Post, app: ASGIApp) -> None:
        """Let an ASGI application answer a post, whose body has been taken."""
        cycle = RequestResponseCycle(
            post.scope,  # type: ignore[arg-type]  # what an answer takes of it
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            self.access_log,
            self.server_state.default_headers,
            asyncio.Event(),
            expect_100_continue=False,
            keep_alive=post.keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.more_body = False
        cycle.disconnected = post.disconnected
        busy_with: Any = self.cycle
        if busy_with is post:  # else a later request waits behind it
            self.cycle = cycle
        self._start_asgi_task(cycle, app)  # type: ignore[arg-type]  # Starlette's name for the same kind of application
