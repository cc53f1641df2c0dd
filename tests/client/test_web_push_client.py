"""The client of Web Push on virtual time, with a service that the test plays."""

from __future__ import annotations

import json
import logging
import sys
from itertools import pairwise
from typing import Any

import anyio
import pytest
import trio.testing
from attrs import frozen

import tocsin
from tests.client.playing import refusal
from tests.client.web_push_playing import (
    ENDPOINT,
    KEY,
    LOCATION,
    NOW,
    SUBSCRIPTION,
    PlayedPushService,
    Request,
    pushing,
)
from tocsin.client.http import Reply, Unreachable
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.sending.attempts import SendPolicy

REASON = Reply(403, {"content-type": "application/json"}, json.dumps({"message": "VAPID key mismatch"}).encode())
WORDS = "the client was closed while it was sending this; whether it has arrived is not known"


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio's virtual clock."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@frozen
class Subscribed:
    """What says of itself what a sender needs."""

    endpoint: str
    p256dh: bytes
    auth: bytes


def gaps(requests: list[Request]) -> list[float]:
    """Return the seconds between requests."""
    return [after.time - before.time for before, after in pairwise(requests)]


class TestRequest:
    """What is posted."""

    async def test_a_message_is_encrypted_and_signed(self) -> None:
        """What was not chosen is not said, but for the TTL, which Web Push demands: a day."""
        async with pushing() as (client, service):
            result = await client.send(SUBSCRIPTION, "Grüße")
        (post,) = service.requests
        assert (post.method, post.url, post.plaintext) == ("POST", ENDPOINT, "Grüße".encode())
        assert {name: value for name, value in post.headers.items() if name != "Authorization"} == {
            "TTL": "86400",
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
        }
        assert post.claims == {"aud": "http://127.0.0.1:8080", "exp": NOW + 12 * 3600, "sub": "mailto:ops@app.example"}
        assert result == tocsin.WebPushResult(http_status=201, location=LOCATION, ttl=60, description=None, attempts=1)

    async def test_every_option_has_its_header(self) -> None:
        """And the older coding has the headers that it takes."""
        async with pushing() as (client, service):
            await client.send(SUBSCRIPTION, b"\0\xff", ttl=0, urgency="very-low", topic="news_1-A", coding="aesgcm")
        (post,) = service.requests
        chosen = {name: post.headers[name] for name in ("TTL", "Urgency", "Topic", "Content-Encoding")}
        assert chosen == {"TTL": "0", "Urgency": "very-low", "Topic": "news_1-A", "Content-Encoding": "aesgcm"}
        assert post.plaintext == b"\0\xff"

    @pytest.mark.parametrize("body", [None, "", b""])
    async def test_a_push_may_have_no_message(self, body: Any) -> None:
        """Then there is nothing to encrypt."""
        async with pushing() as (client, service):
            await client.send(SUBSCRIPTION, body)
        (post,) = service.requests
        assert post.body == b""
        assert sorted(post.headers) == ["Authorization", "TTL"]

    async def test_a_subscription_is_what_its_app_has_sent(self) -> None:
        """The text of its JSON, what was read from that, or an object that says the same."""
        same = Subscribed(ENDPOINT, SUBSCRIPTION.p256dh, SUBSCRIPTION.auth)
        async with pushing() as (client, service):
            await client.send(same, b"0")
            await client.send(SUBSCRIPTION.as_json(), b"1")
            await client.send(json.dumps(SUBSCRIPTION.as_json()), bytearray(b"2"))
        assert [post.plaintext for post in service.requests] == [b"0", b"1", b"2"]

    async def test_a_sender_without_a_key_does_not_say_who_it_is(self) -> None:
        """And is told what it lacks; another attempt would change nothing."""
        async with pushing(key=None) as (client, service):
            service.answers.append(refusal(401))
            with pytest.raises(tocsin.SenderNotAllowed, match="give the VAPID key"):
                await client.send(SUBSCRIPTION, b"x")
            assert len(service.requests) == 1
        assert "Authorization" not in service.requests[0].headers

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({"body": b"x" * 3_994}, "3993 bytes at most, not 3994"),
            ({"body": {"a": 1}}, "json.dumps makes text of it"),
            ({"ttl": -1}, "ttl must be from 0 to 2419200"),
            ({"ttl": 2_419_201}, "ttl must be from 0 to 2419200"),
            ({"ttl": "1"}, "ttl must be a whole number"),
            ({"urgency": "now"}, "urgency is one of very-low, low, normal, high"),
            ({"topic": ""}, "a topic has 1 to 32"),
            ({"topic": "a\r\nb"}, "a topic has 1 to 32"),
            ({"topic": "a" * 33}, "a topic has 1 to 32"),
            ({"coding": "gzip"}, "the coding of a message"),
            ({"subscription": 1}, "or an object with endpoint, p256dh and auth, not int"),
            ({"subscription": {}}, "a push subscription is a JSON object"),
            ({"subscription": "ftp"}, "a push subscription is no JSON"),
        ],
    )
    async def test_what_cannot_be_right_is_not_sent(self, arguments: dict[str, Any], words: str) -> None:
        """The sentence says what would be."""
        async with pushing() as (client, service):
            with pytest.raises(tocsin.InvalidArgument, match=words):
                await client.send(**{"subscription": SUBSCRIPTION, "body": b"x", **arguments})
        assert service.requests == []

    @pytest.mark.parametrize(
        "endpoint",
        [
            "https://evil.example/p/capability",
            "https://fcm.googleapis.com.evil.example/capability",
            "https://fcm.googleapis.com@evil.example/capability",
            "http://updates.push.services.mozilla.com/capability",
            "http://192.168.0.1/capability",
            "file:///capability",
            "capability",
        ],
    )
    async def test_an_endpoint_elsewhere_is_not_asked(self, endpoint: str) -> None:
        """A subscription comes from outside, and must not choose what a server asks; the sentence does not show it."""
        stranger = tocsin.PushSubscription(endpoint, SUBSCRIPTION.p256dh, SUBSCRIPTION.auth)
        async with pushing() as (client, service):
            for sending in (client.send(stranger, b"x"), client.withdraw(endpoint)):
                with pytest.raises(tocsin.InvalidArgument) as refused:
                    await sending
                assert "/capability" not in str(refused.value)
        assert service.requests == []

    @pytest.mark.parametrize(
        ("endpoint", "audience"),
        [
            ("https://fcm.googleapis.com/fcm/send/x", "https://fcm.googleapis.com"),
            ("https://updates.push.services.mozilla.com:443/wpush/v2/x", "https://updates.push.services.mozilla.com"),
            ("https://web.push.apple.com/x", "https://web.push.apple.com"),
            ("https://WNS2-db5p.notify.windows.com/w/?token=x", "https://wns2-db5p.notify.windows.com"),
            ("http://[::1]:8443/p/x", "http://[::1]:8443"),
        ],
    )
    async def test_browsers_are_sent_to(self, endpoint: str, audience: str) -> None:
        """Their push services are known, and this machine is; a token names the origin as browsers write it."""
        subscription = tocsin.PushSubscription(endpoint, SUBSCRIPTION.p256dh, SUBSCRIPTION.auth)
        async with pushing() as (client, service):
            await client.send(subscription, b"x")
        assert (service.requests[0].url, service.requests[0].claims["aud"]) == (endpoint, audience)

    @pytest.mark.parametrize(
        ("location", "found"),
        [(None, None), ("/p/capability/8", "http://127.0.0.1:8080/p/capability/8"), (LOCATION, LOCATION)],
    )
    async def test_the_location_is_a_whole_url(self, location: str | None, found: str | None) -> None:
        """However it was written."""
        headers = {} if location is None else {"location": location}
        async with pushing() as (client, service):
            service.answers.append(Reply(201, headers | {"ttl": "soon"}, b""))
            result = await client.send(SUBSCRIPTION, b"x")
        assert (result.location, result.ttl) == (found, None)


class TestToken:
    """Who sends."""

    async def test_a_token_is_used_again_until_near_its_end(self) -> None:
        """For each push service one; it is signed anew an hour before it ends, and where the clock was set back."""
        other = tocsin.PushSubscription("https://web.push.apple.com/x", SUBSCRIPTION.p256dh, SUBSCRIPTION.auth)
        async with pushing() as (client, service):
            for after, to in (
                (0, SUBSCRIPTION),
                (39_599, SUBSCRIPTION),
                (39_599, other),
                (39_600, SUBSCRIPTION),
                (0, SUBSCRIPTION),
            ):
                client._now = lambda after=after: NOW + after  # type: ignore[misc]  # mypy does not see the default
                await client.send(to, b"x")
        tokens = [post.headers["Authorization"] for post in service.requests]
        assert tokens[0] == tokens[1]
        assert len(set(tokens)) == 4
        assert service.requests[3].claims["exp"] == NOW + 39_600 + 12 * 3600

    async def test_a_refused_token_is_signed_anew_once(self) -> None:
        """The clock may have been set since; a second refusal says whose key it must be."""
        async with pushing() as (client, service):
            service.answers.append(refusal(401))
            assert (await client.send(SUBSCRIPTION, b"x")).attempts == 2
            service.answers += [refusal(401), REASON]
            with pytest.raises(
                tocsin.SenderNotAllowed,
                match="403: VAPID key mismatch; the subscription takes only what is signed by the key",
            ):
                await client.send(SUBSCRIPTION, b"x")
        first, second, third, fourth = [post.headers["Authorization"] for post in service.requests]
        assert first != second == third != fourth

    async def test_tokens_are_kept_for_so_many_services(self) -> None:
        """Subscriptions come from outside, and may name very many."""
        async with pushing() as (client, _):
            for number in range(300):
                endpoint = f"https://{number}.push.apple.com/x"
                await client.send(tocsin.PushSubscription(endpoint, SUBSCRIPTION.p256dh, SUBSCRIPTION.auth))
            assert len(client._tokens) == 256


class TestAnswer:
    """What becomes of it."""

    @pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
    async def test_what_may_pass_is_tried_again(self, status: int) -> None:
        """1, 2 and 4 seconds where the service says nothing, with the same message."""
        async with pushing() as (client, service):
            service.answers += [refusal(status)] * 3
            result = await client.send(SUBSCRIPTION, b"x")
        assert result.attempts == 4
        assert gaps(service.requests) == [1, 2, 4]
        assert len({post.body for post in service.requests}) == 1

    async def test_the_service_says_when(self) -> None:
        """Not before, and a little spread after; a wait that is too long is not begun."""
        async with pushing(SendPolicy(total=60)) as (client, service):
            service.answers += [refusal(429, retry_after="20"), refusal(429, retry_after="3600")]
            with pytest.raises(tocsin.Throttled, match=r"send less often .*asks to wait 3600 s") as raised:
                await client.send(SUBSCRIPTION, b"x")
        assert gaps(service.requests) == [pytest.approx(22)]
        assert raised.value.result.retry_after == 3600

    @pytest.mark.parametrize(
        ("status", "kind", "words"),
        [
            (400, tocsin.NotificationRefused, "the service gave no reason"),
            (403, tocsin.SenderNotAllowed, "applicationServerKey"),
            (404, tocsin.ChannelGone, "forget it"),
            (410, tocsin.ChannelGone, "forget it"),
            (413, tocsin.NotificationRefused, "the service takes less"),
        ],
    )
    async def test_what_will_not_pass_is_tried_once(
        self, status: int, kind: type[tocsin.SendFailed], words: str
    ) -> None:
        """And says what to do."""
        async with pushing() as (client, service):
            service.answers.append(refusal(status))
            with pytest.raises(kind, match=words):
                await client.send(SUBSCRIPTION, b"x")
        assert len(service.requests) == 1

    @pytest.mark.parametrize("status", [200, 201, 202, 204])
    async def test_what_was_taken_is_a_result(self, status: int) -> None:
        """Services do not agree on the number."""
        async with pushing() as (client, service):
            service.answers.append(Reply(status, {}, b""))
            result = await client.send(SUBSCRIPTION, b"x")
        assert result == tocsin.WebPushResult(http_status=status, location=None, ttl=None, description=None, attempts=1)

    async def test_no_answer_is_tried_again_where_that_may_help(self) -> None:
        """The message may arrive twice, rather than not."""
        async with pushing() as (client, service):
            service.answers += [
                Unreachable("127.0.0.1 cannot be reached"),
                Unreachable("it speaks TLS", ConnectionCause.TLS_WANTED),
            ]
            with pytest.raises(tocsin.ServiceUnavailable, match="it speaks TLS") as raised:
                await client.send(SUBSCRIPTION, b"x")
        assert (raised.value.result.attempts, raised.value.result.lasting) == (2, True)

    async def test_a_message_that_waits_is_taken_back(self) -> None:
        """Where it does not wait any more, nothing was taken back."""
        async with pushing() as (client, service):
            service.answers += [Reply(204, {}, b""), refusal(503), refusal(404), refusal(405)]
            assert await client.withdraw(LOCATION)
            assert not await client.withdraw(LOCATION)
            with pytest.raises(tocsin.NotificationRefused, match="405"):
                await client.withdraw(LOCATION)
        assert {(each.method, each.url, each.body) for each in service.requests} == {("DELETE", LOCATION, b"")}


class TestUse:
    """The class itself."""

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ((KEY,), "the subject must be text"),
            ((KEY, ""), "the subject is how the push service's operator reaches you"),
            ((KEY, "ops@app.example"), "the subject is how"),
            ((None, "ftp://x"), "the subject is how"),
            ((1, "mailto:a@b"), "a VAPID key must be VapidKey or text"),
            (("/nowhere/vapid.pem", "mailto:a@b"), "'tocsin webpush keys --out FILE' makes one"),
        ],
    )
    def test_what_cannot_be_right_is_refused(self, arguments: tuple[Any, ...], words: str) -> None:
        """Before anything is opened."""
        with pytest.raises(tocsin.InvalidArgument, match=words):
            tocsin.WebPushClient(*arguments)

    async def test_other_hosts_are_named(self) -> None:
        """Then they are all that there are."""
        client = tocsin.WebPushClient(KEY, "https://app.example/contact", hosts=[".push.example"])
        service = client._http = PlayedPushService()
        endpoint = "https://eu.push.example/p/x"
        await client.send(tocsin.PushSubscription(endpoint, SUBSCRIPTION.p256dh, SUBSCRIPTION.auth), b"x")
        with pytest.raises(
            tocsin.InvalidArgument, match=r"host 127\.0\.0\.1 is not .* trusted here: \.push\.example; hosts= na"
        ):
            await client.send(SUBSCRIPTION, b"x")
        assert [post.url for post in service.requests] == [endpoint]

    async def test_a_client_that_is_not_open_says_so(self) -> None:
        """With the line that opens it."""
        client = tocsin.WebPushClient(KEY, "mailto:a@b")
        for sending in (client.send(SUBSCRIPTION, b"x"), client.withdraw(LOCATION)):
            with pytest.raises(tocsin.IllegalCall, match=r"async with tocsin\.WebPushClient"):
                await sending

    async def test_closing_ends_what_waits(self) -> None:
        """In words, and at once."""
        async with pushing() as (client, service), anyio.create_task_group() as tasks:

            async def send() -> None:
                with pytest.raises(tocsin.IllegalCall, match=WORDS):
                    await client.send(SUBSCRIPTION, b"x")

            service.answers.append(refusal(503))
            tasks.start_soon(send)
            await anyio.wait_all_tasks_blocked()
            began = anyio.current_time()
            await client.__aexit__(None, None, None)
        assert (len(service.requests), anyio.current_time()) == (1, began)

    async def test_nothing_secret_is_logged_or_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        """Neither in logs, nor in errors, nor in what a debugger prints."""
        caplog.set_level(logging.DEBUG)
        shown: list[object] = []
        echo = Reply(410, {"content-type": "text/plain"}, f"{ENDPOINT} is gone".encode())
        async with pushing() as (client, service):
            shown += [SUBSCRIPTION, await client.send(SUBSCRIPTION, b"x"), client._tokens, client]
            service.answers += [refusal(503), echo]
            with pytest.raises(tocsin.ChannelGone) as raised:
                await client.send(SUBSCRIPTION, b"x")
            shown += [raised.value, raised.value.result]
        told = caplog.text + repr(shown)
        assert "tried again in 1.0 s, after 503" in told
        token = service.requests[0].headers["Authorization"].partition("t=")[2].partition(",")[0]
        for secret in ("capability", token, str(SUBSCRIPTION.auth), KEY.text()):
            assert secret not in told

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    async def test_what_is_missing_is_said(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The HTTP library, or that of the cryptography."""
        with monkeypatch.context() as without:
            without.delitem(sys.modules, "tocsin.client.aio", raising=False)
            without.setitem(sys.modules, "aiohttp", None)
            with pytest.raises(tocsin.NotSupported, match=r"aiohttp: pip install 'tocsin\[client\]'"):
                await tocsin.WebPushClient(KEY, "mailto:a@b").__aenter__()
        ours = (
            "tocsin.webpush",
            "tocsin.client.web_push_client",
            "tocsin.client.vapid_key_file",
            "tocsin.client.posted_message",
        )
        for name in [name for name in sys.modules if name.startswith(ours)]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "cryptography", None)
        monkeypatch.delattr(tocsin, "WebPushClient")
        with pytest.raises(tocsin.NotSupported, match=r"cryptography: pip install 'tocsin\[webpush\]'"):
            _ = tocsin.WebPushClient
