"""Browsers, whatever they do: nothing is lost, nothing comes when it has ended, and nothing comes twice to the newest connection.

And Firefox is given another key where none of its subscriptions is known any more, and never else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from itertools import count
from typing import Any

from attrs import Factory, define
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.service.devices.browser_world import BrowserWorld, PlayedBrowser, settle
from tests.service.nodes.virtual_loop import VirtualLoop
from tocsin.service.devices.browser_connection import SETTLING
from tocsin.service.devices.outbox import PushResult
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.channel_directory import ChannelFault

FIREFOX, KDE = UAIDS = "a" * 32, "b" * 32
LONG = 1_000_000


@define(eq=False)
class Subscription:
    """What the model knows of one: the messages that were taken for it, in order."""

    uaid: str
    channel_id: str
    endpoint: str
    is_live: bool = True
    is_lost: bool = False
    """The service has forgotten it."""
    is_believed: bool = True
    """The browser takes it for one that lives."""
    taken: list[str] = Factory(list)


@define(eq=False)
class Socket:
    """A connection; how many messages it had got when the model looked last, and when another took its place."""

    uaid: str
    browser: PlayedBrowser
    seen: int = 0
    overtaken: int = 0


class BrowserMachine(RuleBasedStateMachine):
    """Firefox and KDE's distributor come and go with several connections, subscribe, are pushed to, acknowledge; the service starts anew."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.world = BrowserWorld(ServiceSettings.private(device_window=4))
        self.sockets: list[Socket] = []
        self.subscriptions: list[Subscription] = []
        self.done: set[str] = set()
        """What was acknowledged."""
        self.names = count()
        self.failures: list[BaseException] = []

    def play(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Let something happen, and all that it leads to at that moment."""

        async def whole() -> Any:
            result = await work
            await settle()
            return result

        return self.loop.run_until_complete(whole())

    def act(self, *calls: Callable[[], None]) -> None:
        """Let a browser do something."""

        async def all_of_it() -> None:
            for call in calls:
                call()

        self.play(all_of_it())

    @initialize()
    def start(self) -> None:
        """Start the service."""
        self.play(self.world.start())

    @rule(uaid=st.sampled_from(UAIDS))
    def comes(self, uaid: str) -> None:
        """A browser connects, perhaps once more; what Firefox believes to have afterwards is what there is."""
        its = [each for each in self.subscriptions if each.uaid == uaid]
        is_known = any(each.is_live for each in its)
        others = [socket for socket in self.sockets if socket.uaid == uaid]
        had = self.world.keys.get(uaid)
        for socket in others:
            socket.overtaken = len(socket.browser.versions)
        self.sockets.append(Socket(uaid, self.play(self.world.greeted(uaid, firefox=uaid is FIREFOX))))
        if uaid is KDE or is_known or others:
            assert self.world.keys[uaid] == had or had is None
        else:
            assert self.world.keys[uaid] not in {uaid, had}
            for each in its:
                each.is_believed = False
        assert uaid is KDE or all(each.is_live for each in its if each.is_believed)

    @precondition(lambda self: all(socket.uaid is KDE for socket in self.sockets))
    @rule()
    def comes_in_vain(self) -> None:
        """The store cannot say what there is: Firefox is sent away without an answer, and comes again another time."""

        async def visit() -> None:
            browser = self.world.connect()
            self.world.store.is_readable = False
            browser.hello(self.world.keys.get(FIREFOX, FIREFOX))
            await settle()
            self.world.store.is_readable = True
            assert browser.told == []
            assert browser.closed is not None
            browser.leave()

        self.play(visit())

    @precondition(lambda self: self.sockets)
    @rule(data=st.data())
    def leaves(self, data: st.DataObject) -> None:
        """A connection is cut."""
        socket = data.draw(st.sampled_from(self.sockets))
        self.look()
        self.sockets.remove(socket)
        self.act(socket.browser.leave)

    @precondition(lambda self: self.sockets)
    @rule(data=st.data())
    def subscribes(self, data: st.DataObject) -> None:
        """On any of its connections."""
        socket = data.draw(st.sampled_from(self.sockets))
        channel_id = f"{next(self.names):08}-0000-4000-8000-000000000000"
        endpoint = self.play(self.world.subscribed(socket.browser, channel_id))
        self.subscriptions.append(Subscription(socket.uaid, channel_id, endpoint))

    @precondition(lambda self: self.sockets and self.subscriptions)
    @rule(data=st.data())
    def unsubscribes(self, data: st.DataObject) -> None:
        """On any of its connections; what was sent before is looked at before."""
        socket = data.draw(st.sampled_from(self.sockets))
        its = [each for each in self.subscriptions if each.uaid == socket.uaid]
        if its:
            subscription = data.draw(st.sampled_from(its))
            self.look()
            self.act(partial(socket.browser.unregister, subscription.channel_id))
            assert socket.browser.last["status"] == 200
            subscription.is_live = subscription.is_believed = False

    @precondition(lambda self: self.subscriptions)
    @rule(data=st.data(), number=st.integers(1, 6))
    def is_pushed_to(self, data: st.DataObject, number: int) -> None:
        """A subscription that has ended takes nothing."""
        subscription = data.draw(st.sampled_from(self.subscriptions))
        for _ in range(number):
            taken = self.play(self.world.post(subscription.endpoint, ttl=LONG))
            if subscription.is_live:
                assert isinstance(taken, str)
                subscription.taken.append(taken)
            else:
                assert taken is (ChannelFault.UNKNOWN if subscription.is_lost else ChannelFault.REVOKED)

    @precondition(lambda self: self.sockets)
    @rule(data=st.data(), nack=st.booleans())
    def acknowledges(self, data: st.DataObject, nack: bool) -> None:
        """On any of its connections, whatever it has got on any."""
        socket = data.draw(st.sampled_from(self.sockets))
        got = {each for other in self.sockets if other.uaid == socket.uaid for each in other.browser.versions}
        open_ = sorted(got - self.done)
        if open_:
            versions = data.draw(st.lists(st.sampled_from(open_), min_size=1, unique=True))
            self.look()
            self.done.update(versions)
            nacks = [partial(socket.browser.tell, messageType="nack", version=each, code=301) for each in versions]
            self.act(*nacks if nack else [partial(socket.browser.ack, *versions)])

    @rule(seconds=st.sampled_from([SETTLING / 2, SETTLING, 15.0]))
    def waits(self, seconds: float) -> None:
        """Hellos settle, and senders wait no more."""
        self.play(asyncio.sleep(seconds))

    @rule()
    def starts_anew(self, *, loses_state: bool = False) -> None:
        """All connections end; what is stored is there."""
        self.look()

        async def restart() -> None:
            await self.world.devices.aclose()
            for socket in self.sockets:
                socket.browser.leave()
            await settle()
            await (self.world.lose_state() if loses_state else self.world.start())

        self.play(restart())
        self.sockets.clear()

    @rule()
    def loses_its_state(self) -> None:
        """Another service is started in its place, which knows nothing."""
        self.starts_anew(loses_state=True)
        for each in self.subscriptions:
            each.is_live, each.is_lost = False, True
            each.taken.clear()

    @invariant()
    def look(self) -> None:
        """What comes is of a subscription of that browser that lives, was not acknowledged, and comes to the newest connection once."""
        owners = {id_: each for each in self.subscriptions for id_ in each.taken}
        for socket in self.sockets:
            versions = socket.browser.versions
            newest = versions[socket.overtaken :]  # once more where it is the newest once more
            assert len(newest) == len(set(newest))
            for version in versions[socket.seen :]:
                assert version not in self.done
                assert owners[version].uaid == socket.uaid
                assert owners[version].is_live
            socket.seen = len(versions)
            assert socket.browser.closed is None
            assert not socket.browser.failures

    def teardown(self) -> None:
        """Each browser that comes back gets all that was taken and not acknowledged, each subscription's in order; then nothing is left."""
        if not hasattr(self.world, "devices"):
            return
        self.starts_anew()
        self.play(asyncio.sleep(15.0))
        for uaid in UAIDS:
            self.comes(uaid)
            self.play(asyncio.sleep(SETTLING))
            browser = self.sockets[-1].browser
            got: list[str] = []
            while (new := browser.versions[len(got) :]) and len(got) < LONG:
                got += new
                self.look()
                self.done.update(new)
                self.act(partial(browser.ack, *new))
            its = [each for each in self.subscriptions if each.uaid == uaid and each.is_live]
            for subscription in its:
                mine = [each for each in got if each in subscription.taken]
                assert mine == sorted(mine, key=subscription.taken.index)
            assert {each for one in its for each in one.taken} <= self.done
        assert self.world.offline.kept == 0
        assert set(self.world.results.values()) <= {PushResult.STORED, PushResult.ACKNOWLEDGED}
        self.play(self.world.devices.aclose())
        self.loop.close()


TestBrowserMachine = BrowserMachine.TestCase
