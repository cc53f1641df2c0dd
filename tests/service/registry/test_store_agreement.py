"""The service's stores: whatever is called in whatever order, they give the same answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from functools import partial
from typing import Any, cast

import pytest
from anyio.from_thread import start_blocking_portal
from attrs import astuple
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.service.registry.conftest import DurableStore, Making, making
from tests.service.registry.kept import kept_apps
from tests.service.registry.memory_service_store import MemoryServiceStore
from tests.strategies import bodies
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.changed_meanwhile import ChangedMeanwhile
from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.protocol.service.offline_queue import Entry
from tocsin.protocol.values import NotificationType
from tocsin.service.registry.service_store import NO_APPS, AppRow, ChannelRow, KeptApps, SecretRow, ServiceStore

CLIENTS = st.sampled_from(["client1", "client2", "client3"])
NAMES = st.sampled_from(["a", "B", "c"])
DEVICES = st.sampled_from(["d1", "d2"])
HASHES = st.sampled_from([b"h1", b"h2", b"h3", b"\0"])
CHANNELS = st.sampled_from(["c1", "c2"])
SEQUENCES = st.integers(1, 8)
TIMES = st.sampled_from([1.0, 2.0, 3.0])  # few, so that what happens at the same moment is tried
SENDERS = CLIENTS | st.sampled_from(["webpush:", "webpush:key"])
CHANNEL_ROWS = st.builds(ChannelRow, HASHES, CHANNELS, SENDERS, NAMES, DEVICES, TIMES, revoked=st.booleans())
WRITERS = st.sampled_from([0, 1])
READS = st.sampled_from([True, True, True, False])  # whether a writer reads before it writes, as most do
SECRETS = st.lists(st.tuples(HASHES, TIMES, st.none() | TIMES), max_size=3)
_APPS = st.lists(st.text(max_size=3), max_size=2).map(tuple)
UNWANTED = st.builds(
    Unwanted, st.booleans(), st.lists(st.sampled_from(NotificationType)).map(tuple), _APPS, _APPS, _APPS, _APPS
)
Call = Callable[[ServiceStore], Coroutine[Any, Any, Any]]


class BothServiceStores(RuleBasedStateMachine):
    """The store in memory and one that is kept get the same calls, of two writers, each of which has read the apps at some time.

    :param two: whether the one that is kept is opened by each writer for itself.
    """

    def __init__(self, make: Making, *, two: bool) -> None:
        super().__init__()
        self.two = two
        self.read = [NO_APPS, NO_APPS]
        self.stack = ExitStack()
        self.portal = self.stack.enter_context(start_blocking_portal())
        self.memory = MemoryServiceStore()
        self.opening = make(self.stack, self.portal)
        self.reopen()

    def reopen(self) -> None:
        """Open the one that is kept."""
        self.life = ExitStack()
        opened = [self.portal.wrap_async_context_manager(self.opening()) for _ in range(1 + self.two)]
        self.kept: list[DurableStore] = [self.life.enter_context(each) for each in opened]

    def both(self, call: Call, writer: int = 0) -> Any:
        """Call both, and demand that they answer, or fail, alike."""
        answers = [
            self.portal.call(_answer, call, store) for store in (self.memory, self.kept[writer % len(self.kept)])
        ]
        assert answers[0] == answers[1]
        return answers[0]

    def was(self, writer: int, *, reads: bool) -> KeptApps:
        """Return what a writer has read last."""
        if reads:
            self.read[writer] = self.both(kept_apps, writer)
        return self.read[writer]

    @initialize(expires=st.none() | TIMES, ends=TIMES)
    def something_is_kept(self, expires: float | None, ends: float) -> None:
        """For a channel that is live, and for one that was revoked."""
        secrets = [SecretRow(b"h1", "client1", 1.0, None), SecretRow(b"h2", "client1", 2.0, 3.0)]
        self.both(lambda store: store.save_app(AppRow("client1", "a", "remote of client1"), secrets))
        soon = Entry(3, "", "c1", "a", NotificationType.RAW, "", "", 3, 0.0, 1.0, 3.0)
        self.both(lambda store: store.add_stored("d1", soon, b"", []))
        for number, revoked in enumerate((False, True), 1):
            channel = ChannelRow(b"h%d" % number, f"c{number}", "client1", "a", "d1", ends, revoked=revoked)
            entry = Entry(number, "", channel.name, "a", NotificationType.RAW, "", "", 3, 0.0, expires, ends)
            self.both(lambda store, channel=channel: store.add_channel(channel))  # type: ignore[misc]
            self.both(lambda store, entry=entry: store.add_stored("d1", entry, b"", []))  # type: ignore[misc]

    @rule(client=CLIENTS, name=NAMES, family=st.text(max_size=3), secrets=SECRETS, writer=WRITERS, reads=READS)
    def an_app_is_saved(  # what is saved, and by whom
        self, client: str, name: str, family: str, secrets: list[tuple[Any, ...]], writer: int, *, reads: bool
    ) -> None:
        """A new one, one that is there, or instead of another of its name; a secret that is kept already changes nothing.

        Nor does anything that the other writer has changed the apps behind.
        """
        rows = [SecretRow(token_hash, client, created, expires) for token_hash, created, expires in secrets]
        app, was = AppRow(client, name, f"remote of {client}", family), self.was(writer, reads=reads)
        self.both(lambda store: store.save_app(app, rows, was), writer)

    @rule(client=CLIENTS, writer=WRITERS, reads=READS)
    def an_app_is_removed(self, client: str, writer: int, *, reads: bool) -> None:
        """Whether it is there or not."""
        was = self.was(writer, reads=reads)
        self.both(lambda store: store.remove_app(client, was), writer)

    @rule(channel=CHANNEL_ROWS, forget=st.lists(HASHES, max_size=2))
    def a_channel_is_added(self, channel: ChannelRow, forget: list[bytes]) -> None:
        """Where one of its hash or name is left, neither is it added nor is any other forgotten."""
        self.both(lambda store: store.add_channel(channel, forget))

    @rule(channels=st.lists(CHANNEL_ROWS, max_size=2), now=TIMES)
    def channels_are_revoked(self, channels: list[ChannelRow], now: float) -> None:
        """Whether they are there or not."""
        self.both(lambda store: store.revoke(channels, now))

    @rule(channels=st.lists(CHANNEL_ROWS, max_size=2), expires=TIMES)
    def subscriptions_are_prolonged(self, channels: list[ChannelRow], expires: float) -> None:
        """Whether they are there or not; what was revoked stays ended."""
        self.both(lambda store: store.prolong(channels, expires))

    @rule(before=TIMES)
    def channels_are_pruned(self, before: float) -> None:
        """Those that expired before."""
        self.both(lambda store: store.prune_channels(before))

    @rule(
        entry=st.builds(
            Entry,
            *(SEQUENCES, st.text(max_size=3), CHANNELS, NAMES, st.sampled_from(NotificationType)),
            *(
                st.text(max_size=2),
                st.text(max_size=2),
                st.integers(1, 4),
                TIMES,
                st.none() | TIMES,
                TIMES,
                st.booleans(),
            ),
        ),
        device=DEVICES,
        body=bodies(),
        erase=st.lists(SEQUENCES, max_size=3),
    )
    def a_notification_is_stored(self, entry: Entry, device: str, body: bytes, erase: list[int]) -> None:
        """Where its number is in use, neither is it stored nor is any other erased."""
        self.both(lambda store: store.add_stored(device, entry, body, erase))

    @rule(sequences=st.lists(SEQUENCES, max_size=3))
    def notifications_are_erased(self, sequences: list[int]) -> None:
        """Whether they are there or not."""
        self.both(lambda store: store.erase_stored(sequences))

    @rule(now=TIMES)
    def notifications_are_pruned(self, now: float) -> None:
        """As many of each kind."""
        self.both(lambda store: store.prune_stored(now))

    @rule(key=st.sampled_from(["key", "KEY", "other"]), value=st.binary(max_size=3))
    def a_value_is_kept(self, key: str, value: bytes) -> None:
        """The last one counts."""
        self.both(lambda store: store.set_meta(key, value))
        assert self.both(lambda store: store.meta(key)) == value

    @rule(key=st.sampled_from(["key", "third"]), value=st.binary(max_size=3))
    def a_value_is_kept_where_there_is_none(self, key: str, value: bytes) -> None:
        """The first one counts."""
        self.both(lambda store: store.meta_or_set(key, value))

    @rule(device=st.sampled_from(["d1", "d2", "d3"]), unwanted=st.none() | UNWANTED)
    def a_device_does_not_want_something(self, device: str, unwanted: Unwanted | None) -> None:
        """The last word counts, whatever it names."""
        self.both(lambda store: store.set_unwanted(device, unwanted))

    @rule(device=st.sampled_from(["d1", "d2", "d3"]), writer=WRITERS)
    def a_device_is_forgotten(self, device: str, writer: int) -> None:
        """Where it has no channel, and does not want something."""
        self.both(lambda store: store.forget_unwanted(device), writer)

    @rule()
    def the_stores_are_closed_and_opened(self) -> None:
        """The one that is kept is opened anew; the store in memory just goes on."""
        self.life.close()
        self.reopen()

    @rule(now=TIMES, until=TIMES, device=DEVICES, app=NAMES, client=CLIENTS)
    def they_are_asked(self, now: float, until: float, device: str, app: str, client: str) -> None:
        """By time, device and app; where no order was promised, none is looked at."""
        self.both(lambda store: _sorted(store.live_channels(device, app, now)))
        self.both(lambda store: _sorted(store.subscriptions(device, now)))
        self.both(lambda store: store.count_subscriptions(device, now))
        self.both(lambda store: store.newest_channels(now, 2))
        self.both(lambda store: _sorted(store.orphans(device, now)))
        self.both(lambda store: store.devices_of(client, now))
        self.both(lambda store: store.orphaned_devices(now))
        self.both(lambda store: store.devices_with_spent(now))
        self.both(lambda store: store.count_ended(now, until))

    @rule(now=TIMES, app=st.sampled_from(["", "A", "b"]), begins=st.sampled_from(["", "c", "c2", "d", "d1", "e"]))
    def channels_are_sought(self, now: float, app: str, begins: str) -> None:
        """By a part of the app's name, and by how the channel's own or the device's begins."""
        self.both(lambda store: store.find_channels(now, app, begins, 2))

    @invariant()
    def they_agree(self) -> None:
        """On all that is kept."""
        self.both(lambda store: store.apps())
        self.both(lambda store: _sorted(store.secrets()))
        self.both(lambda store: store.channels([b"h1", b"h2", b"h3", b"\0"]))
        for device in ("d1", "d2"):
            self.both(lambda store, device=device: _entries(store, device))  # type: ignore[misc]
        self.both(lambda store: store.stored_bodies(range(10)))
        self.both(lambda store: store.last_stored())
        self.both(lambda store: store.count_stored())
        self.both(lambda store: store.total_stored())
        self.both(lambda store: store.count_channels())
        self.both(lambda store: store.meta("other"))
        self.both(lambda store: store.unwanted())
        self.both(lambda store: store.unwanting_without_channels())

    def teardown(self) -> None:
        """Close everything."""
        self.life.close()
        self.stack.close()


async def _answer(call: Call, store: ServiceStore) -> Any:
    """Return what a call answered, or how the store failed."""
    try:
        return await call(store)
    except (StateUnavailable, ChangedMeanwhile) as failure:
        return type(failure)


async def _sorted(call: Coroutine[Any, Any, list[Any]]) -> list[Any]:
    """Return an answer whose order was not promised."""
    return sorted(await call, key=repr)


async def _entries(store: ServiceStore, device: str) -> list[tuple[Any, ...]]:
    """Return what is stored for a device, so that it can be compared."""
    return [astuple(entry) for entry in await store.stored(device)]


@pytest.mark.hypothesis
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_store_that_is_kept_agrees_with_the_one_in_memory(engine: str, request: pytest.FixtureRequest) -> None:
    """Whatever they are asked, in whatever order."""
    machine = cast(
        "type[BothServiceStores]", partial(BothServiceStores, making(engine, request), two=engine == "postgres")
    )  # it is called, and no more
    share = 4 if engine == "sqlite" else 10  # each question to a server takes four times as long
    few = settings(max_examples=settings().max_examples // share, stateful_step_count=40)
    run_state_machine_as_test(machine, settings=few)
