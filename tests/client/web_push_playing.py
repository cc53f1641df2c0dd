"""A service of Web Push that a test plays: answers in their order, and what was asked."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
from attrs import Factory, define, frozen

from tocsin.client.http import Reply, Unreachable
from tocsin.client.web_push_client import WebPushClient
from tocsin.protocol.sending.attempts import SendPolicy
from tocsin.protocol.webpush.envelope import Envelope
from tocsin.protocol.webpush.subscription import PushSubscription
from tocsin.protocol.webpush.vapid import VapidToken, read_vapid
from tocsin.webpush.message_encryption import SubscriptionKeys, decrypt
from tocsin.webpush.vapid_keys import VapidKey, verify

ENDPOINT = "http://127.0.0.1:8080/p/capability-that-lets-send"
LOCATION = "http://127.0.0.1:8080/p/capability-that-lets-send/7"
CREATED = Reply(201, {"location": LOCATION, "ttl": "60"}, b"")
KEY = VapidKey.generate()
DEVICE = SubscriptionKeys.generate()
SUBSCRIPTION = PushSubscription(ENDPOINT, DEVICE.p256dh, DEVICE.auth)
NOW = 1_800_000_000.0


@frozen
class Request:
    """One request, and when it came."""

    time: float
    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def plaintext(self) -> bytes:
        """What the device reads."""
        coding, *of_aesgcm = (self.headers.get(name, "") for name in ("Content-Encoding", "Encryption", "Crypto-Key"))
        return decrypt(DEVICE, Envelope(coding, of_aesgcm[0], of_aesgcm[1], self.body))

    @property
    def claims(self) -> Mapping[str, object]:
        """What its token says, which is signed by ``KEY``."""
        token = read_vapid(self.headers["Authorization"], None)
        assert isinstance(token, VapidToken)
        assert token.key == KEY.public_key
        said = verify(token)
        assert said is not None
        return said


@define
class PlayedPushService:
    """Answers with ``answers``, then with CREATED."""

    answers: deque[Reply | Unreachable] = Factory(deque)
    requests: list[Request] = Factory(list)

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        on_turn: Callable[[], None] | None = None,
    ) -> Reply:
        """Play; there is no line."""
        if on_turn is not None:
            on_turn()
        self.requests.append(Request(anyio.current_time(), method, url, headers, body))
        await anyio.lowlevel.checkpoint()
        answer = self.answers.popleft() if self.answers else CREATED
        if isinstance(answer, Unreachable):
            raise answer
        return answer


@asynccontextmanager
async def pushing(
    policy: SendPolicy | None = None, *, key: VapidKey | None = KEY
) -> AsyncIterator[tuple[WebPushClient, PlayedPushService]]:
    """Give an open client, without jitter, and its service."""
    client = WebPushClient(key, "mailto:ops@app.example", policy=policy)
    service = PlayedPushService()
    client._http = service
    client._fraction = lambda: 1.0
    client._now = lambda: NOW
    yield client, service
