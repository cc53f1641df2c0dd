"""A push resource against a model of what is promised, over both engines: senders, a device, time and restarts, in any order."""

from __future__ import annotations

from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, cast

import anyio
import pytest
from aiohttp import ClientSession
from anyio.from_thread import start_blocking_portal
from attrs import define, evolve, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.helpers import PATIENCE
from tests.service.world import Answer, Clock, Device, dial
from tocsin.protocol.messages import ChannelsRevoked, RevokeChannels, Suspended
from tocsin.protocol.values import SUBSCRIPTION_LIFETIME
from tocsin.protocol.webpush.envelope import Envelope
from tocsin.protocol.webpush.sender import web_push_sender
from tocsin.protocol.webpush.vapid import claims
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import PushService, open_service
from tocsin.webpush.message_encryption import SubscriptionKeys, decrypt, encrypt
from tocsin.webpush.vapid_keys import VapidKey

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.persistence.postgres_server import PostgresServer

DEVICE = "the key of a device, which is long"
KEYS = SubscriptionKeys.generate()
SEALED = [encrypt(KEYS.p256dh, KEYS.auth, b"%d" % number).body for number in range(40)]
"""Messages; what each says is its number."""

VAPID, OTHER = VapidKey.generate(), VapidKey.generate()
FOR = {"any": web_push_sender(None), "one": web_push_sender(VAPID.public_key)}
"""Whom subscriptions are for."""

SUBSCRIPTIONS = st.sampled_from(list(FOR))


@define
class Waiting:
    """A message that was answered with 201, and has not reached its device."""

    number: int
    topic: str | None
    expires: float
    priority: int
    location: str


@define
class Subscription:
    """One that the device has, or had."""

    uri: str
    ends: float
    revoked: bool = False
    waiting: list[Waiting] = field(factory=list)
    gone: list[str] = field(factory=list)
    """The URLs of messages that do not wait any more."""


class PushResource(RuleBasedStateMachine):
    """The device is away, or there and takes what comes, or there and suspended.

    :param server: has the service's database, which is emptied; None: the service has its own in its folder.
    """

    def __init__(self, server: PostgresServer | None) -> None:
        super().__init__()
        self.clock = Clock()
        self.stack = ExitStack()
        self.state = Path(self.stack.enter_context(TemporaryDirectory()))
        self.portal = self.stack.enter_context(start_blocking_portal())
        self.settings = ServiceSettings(engine=self.portal.call(server.emptied)) if server else ServiceSettings()
        self.http: ClientSession
        self.service: PushService
        self.device: Device | None = None
        self.suspended = False
        self.known: dict[str, Subscription] = {}
        self.ended: list[Subscription] = []
        self.sent = 0
        self.port = 0
        self._life = self.stack.enter_context(ExitStack())
        self._connection = ExitStack()
        self._begin()

    # The service and its device

    def _begin(self) -> None:
        self._life.enter_context(self.portal.wrap_async_context_manager(self._running()))

    @asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            self.service = await stack.enter_async_context(open_service(self.state, self.settings, now=self.clock))
            self.http = await stack.enter_async_context(ClientSession())
            yield

    @asynccontextmanager
    async def _dialled(self) -> AsyncIterator[Device]:
        async with dial(self.service) as device:
            await device.greet(DEVICE)
            yield device

    def _call(self, work: Callable[[], Awaitable[object]]) -> None:
        async def in_time() -> None:
            with anyio.fail_after(PATIENCE):
                await work()

        self.portal.call(in_time)

    def _living(self, subscription: Subscription) -> bool:
        return not subscription.revoked and subscription.ends > self.clock()

    def _forget_expired(self) -> None:
        for each in self.known.values():
            gone = [one for one in each.waiting if one.expires <= self.clock() or not self._living(each)]
            each.gone += [one.location for one in gone]
            each.waiting = [one for one in each.waiting if one not in gone]

    @precondition(lambda self: self.device is None)
    @rule()
    def device_comes(self) -> None:
        """It is sent all that waits, in its order."""
        self._forget_expired()
        self.device = self._connection.enter_context(self.portal.wrap_async_context_manager(self._dialled()))
        self._call(self._take_all)

    async def _take_all(self) -> None:
        """Take what waits: of each subscription what was promised, and nothing else."""
        assert self.device is not None
        expected = [one for each in self.known.values() for one in each.waiting]
        for want in sorted(expected, key=lambda one: one.number):
            payload = await self.device.acknowledge()
            got = decrypt(KEYS, Envelope.unpack(payload.body))
            assert (got, payload.priority, payload.expires) == (b"%d" % want.number, want.priority, want.expires)
            assert want.location.endswith(payload.id)
        for each in self.known.values():
            each.gone += [one.location for one in each.waiting]
            each.waiting.clear()

    @precondition(lambda self: self.device is not None)
    @rule()
    def device_leaves(self) -> None:
        """What comes waits."""
        self._connection.close()
        self.device, self.suspended = None, False

    @precondition(lambda self: self.device is not None)
    @rule()
    def device_is_suspended_or_goes_on(self) -> None:
        """What comes waits while it cannot store; then it is sent that."""
        self.suspended = not self.suspended
        self._forget_expired()
        self._call(self._tell_suspended)

    async def _tell_suspended(self) -> None:
        assert self.device is not None
        await self.device.send(Suspended(suspended=self.suspended))
        if not self.suspended:
            await self._take_all()
        await self.device.send(RevokeChannels(7, "no such app"))
        await self.device.receive(ChannelsRevoked)  # what was said before has been heard

    @rule()
    def service_restarts(self) -> None:
        """On the same state; the device has to come again."""
        self._connection.close()
        self.device, self.suspended = None, False
        self._life.close()
        self._begin()

    @rule(seconds=st.sampled_from([1.0, 30.0, 3600.0, SUBSCRIPTION_LIFETIME * 0.6]))
    def time_passes(self, seconds: float) -> None:
        """Messages expire, and tokens; subscriptions, too, that were not asked for in a year."""
        self.clock.time += seconds

    # Subscriptions

    @precondition(lambda self: self.device is not None and not self.suspended)
    @rule(key=SUBSCRIPTIONS)
    def app_subscribes(self, key: str) -> None:
        """It has the same endpoint as before while that lives, and its end is put off; else another."""
        self._forget_expired()
        self._call(lambda: self._subscribe(key))

    async def _subscribe(self, key: str) -> None:
        assert self.device is not None
        before = self.known.get(key)
        granted = await self.device.channel(FOR[key], known_uri=before.uri if before else "")
        if before is None or not self._living(before):
            assert before is None or granted.uri != before.uri
            if before is not None:
                self.ended.append(before)
            self.known[key] = Subscription(granted.uri, self.clock() + SUBSCRIPTION_LIFETIME)
            assert granted.expires == self.known[key].ends
        else:
            assert granted.uri == before.uri
            assert granted.expires >= max(before.ends, self.clock() + SUBSCRIPTION_LIFETIME / 2)
            self.known[key] = evolve(before, ends=granted.expires)

    @precondition(lambda self: self.device is not None and self.known)
    @rule()
    def app_ends_all(self) -> None:
        """Its subscriptions end, and what waits for them."""
        for each in self.known.values():
            each.revoked = True
        self._forget_expired()
        self._call(self._end_all)

    async def _end_all(self) -> None:
        assert self.device is not None
        await self.device.send(RevokeChannels(8, "app"))
        await self.device.receive(ChannelsRevoked)

    # Senders

    @precondition(lambda self: self.known and self.sent < len(SEALED))
    @rule(
        key=SUBSCRIPTIONS,
        ttl=st.sampled_from([0, 20, 4000, 100_000]),
        topic=st.none() | st.sampled_from(["a", "b"]),
        urgency=st.sampled_from(["very-low", "low", "normal", "high"]),
    )
    def sender_posts(self, key: str, ttl: int, topic: str | None, urgency: str) -> None:
        """201 means that the device has it, or that it waits until then, its end, or a newer one of its topic."""
        if key in self.known:
            self._forget_expired()
            self._call(lambda: self._post(key, ttl, topic, urgency))

    async def _post(self, key: str, ttl: int, topic: str | None, urgency: str) -> None:
        to, number, came = self.known[key], self.sent, list[str]()
        self.sent += 1
        reaches = self.device is not None and not self.suspended and self._living(to)

        async def take() -> None:
            assert self.device is not None
            payload = await self.device.acknowledge()
            came.append(payload.id)
            assert decrypt(KEYS, Envelope.unpack(payload.body)) == b"%d" % number

        async with anyio.create_task_group() as tasks:
            if reaches:
                tasks.start_soon(take)
            headers = {"TTL": str(ttl), "Urgency": urgency, "Content-Encoding": "aes128gcm"}
            headers |= {"Topic": topic} if topic else {}
            answer = await self._ask("POST", to.uri, SEALED[number], headers | self._signed(key))
        if not self._living(to):
            assert answer.status == 410
        elif not ttl and self.suspended:
            assert (answer.status, "Retry-After" in answer.headers) == (503, True)
        else:
            assert (answer.status, answer.headers["TTL"]) == (201, str(ttl))
            assert ("Dropped" in answer.text) is (not ttl and not reaches)
            self._promise(
                to, Waiting(number, topic, self.clock() + ttl, _PRIORITY[urgency], answer.headers["Location"]), came
            )

    def _promise(self, to: Subscription, new: Waiting, came: list[str]) -> None:
        if came or new.expires <= self.clock():
            assert not came or new.location.endswith(came[0])
            to.gone.append(new.location)
            return
        replaced = [one for one in to.waiting if new.topic is not None and one.topic == new.topic]
        to.gone += [one.location for one in replaced]
        to.waiting = [one for one in to.waiting if one not in replaced] + [new]

    @precondition(lambda self: any(each.waiting or each.gone for each in self.known.values()))
    @rule(data=st.data())
    def sender_takes_back(self, data: st.DataObject) -> None:
        """204 for a message that waits, which comes no more; 404 for any other; 410 where its subscription has ended."""
        self._forget_expired()
        to = data.draw(st.sampled_from([each for each in self.known.values() if each.waiting or each.gone]))
        location = data.draw(st.sampled_from([*(one.location for one in to.waiting), *to.gone]))
        waits = [one for one in to.waiting if one.location == location]
        self._call(lambda: self._take_back(location, 204 if waits else 404 if self._living(to) else 410))
        to.waiting = [one for one in to.waiting if one not in waits]
        to.gone.append(location)

    async def _take_back(self, location: str, status: int) -> None:
        assert (await self._ask("DELETE", location)).status == status

    @precondition(lambda self: self.known)
    @rule(key=SUBSCRIPTIONS)
    def a_stranger_posts(self, key: str) -> None:
        """One whose key is another, or who shows none, reaches no subscription that is for one sender; nothing waits of it."""
        to = self.known.get(key)
        if to is not None and self._living(to):
            self._call(lambda: self._post_as_stranger(key, to))

    async def _post_as_stranger(self, key: str, to: Subscription) -> None:
        headers = {"TTL": "60", "Content-Encoding": "aes128gcm"}
        expired = claims(self.service.url, self.clock() - 1, "mailto:o@example.com")
        for signed in (self._signed("one", OTHER), {"Authorization": VAPID.sign(expired)}, {}):
            if key == "one":
                answer = await self._ask("POST", to.uri, SEALED[0], headers | signed)
                assert answer.status == (403 if signed else 401)
        answer = await self._ask("POST", to.uri[:-1] + ("A" if to.uri[-1] != "A" else "B"), SEALED[0], headers)
        assert answer.status == 404

    @precondition(lambda self: self.ended)
    @rule(data=st.data())
    def sender_posts_to_what_has_ended(self, data: st.DataObject) -> None:
        """410, or 404 when it is forgotten; another subscription of the same app and key is not meant."""
        to = data.draw(st.sampled_from(self.ended))
        self._call(lambda: self._post_in_vain(to))

    async def _post_in_vain(self, to: Subscription) -> None:
        headers = {"TTL": "60", "Content-Encoding": "aes128gcm"} | self._signed("one")
        assert (await self._ask("POST", to.uri, SEALED[0], headers)).status in {404, 410}

    def _signed(self, key: str, by: VapidKey = VAPID) -> dict[str, str]:
        said = claims(self.service.url, self.clock() + 3600, "mailto:o@example.com")
        return {"Authorization": by.sign(said)} if key == "one" else {}

    async def _ask(self, method: str, uri: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Answer:
        skip = ["Content-Type"]
        async with self.http.request(method, uri, data=body, headers=headers, skip_auto_headers=skip) as response:
            return Answer(response.status, response.headers, await response.text())

    def teardown(self) -> None:
        """In the end the device comes, and has all that was promised."""
        try:
            if self.suspended:
                self.device_is_suspended_or_goes_on()
            if self.device is None:
                self.device_comes()
        finally:
            self._connection.close()
            self._life.close()
            self.stack.close()


_PRIORITY = {"high": 1, "normal": 2, "low": 3, "very-low": 4}


@pytest.mark.hypothesis
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_push_resource_keeps_what_it_promises(engine: str, request: pytest.FixtureRequest) -> None:
    """Whatever senders, the device and the operator do, in whatever order."""
    server = request.getfixturevalue("postgres") if engine == "postgres" else None
    machine = cast("type[PushResource]", partial(PushResource, server))  # it is called, and no more
    share = 3 if engine == "sqlite" else 6
    few = settings(max_examples=settings().max_examples // share, stateful_step_count=25)
    run_state_machine_as_test(machine, settings=few)
