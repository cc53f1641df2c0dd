"""The client on virtual time, with a service that the test plays."""

from __future__ import annotations

import logging
import subprocess
import sys
from itertools import pairwise
from typing import Any

import anyio
import pytest
import trio.testing

import tocsin
from tests.client.playing import URI, playing, refusal
from tocsin.client.http import Reply, Unreachable
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.sending.attempts import SendPolicy


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio's virtual clock."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class TestRequest:
    """What is posted."""

    async def test_only_what_was_chosen_is_said(self) -> None:
        """A raw notification needs two headers beside its token."""
        async with playing() as (client, service):
            result = await client.send(URI, b"\x00\xff")
        assert result.received
        assert (result.msg_id, result.attempts) == ("A1", 1)
        (post,) = service.posts
        assert (post.url, post.body) == (URI, b"\x00\xff")
        assert post.headers == {
            "X-WNS-Type": "wns/raw",
            "Content-Type": "application/octet-stream",
            "Authorization": "Bearer t1",
        }

    async def test_every_option_has_its_header(self) -> None:
        """A toast with everything; text is sent as UTF-8."""
        async with playing() as (client, service):
            await client.send(
                URI, "<toast>ä</toast>", type="toast", ttl=60, cache=True, tag="T", group="G", priority=1,
                request_status=True, suppress_popup=True,
            )  # fmt: skip
        (post,) = service.posts
        assert post.body == "<toast>ä</toast>".encode()
        assert post.headers == {
            "X-WNS-Type": "wns/toast",
            "Content-Type": "text/xml",
            "X-WNS-TTL": "60",
            "X-WNS-Cache-Policy": "cache",
            "X-WNS-Tag": "T",
            "X-WNS-Group": "G",
            "X-WNS-PRIORITY": "1",
            "X-WNS-SuppressPopup": "true",
            "X-WNS-RequestForStatus": "true",
            "Authorization": "Bearer t1",
        }

    async def test_not_to_keep_it_can_be_said(self) -> None:
        """False is another thing than nothing said."""
        async with playing() as (client, service):
            await client.send(URI, "<badge value='1'/>", type=tocsin.NotificationType.BADGE, cache=False)
        assert service.posts[0].headers["X-WNS-Cache-Policy"] == "no-cache"

    @pytest.mark.parametrize(
        ("body", "options", "words"),
        [
            (b"", {}, "must not be empty"),
            (b"x" * 5001, {}, "5001 bytes"),
            (b"x", {"type": "sms"}, "X-WNS-Type"),
            (b"x", {"ttl": -1}, "X-WNS-TTL"),
            (b"x", {"ttl": 0, "cache": True}, "Ttl value conflicts"),
            (b"x", {"tag": "a\r\nb"}, "X-WNS-Tag"),
            (b"x", {"group": "x" * 17}, "X-WNS-Group"),
            (b"x", {"priority": 5}, "X-WNS-PRIORITY"),
        ],
    )
    async def test_what_wns_would_refuse_is_not_sent(self, body: bytes, options: dict[str, Any], words: str) -> None:
        """Not even a token is fetched for it."""
        async with playing() as (client, service):
            with pytest.raises(tocsin.InvalidArgument, match=words):
                await client.send(URI, body, **options)
        assert service.posts == service.asked_tokens == []

    async def test_a_channel_elsewhere_gets_neither_secret_nor_token(self) -> None:
        """A channel URI comes from outside, and must not choose where the client signs in."""
        async with playing() as (client, service):
            with pytest.raises(tocsin.InvalidArgument, match=r"evil\.example"):
                await client.send("https://evil.example/w/?token=x", b"x")
            with pytest.raises(tocsin.InvalidArgument, match=r"evil\.example"):
                client.check_uri("https://evil.example/w/?token=x")
            client.check_uri(URI)
        assert service.posts == service.asked_tokens == []

    async def test_the_open_network_is_used_where_tokens_come_that_way(self) -> None:
        """A service without TLS in one's own network, by the token URL's own scheme."""
        for scheme in ("http", "https"):
            token_url = f"{scheme}://push.example/accesstoken.srf"
            async with playing(token_url=token_url) as (client, service):
                if scheme == "http":
                    assert (await client.send("http://push.example/w/?token=x", b"x")).received
                else:
                    with pytest.raises(tocsin.InvalidArgument, match="begins with https"):
                        await client.send("http://push.example/w/?token=x", b"x")
                assert len(service.posts) == (scheme == "http")


class TestRetry:
    """What may pass."""

    @pytest.mark.parametrize("status", [406, 500, 503])
    async def test_it_is_tried_again_with_growing_waits(self, status: int) -> None:
        """1, 2 and 4 seconds where the service says nothing."""
        async with playing() as (client, service):
            service.answers += [refusal(status)] * 3
            result = await client.send(URI, b"x")
        assert result.attempts == 4
        assert gaps(service.posts) == [1, 2, 4]

    @pytest.mark.parametrize("name", ["retry_after", "x_wns_continue_after"])
    async def test_the_service_says_when(self, name: str) -> None:
        """Not before, and a little spread after."""
        async with playing() as (client, service):
            service.answers.append(refusal(503, **{name: "20"}))
            await client.send(URI, b"x")
        assert gaps(service.posts) == [pytest.approx(22)]

    async def test_the_service_says_when_by_a_date(self) -> None:
        """Its own clock is what the date is relative to, however far ours is from it."""
        async with playing() as (client, service):
            client._now = lambda: 4e9
            date = {"date": "Sun, 06 Nov 1994 08:49:37 GMT", "retry-after": "Sun, 06 Nov 1994 08:49:57 GMT"}
            service.answers.append(Reply(503, date, b""))
            await client.send(URI, b"x")
        assert gaps(service.posts) == [pytest.approx(22)]

    @pytest.mark.parametrize("asked", ["soon", "-1", "1e3", "Sun, 99 Nov 1994 08:49:57"])
    async def test_a_wait_that_is_not_understood_is_the_longest(self, asked: str) -> None:
        """A client that is asked to wait, and cannot tell how long, had better not come at once."""
        async with playing() as (client, service):
            service.answers.append(refusal(503, retry_after=asked))
            await client.send(URI, b"x")
        assert gaps(service.posts) == [pytest.approx(66)]

    async def test_the_token_endpoint_says_when_too(self) -> None:
        """The same rule for both endpoints."""
        async with playing() as (client, service):
            service.sign_ins += [refusal(429, retry_after="20")]
            assert (await client.send(URI, b"x")).received
        assert gaps(service.asked_tokens) == [pytest.approx(22)]

    async def test_no_answer_is_tried_again(self) -> None:
        """The notification may arrive twice, rather than not."""
        async with playing() as (client, service):
            service.answers.append(Unreachable("127.0.0.1 cannot be reached"))
            assert (await client.send(URI, b"x")).attempts == 2

    @pytest.mark.parametrize("where", ["answers", "sign_ins"])
    async def test_what_no_wait_mends_is_not_tried_again(self, where: str) -> None:
        """The sender hears at once of a certificate that is not trusted, or of http where TLS is spoken."""
        async with playing() as (client, service):
            getattr(service, where).append(Unreachable("it speaks TLS", ConnectionCause.TLS_WANTED))
            began = anyio.current_time()
            with pytest.raises(tocsin.ServiceUnavailable, match="it speaks TLS") as raised:
                await client.send(URI, b"x")
            assert anyio.current_time() == began
        assert (raised.value.result.attempts, raised.value.result.lasting) == (1, True)

    async def test_attempts_are_bounded(self) -> None:
        """The last answer is told."""
        async with playing(SendPolicy(retries=2)) as (client, service):
            service.answers += [refusal(500, x_wns_error_description="internal")] * 3
            with pytest.raises(tocsin.ServiceUnavailable, match=r"refused with 500: internal \(3 attempts\)") as raised:
                await client.send(URI, b"x")
        assert (raised.value.result.http_status, raised.value.result.attempts) == (500, 3)

    async def test_a_wait_that_is_too_long_is_not_begun(self) -> None:
        """Who asks for an hour gets an error now that says so."""
        async with playing() as (client, service):
            service.answers.append(refusal(406, retry_after="3600", x_wns_status="channelthrottled"))
            began = anyio.current_time()
            with pytest.raises(tocsin.Throttled, match="it asks to wait 3600 s") as raised:
                await client.send(URI, b"x")
            assert anyio.current_time() == began
        assert raised.value.result.retry_after == 3600

    @pytest.mark.parametrize(
        ("asked", "words"), [("9" * 20, "asks to wait 10000000000 s"), ("soon\x1b", r"not clear: 'soon\\x1b'")]
    )
    async def test_what_was_asked_is_told(self, asked: str, words: str) -> None:
        """Twenty digits are a long time and not none; what is not understood is shown, without its control characters."""
        async with playing(SendPolicy(total=30)) as (client, service):
            service.answers.append(refusal(503, retry_after=asked))
            with pytest.raises(tocsin.ServiceUnavailable, match=words):
                await client.send(URI, b"x")
        assert len(service.posts) == 1

    async def test_time_is_bounded_whatever_the_service_does(self) -> None:
        """One that does not answer does not hold us."""
        async with playing(SendPolicy(total=60)) as (client, service):
            await client.send(URI, b"x")
            service.delay = 1000
            began = anyio.current_time()
            with pytest.raises(tocsin.ServiceUnavailable, match="not taken within 60 s: There was no answer") as raised:
                await client.send(URI, b"x")
            assert anyio.current_time() == began + 60
            assert raised.value.result.sent

    async def test_what_got_no_token_was_not_sent(self) -> None:
        """Also where an answer on the token came, or was awaited still; what was sent once may have arrived."""
        async with playing(SendPolicy(total=60, retries=0)) as (client, service):
            service.sign_ins.append(Unreachable("gone"))
            with pytest.raises(tocsin.ServiceUnavailable, match="no access token: gone") as raised:
                await client.send(URI, b"x")
            assert not raised.value.result.sent
            service.delay = 1000
            with pytest.raises(
                tocsin.ServiceUnavailable, match="within 60 s: It was not sent, and has not ar"
            ) as raised:
                await client.send(URI, b"x")
            assert not raised.value.result.sent
            assert len(service.posts) == 0
        async with playing(SendPolicy(total=60)) as (client, service):
            service.answers.append(refusal(401))
            service.sign_ins += [service.token(), Unreachable("gone"), Unreachable("gone"), *[refusal(403)] * 9]
            with pytest.raises(tocsin.SenderNotAllowed) as refused:
                await client.send(URI, b"x")
            assert refused.value.result.sent
            assert len(service.posts) == 1

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (400, tocsin.NotificationRefused),
            (403, tocsin.SenderNotAllowed),
            (404, tocsin.ChannelGone),
            (410, tocsin.ChannelGone),
            (413, tocsin.NotificationRefused),
        ],
    )
    async def test_what_will_not_pass_is_tried_once(self, status: int, kind: type[tocsin.SendFailed]) -> None:
        """And its class says what to do."""
        async with playing() as (client, service):
            service.answers.append(refusal(status))
            with pytest.raises(kind):
                await client.send(URI, b"x")
        assert len(service.posts) == 1

    async def test_a_drop_is_a_result(self) -> None:
        """It was accepted, and sent again it would be dropped again."""
        async with playing() as (client, service):
            service.answers.append(refusal(200, x_wns_notificationstatus="dropped"))
            result = await client.send(URI, b"x")
        assert (result.received, result.status, len(service.posts)) == (False, "dropped", 1)
        assert "discarded" in result.explanation


def gaps(posts: list[Any]) -> list[float]:
    """Return the seconds between posts."""
    return [after.time - before.time for before, after in pairwise(posts)]


class TestUse:
    """The class itself."""

    @pytest.mark.parametrize(
        "wrong",
        [{"client_id": ""}, {"client_secret": ""}, {"token_url": "ftp://host/"}, {"tenant": "a/b"}, {"tenant": ""}],
    )
    def test_what_cannot_be_right_is_refused(self, wrong: dict[str, Any]) -> None:
        """Before anything is opened."""
        with pytest.raises(tocsin.InvalidArgument):
            tocsin.WnsClient(**{"client_id": "i", "client_secret": "s", **wrong})

    async def test_a_client_that_is_not_open_says_so(self) -> None:
        """With the line that opens it."""
        with pytest.raises(tocsin.IllegalCall, match="async with"):
            await tocsin.WnsClient("i", "s").send(URI, b"x")

    async def test_nothing_secret_is_logged_or_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        """Neither in logs, nor in errors, nor in what a debugger prints."""
        caplog.set_level(logging.DEBUG)
        shown: list[object] = []
        async with playing() as (client, service):
            service.answers += [refusal(401), refusal(503), refusal(410)]
            with pytest.raises(tocsin.ChannelGone) as raised:
                await client.send(URI, b"x")
            shown += [
                client,
                client._tokens,
                next(iter(client._tokens.values()))._latest,
                raised.value,
                raised.value.result,
            ]
        told = caplog.text + repr(shown)
        assert "tried again in 1.0 s, after 503" in told
        for secret in ("capability", "t1", "t2"):
            assert secret not in told

    def test_importing_the_package_loads_no_http_library(self) -> None:
        """An app that sends nothing needs none."""
        program = "import sys, tocsin; print([n for n in ('aiohttp', 'yarl') if n in sys.modules])"
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603  # ours
        assert done.stdout.strip() == "[]"

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    async def test_without_the_http_library_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """In a sentence."""
        monkeypatch.delitem(sys.modules, "tocsin.client.aio", raising=False)
        monkeypatch.setitem(sys.modules, "aiohttp", None)
        with pytest.raises(tocsin.NotSupported, match=r"aiohttp: pip install 'tocsin\[client\]'"):
            await tocsin.WnsClient("i", "s").__aenter__()

    async def test_on_trio_it_says_what_is_wrong(self) -> None:
        """Before the HTTP library fails in words of its own."""
        with pytest.raises(tocsin.NotSupported, match="asyncio"):
            await tocsin.WnsClient("i", "s").__aenter__()
