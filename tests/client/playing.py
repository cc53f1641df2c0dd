"""A push service that a test plays: answers in their order, and what was asked."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import parse_qsl

import anyio
from attrs import Factory, define, frozen

from tocsin.client.http import Reply, Unreachable
from tocsin.client.wns_client import WnsClient
from tocsin.protocol.sending.attempts import SendPolicy

URI = "http://127.0.0.1:8080/w/?token=capability"
TOKEN_URL = "http://127.0.0.1:8080/accesstoken.srf"  # noqa: S105  # it is none
RECEIVED = Reply(200, {"x-wns-status": "received", "x-wns-msg-id": "A1"}, b"")


def refusal(status: int, **headers: str) -> Reply:
    """Answer with that status."""
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


@frozen
class Asked:
    """One request, and when it came."""

    time: float
    url: str
    headers: Mapping[str, str]
    body: bytes


@define
class PlayedService:
    """Answers posts with ``answers``, then with RECEIVED; hands out tokens t1, t2, ..., or what ``sign_ins`` says."""

    answers: deque[Reply | Unreachable] = Factory(deque)
    sign_ins: deque[Reply | Unreachable] = Factory(deque)
    delay: float = 0.0
    expires_in: object = 86400
    posts: list[Asked] = Factory(list)
    asked_tokens: list[Asked] = Factory(list)

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        on_turn: Callable[[], None] | None = None,
    ) -> Reply:
        """Play; there is no line."""
        assert method == "POST"
        if on_turn is not None:
            on_turn()
        asked = Asked(anyio.current_time(), url, headers, body)
        if url.partition("?")[0].endswith(("accesstoken.srf", "/token")):
            self.asked_tokens.append(asked)
            answer = self.sign_ins.popleft() if self.sign_ins else self.token()
        else:
            self.posts.append(asked)
            answer = self.answers.popleft() if self.answers else RECEIVED
        await anyio.sleep(self.delay)
        if isinstance(answer, Unreachable):
            raise answer
        return answer

    def token(self) -> Reply:
        """Hand out the next token."""
        reply = {"access_token": f"t{len(self.asked_tokens)}", "expires_in": self.expires_in}
        return Reply(200, {}, json.dumps(reply).encode())

    @property
    def bearers(self) -> list[str]:
        """The tokens that the posts came with."""
        return [asked.headers["Authorization"].removeprefix("Bearer ") for asked in self.posts]

    def form(self) -> dict[str, str]:
        """Return the latest form that asked for a token."""
        return dict(parse_qsl(self.asked_tokens[-1].body.decode()))


@asynccontextmanager
async def playing(
    policy: SendPolicy | None = None, *, token_url: str | None = None, tenant: str | None = None
) -> AsyncIterator[tuple[WnsClient, PlayedService]]:
    """Give an open client, without jitter, and its service."""
    client = WnsClient("id", "s3cret", token_url=token_url, tenant=tenant, policy=policy)
    service = PlayedService()
    client._http = service
    client._fraction = lambda: 1.0
    yield client, service
