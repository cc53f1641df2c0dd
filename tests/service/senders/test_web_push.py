"""Push resources over real sockets: what a sender of Web Push is answered, and what reaches the device."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import pytest
from attrs import evolve, frozen
from websockets.asyncio.client import connect

from tests.service.world import KEY, OTHER_KEY, Answer, Device, World, dial, exchange, open_world
from tocsin.protocol.messages import (
    ChannelGranted,
    ChannelRefused,
    ChannelsRevoked,
    Payload,
    RequestChannel,
    RevokeChannels,
)
from tocsin.protocol.service.web_push import MAX_BODY
from tocsin.protocol.values import SUBSCRIPTION_LIFETIME, NotificationType
from tocsin.protocol.webpush.base64url import encode
from tocsin.protocol.webpush.envelope import EMPTY, Envelope
from tocsin.protocol.webpush.message_headers import LONGEST_TTL
from tocsin.protocol.webpush.sender import web_push_sender
from tocsin.protocol.webpush.vapid import claims
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry import channels
from tocsin.service.senders.vapid_tokens import VapidTokens
from tocsin.service.server import open_service
from tocsin.webpush.message_encryption import SubscriptionKeys, decrypt, encrypt
from tocsin.webpush.vapid_keys import VapidKey

KEYS = SubscriptionKeys.generate()
VAPID = VapidKey.generate()
OTHER = VapidKey.generate()
ANY = web_push_sender(None)
OURS = web_push_sender(VAPID.public_key)
BODY = encrypt(KEYS.p256dh, KEYS.auth, b"hello").body


@frozen
class Pushed:
    """A service whose device has a push subscription."""

    world: World
    granted: ChannelGranted

    async def post(
        self, body: bytes = BODY, headers: Mapping[str, str | None] | None = None, uri: str = "", method: str = "POST"
    ) -> Answer:
        """Send a message with these headers beside the usual ones, or instead of them; None takes one away."""
        wanted = {"TTL": "60", "Content-Encoding": "aes128gcm", **(headers or {})}
        request = self.world.http.request(
            method,
            uri or self.granted.uri,
            data=body,
            headers={name: value for name, value in wanted.items() if value is not None},
            skip_auto_headers=["Content-Type"],
        )
        async with request as response:
            return Answer(response.status, response.headers, await response.text())

    def signed(self, key: VapidKey = VAPID, audience: str = "", ahead: float = 3600) -> dict[str, str]:
        """Return the header by which a sender says who it is."""
        said = claims(audience or self.world.service.url, self.world.clock() + ahead, "mailto:o@example.com")
        return {"Authorization": key.sign(said)}


@asynccontextmanager
async def pushing(state: Path, sender: str = ANY, settings: ServiceSettings | None = None) -> AsyncIterator[Pushed]:
    """Run a service with a device that has subscribed and left."""
    async with open_world(state, settings) as world:
        async with dial(world.service) as device:
            await device.greet()
            granted = await device.channel(sender)
        yield Pushed(world, granted)


@asynccontextmanager
async def there(pushed: Pushed, key: str = KEY) -> AsyncIterator[Device]:
    """Connect the device."""
    async with dial(pushed.world.service) as device:
        await device.greet(key)
        yield device


async def test_a_message_reaches_the_device_as_it_was_encrypted(tmp_path: Path) -> None:
    """It is answered with 201, its URL and its TTL once the device has it, and only the device can read it."""
    async with pushing(tmp_path) as pushed, there(pushed) as device:
        async with pushed.world.http.post(
            pushed.granted.uri, data=BODY, headers={"TTL": "60", "Content-Encoding": "aes128gcm"}
        ) as response:
            payload = await device.acknowledge()
            assert response.status == 201
            assert response.headers["Location"] == f"{pushed.granted.uri}/{payload.id}"
            assert (response.headers["TTL"], await response.read()) == ("60", b"")
        assert payload.type is NotificationType.PUSH
        assert decrypt(KEYS, Envelope.unpack(payload.body)) == b"hello"


@pytest.mark.parametrize("coding", ["aes128gcm", "aesgcm"])
async def test_both_codings_wait_for_a_device_that_is_away(tmp_path: Path, coding: str) -> None:
    """The headers that the older one needs are kept with the body."""
    envelope = encrypt(KEYS.p256dh, KEYS.auth, b"x" * 3_000, coding)
    headers = {"Content-Encoding": coding}
    if coding == "aesgcm":
        headers |= {"Encryption": envelope.encryption, "Crypto-Key": envelope.crypto_key}
    async with pushing(tmp_path) as pushed:
        assert (await pushed.post(envelope.body, headers)).status == 201
        async with there(pushed) as device:
            payload = await device.acknowledge()
        assert decrypt(KEYS, Envelope.unpack(payload.body)) == b"x" * 3_000


@pytest.mark.parametrize("size", [0, 104, MAX_BODY])
async def test_empty_and_largest_bodies_are_let_in(tmp_path: Path, size: int) -> None:
    """Exactly 4,096 bytes are what other push services take too."""
    body = BODY[:size] + bytes(max(size - len(BODY), 0))
    async with pushing(tmp_path) as pushed:
        assert (await pushed.post(body, {"Content-Encoding": "aes128gcm" if body else None})).status == 201
        async with there(pushed) as device:
            assert Envelope.unpack((await device.acknowledge()).body).body == body


REFUSED: dict[str, tuple[bytes, dict[str, str | None], int, str]] = {
    "no TTL": (BODY, {"TTL": None}, 400, "TTL is missing"),
    "a TTL that is no number": (BODY, {"TTL": "-1"}, 400, "TTL must be a whole number"),
    "an urgency of its own": (BODY, {"Urgency": "urgent"}, 400, "Urgency must be"),
    "a topic that is too long": (BODY, {"Topic": "t" * 33}, 400, "Topic must be"),
    "two topics": (BODY, {"Topic": "a, b"}, 400, "Topic must be"),
    "no coding": (BODY, {"Content-Encoding": None}, 415, "Content-Encoding is missing"),
    "another coding": (BODY, {"Content-Encoding": "gzip"}, 415, "Content-Encoding must be"),
    "too large": (bytes(MAX_BODY + 1), {}, 413, "at most 4096"),
    "too short": (bytes(102), {}, 400, "at least 103 bytes"),
    "a record without room": (BODY[:16] + (17).to_bytes(4) + BODY[20:], {}, 400, "record size"),
    "a key that is none": (BODY[:20] + b"\x10" + BODY[21:], {}, 400, "key id"),
    "a key that is compressed": (BODY[:21] + b"\x02" + BODY[22:], {}, 400, "key id"),
    "aesgcm without a salt": (BODY, {"Content-Encoding": "aesgcm", "Crypto-Key": "dh=AA"}, 400, "must have salt="),
    "aesgcm without a key": (BODY, {"Content-Encoding": "aesgcm", "Encryption": "salt=AA"}, 400, "must have dh="),
    "aesgcm with very long parameters": (
        BODY,
        {"Content-Encoding": "aesgcm", "Encryption": "salt=AA", "Crypto-Key": f"dh={'A' * 600}"},
        400,
        "at most 512",
    ),
    "a bearer token": (BODY, {"Authorization": "Bearer abc"}, 403, "vapid t=TOKEN, k=KEY"),
}


@pytest.mark.parametrize(("body", "headers", "status", "words"), REFUSED.values(), ids=REFUSED)
async def test_what_is_wrong_is_refused_in_words(
    tmp_path: Path, body: bytes, headers: dict[str, str | None], status: int, words: str
) -> None:
    """Each has its status, nothing is kept of it, and the connection goes on."""
    async with pushing(tmp_path) as pushed:
        answer = await pushed.post(body, headers)
        assert (answer.status, words in answer.text) == (status, True), answer.text
        assert pushed.world.service.offline.kept == 0
        assert (await pushed.post()).status == 201


async def test_other_methods_and_places_are_told_what_is_right(tmp_path: Path) -> None:
    """405 with what is allowed, 404 for what is nowhere, 411 for a body that comes in pieces."""
    async with pushing(tmp_path) as pushed:
        answer = await pushed.post(method="GET")
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        answer = await pushed.post(uri=f"{pushed.granted.uri}/0123456789ABCDEF")
        assert (answer.status, answer.headers["Allow"]) == (405, "DELETE")
        for uri in ("/p/", "/p", "/p/a/b/c", "/p/%00", f"/p/{'x' * 43}"):
            assert (await pushed.post(uri=f"{pushed.world.service.url}{uri}")).status == 404

        async def in_pieces() -> AsyncIterator[bytes]:
            yield BODY

        async with pushed.world.http.post(
            pushed.granted.uri, data=in_pieces(), headers={"TTL": "1", "Content-Encoding": "aes128gcm"}
        ) as response:
            assert response.status == 411


async def test_a_post_without_a_body_need_not_say_so(tmp_path: Path) -> None:
    """As curl sends it: it is an empty push."""
    async with pushing(tmp_path) as pushed:
        path = urlsplit(pushed.granted.uri).path
        request = f"POST {path} HTTP/1.1\r\nHost: h\r\nTTL: 60\r\n\r\n".encode()
        ((status, headers, _),) = await exchange(pushed.world.service, request)
        assert (status, headers["ttl"]) == (201, "60")
        async with there(pushed) as device:
            assert (await device.acknowledge()).body == EMPTY


async def test_now_or_never_is_not_sent_again_for_want_of_an_acknowledgement(tmp_path: Path) -> None:
    """The device has been sent it, and with another attempt it might come twice; one that may wait does wait."""
    settings = ServiceSettings(acknowledge_timeout=1)
    async with pushing(tmp_path, settings=settings) as pushed, there(pushed) as device:
        answer = await pushed.post(headers={"TTL": "0"})
        assert (answer.status, "has not acknowledged it" in answer.text) == (201, True)
        await device.receive(Payload)
        answer = await pushed.post(headers={"TTL": "60"})
        assert (answer.status, answer.text) == (201, "")


async def test_a_sender_of_wns_has_nothing_to_say_there_nor_one_of_web_push_on_a_channel(tmp_path: Path) -> None:
    """A token of an app is of no use for a push subscription, and a channel is no push resource."""
    async with pushing(tmp_path) as pushed:
        world = pushed.world
        token = urlsplit(pushed.granted.uri).path.rpartition("/")[2]
        assert (await world.post(uri=f"{world.service.url}/w/?token={token}")).status == 403
        channel = world.uri.partition("token=")[2]
        assert (await pushed.post(uri=f"{world.service.url}/p/{channel}")).status == 404


async def test_a_topic_replaces_what_waits(tmp_path: Path) -> None:
    """The newest of each topic is kept, and all that have none."""
    async with pushing(tmp_path) as pushed:
        for number, topic in enumerate(["a", "b", "a", None, None, "A"]):
            body = encrypt(KEYS.p256dh, KEYS.auth, str(number).encode()).body
            assert (await pushed.post(body, {"Topic": topic})).status == 201
        async with there(pushed) as device:
            got = [decrypt(KEYS, Envelope.unpack((await device.acknowledge()).body)) for _ in range(5)]
        assert got == [b"1", b"2", b"3", b"4", b"5"]


async def test_a_message_that_waits_can_be_taken_back_once(tmp_path: Path) -> None:
    """DELETE of its URL is 204, and then 404, as it is for one that has reached the device, or is of another subscription."""
    async with pushing(tmp_path) as pushed:
        first, second = [(await pushed.post()).headers["Location"] for _ in range(2)]
        assert (await pushed.post(b"", uri=first, method="DELETE")).status == 204
        again = await pushed.post(b"", uri=first, method="DELETE")
        assert (again.status, "No such message waits" in again.text) == (404, True)
        async with there(pushed, OTHER_KEY) as device:
            other = await device.channel(ANY)
        elsewhere = f"{other.uri}/{second.rpartition('/')[2]}"
        assert (await pushed.post(b"", uri=elsewhere, method="DELETE")).status == 404
        async with there(pushed) as device:
            payload = await device.acknowledge()
            assert second.endswith(payload.id)
            await device.channel(ANY)  # what was acknowledged before has been dealt with
            assert (await pushed.post(b"", uri=second, method="DELETE")).status == 404


async def test_ttl_is_cut_and_zero_is_now_or_never(tmp_path: Path) -> None:
    """The answer says how long it waits, and in words where it reaches no app."""
    async with pushing(tmp_path) as pushed:
        assert (await pushed.post(headers={"TTL": "9" * 19})).headers["TTL"] == str(LONGEST_TTL)
        answer = await pushed.post(headers={"TTL": "0"})
        assert (answer.status, answer.headers["TTL"], answer.text) == (
            *(201, "0"),
            "Dropped: the device is away, and TTL is 0\n",
        )
        pushed.world.clock.time += 61
        assert (await pushed.post()).status == 201
        async with there(pushed) as device:
            assert [(await device.acknowledge()).expires for _ in range(2)][1] == pushed.world.clock() + 60


@pytest.mark.parametrize(("urgency", "priority"), [("very-low", 4), ("low", 3), ("normal", 2), ("high", 1), (None, 2)])
async def test_urgency_is_the_priority(tmp_path: Path, urgency: str | None, priority: int) -> None:
    """By which the device's power state holds it back."""
    async with pushing(tmp_path) as pushed:
        assert (await pushed.post(headers={"Urgency": urgency})).status == 201
        async with there(pushed) as device:
            assert (await device.acknowledge()).priority == priority


async def test_a_subscription_stays_what_it_is_and_its_end_is_put_off(tmp_path: Path) -> None:
    """Asked for again it has the same URL; one of another sender has its own; one that ended is 410."""
    async with pushing(tmp_path) as pushed, there(pushed) as device:
        clock, first = pushed.world.clock, pushed.granted
        assert first.expires == clock() + SUBSCRIPTION_LIFETIME
        clock.time += SUBSCRIPTION_LIFETIME * 0.6
        again = await device.channel(ANY, known_uri=first.uri)
        assert (again.uri, again.expires) == (first.uri, clock() + SUBSCRIPTION_LIFETIME)
        other = await device.channel(OURS, known_uri=first.uri)
        assert other.uri != first.uri
        assert (await pushed.post(uri=other.uri)).status == 401
        await device.send(RevokeChannels(9, "app"))
        await device.receive(ChannelsRevoked)
        answer = await pushed.post()
        assert (answer.status, answer.text) == (410, "The push subscription was ended\n")


async def test_an_app_need_not_be_registered_to_be_subscribed_and_is_not_told_that_it_ended(tmp_path: Path) -> None:
    """Nothing but a wrong key is refused; what was removed is apps, which these are not of."""
    async with pushing(tmp_path) as pushed:
        await pushed.world.service.registrations.remove("contoso")
        async with there(pushed) as device:
            ended = await device.receive(ChannelsRevoked)
            assert pushed.granted.channel not in ended.channels
            await device.send(RequestChannel(2, "unheard.of", f"{ANY}{encode(bytes(65))}", ""))
            assert "base64url" in (await device.receive(ChannelRefused)).text
            await device.channel(OURS, app="unheard.of")


async def test_a_device_may_have_so_many_subscriptions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """More are refused in words, and another device has its own."""
    monkeypatch.setattr(channels, "MAX_SUBSCRIPTIONS", 3)
    async with pushing(tmp_path) as pushed:
        async with there(pushed) as device:
            for app in "bc":
                await device.channel(ANY, app=app)
            await device.send(RequestChannel(2, "d", ANY, ""))
            assert "3 push subscriptions" in (await device.receive(ChannelRefused)).text
        async with there(pushed, OTHER_KEY) as device:
            await device.channel(ANY, app="d")


async def test_strangers_leave_room_for_the_channels_of_apps(tmp_path: Path) -> None:
    """Push subscriptions have half of the places at most, whatever device asks for them."""
    async with pushing(tmp_path, settings=ServiceSettings(max_channels=4)) as pushed:
        async with there(pushed, OTHER_KEY) as device:
            await device.channel(ANY, app="b")
            await device.send(RequestChannel(2, "c", ANY, ""))
            assert "2 push subscriptions" in (await device.receive(ChannelRefused)).text
            await device.channel(pushed.world.app.remote_id)
        async with there(pushed) as device:
            assert (await device.channel(ANY, known_uri=pushed.granted.uri)).uri == pushed.granted.uri


async def test_strangers_leave_room_for_what_apps_are_sent(tmp_path: Path) -> None:
    """Messages have half of the places of what waits, whatever subscriptions they are for; room is there again, and a start counts anew."""
    settings = ServiceSettings(max_stored=4)
    async with pushing(tmp_path, settings=settings) as pushed:
        async with there(pushed, OTHER_KEY) as device:
            other = (await device.channel(ANY)).uri
            app = (await device.channel(pushed.world.app.remote_id)).uri
        topic = {"Topic": "t"}
        assert [(await pushed.post(headers=topic)).status for _ in range(3)] == [201] * 3  # the newest of them waits
        assert (await pushed.post(uri=other)).status == 201
        for uri in (pushed.granted.uri, other):
            refused = await pushed.post(uri=uri)
            assert (refused.status, refused.headers["Retry-After"]) == (503, "60")
            assert "no more messages" in refused.text
        assert (await pushed.post(headers=topic)).status == 201
        raw = {"X-WNS-Type": "wns/raw", "Content-Type": "application/octet-stream", "X-WNS-Cache-Policy": "cache"}
        kept = [(await pushed.world.post(uri=app, headers=raw)).headers["X-WNS-Status"] for _ in range(3)]
        assert kept == ["received", "received", "dropped"]
        gauges = pushed.world.service.report().gauges
        assert (gauges["kept"], gauges["kept_messages"]) == (4, 2)
        port = pushed.world.service.port
    async with open_service(tmp_path, evolve(settings, port=port), now=pushed.world.clock) as service:
        gauges = service.report().gauges
        assert (gauges["kept"], gauges["kept_messages"]) == (4, 2)
        async with dial(service) as device:
            await device.greet(OTHER_KEY)
            for _ in range(3):
                await device.acknowledge()
        gauges = service.report().gauges
        assert (gauges["kept"], gauges["kept_messages"]) == (1, 1)


async def test_an_operator_may_give_no_subscriptions(tmp_path: Path) -> None:
    """It is said in words; those that there are stay good."""
    async with pushing(tmp_path) as pushed:
        endpoint = pushed.granted.uri.removeprefix(pushed.world.service.url)
    async with open_world(tmp_path, ServiceSettings(web_push=False)) as world:
        async with dial(world.service) as device:
            await device.greet()
            await device.send(RequestChannel(2, "app", ANY, ""))
            refused = await device.receive(ChannelRefused)
            assert "switched web_push off" in refused.text
        headers = {"TTL": "60", "Content-Encoding": "aes128gcm"}
        async with world.http.post(f"{world.service.url}{endpoint}", data=BODY, headers=headers) as response:
            assert response.status == 201


# Who sends


async def test_a_subscription_for_one_sender_takes_messages_of_no_other(tmp_path: Path) -> None:
    """401 says that a token is wanted, 403 that it is not the right one."""
    async with pushing(tmp_path, OURS) as pushed:
        answer = await pushed.post()
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "vapid")
        assert (await pushed.post(headers=pushed.signed())).status == 201
        answer = await pushed.post(headers=pushed.signed(OTHER))
        assert (answer.status, "another than the subscription" in answer.text) == (403, True)


@pytest.mark.parametrize("sender", [ANY, OURS], ids=["any", "one"])
async def test_a_wrong_token_is_refused_whichever_senders_may_send(tmp_path: Path, sender: str) -> None:
    """Forged, over, too long, or for another push service."""
    async with pushing(tmp_path, sender) as pushed:
        good = pushed.signed()["Authorization"]
        head, _, rest = good.partition(".")
        forged = f"{head}.{encode(json.dumps(claims('x', 1, 'y')).encode())}.{rest.partition('.')[2]}"
        for header, words in (
            (forged, "not signed by its key"),
            (pushed.signed(ahead=-1)["Authorization"], "is over"),
            (pushed.signed(ahead=25 * 3600)["Authorization"], "ends too late"),
            (pushed.signed(audience="https://elsewhere.example")["Authorization"], "another push service"),
        ):
            answer = await pushed.post(headers={"Authorization": header})
            assert (answer.status, words in answer.text) == (403, True), answer.text
        without_port = pushed.world.service.url.rpartition(":")[0]
        assert (await pushed.post(headers=pushed.signed(audience=without_port))).status == 201
        assert (await pushed.post(headers=pushed.signed(ahead=24 * 3600))).status == 201


async def test_a_token_is_verified_once_until_it_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sender shows the same for hours; its end is looked at each time."""
    judges: list[VapidTokens] = []
    refusal = VapidTokens.refusal

    def watch(self: VapidTokens, *said: object) -> object:
        judges.append(self)
        return refusal(self, *said)  # type: ignore[arg-type]

    monkeypatch.setattr(VapidTokens, "refusal", watch)
    async with pushing(tmp_path, OURS) as pushed:
        signed = pushed.signed()
        for _ in range(3):
            assert (await pushed.post(headers=signed)).status == 201
        assert judges[0].verifications == 1
        pushed.world.clock.time += 3601
        answer = await pushed.post(headers=signed)
        assert (answer.status, "is over" in answer.text) == (403, True)


async def test_too_many_are_429_with_a_time(tmp_path: Path) -> None:
    """As senders of Web Push know it."""
    settings = ServiceSettings(channel_rate=1, channel_burst=1)
    async with pushing(tmp_path, settings=settings) as pushed:
        assert (await pushed.post()).status == 201
        answer = await pushed.post()
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")


@pytest.mark.parametrize(("says", "status"), [({}, 415), ({"use_webpush": True}, 201)], ids=["KDE", "Firefox"])
async def test_what_a_device_cannot_read_is_refused_while_it_is_there(
    tmp_path: Path, says: dict[str, object], status: int
) -> None:
    """The older coding, where the device has not said that it knows it."""
    async with open_world(tmp_path, ServiceSettings(browsers=True)) as world:
        assert world.service.browser_url is not None
        async with connect(world.service.browser_url, compression=None) as browser:
            await browser.send(json.dumps({"messageType": "hello", **says}))
            assert json.loads(await browser.recv())["status"] == 200
            asked = {"messageType": "register", "channelID": "5e6e4cf7-26a6-4ec2-a7a2-0b9b6b3a3ab5"}
            await browser.send(json.dumps(asked))
            endpoint = json.loads(await browser.recv())["pushEndpoint"]
            sealed = encrypt(KEYS.p256dh, KEYS.auth, b"x", "aesgcm")
            headers = {"TTL": "60", "Content-Encoding": "aesgcm"}
            headers |= {"Encryption": sealed.encryption, "Crypto-Key": sealed.crypto_key}

            async def acknowledge() -> None:
                message = json.loads(await browser.recv())
                update = {key: message[key] for key in ("channelID", "version")}
                await browser.send(json.dumps({"messageType": "ack", "updates": [{**update, "code": 100}]}))

            async with anyio.create_task_group() as tasks:
                if status == 201:
                    tasks.start_soon(acknowledge)
                async with world.http.post(endpoint, data=sealed.body, headers=headers) as response:
                    assert response.status == status
                    assert ("aes128gcm" in await response.text()) == (status == 415)
