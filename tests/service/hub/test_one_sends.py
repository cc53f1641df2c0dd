"""Of several nodes one sends what hubs have accepted, and the next goes on where it stopped."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import anyio
import asyncpg
import pytest
from anyio.abc import TaskGroup
from attrs import Factory, define, evolve

from tests.helpers import PATIENCE
from tests.persistence.postgres_server import PostgresServer
from tests.service.world import Clock
from tocsin.followers import Followers
from tocsin.protocol.hub.descriptions import RegistrationDescription
from tocsin.protocol.hub.hub_outcomes import HubOutcome
from tocsin.protocol.hub.hub_refused import HubRefused
from tocsin.protocol.hub.message_life import Event, Phase
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.notification import Notification
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.outbox import PushResult
from tocsin.service.hub import hub_sender
from tocsin.service.hub.hub_sender import HubSender
from tocsin.service.hub.message_work import MessageWork
from tocsin.service.hub.registration_limit import RegistrationLimit
from tocsin.service.hub.target_delivery import TargetDelivery
from tocsin.service.hub.target_pages import TargetPages
from tocsin.service.nodes.change_follower import ChangeFollower
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.access_tokens import AccessTokens
from tocsin.service.registry.apps import Apps
from tocsin.service.registry.change_feed import ChangeKind
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.hub_rows import registration_to_row
from tocsin.service.registry.hub_store import HubRow, MessageRow, channel_of
from tocsin.service.registry.hubs import Hubs
from tocsin.service.registry.postgres_service_store import PostgresServiceStore, open_postgres_store
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.senders.dispatch import Dispatcher

TARGETS = 500
REGISTRATION = (
    "hub",
    "id",
    "etag",
    "channel",
    "uri",
    "tags",
    "expires",
    "template",
    "variables",
    "tile",
    "installation",
)
HEADERS = (("x-wns-type", "wns/raw"), ("content-type", "application/octet-stream"))


@define(eq=False)
class Devices500:
    """Devices that are all connected, whichever node asks, and have what they were handed, by its id."""

    had: list[tuple[str, str, str]] = Factory(list)
    """The node, the channel and the id."""
    answers: bool = True
    on_push: Callable[[], object] = lambda: None
    offline: Any = Factory(lambda: SimpleNamespace(recurring=RepeatLog()))

    def of(self, node: str) -> Devices:
        """Return them as a node sees them."""

        def push_now(
            channel: ChannelRow, payload: Payload, _: Notification, settled: Callable[[PushResult], None]
        ) -> bool:
            self.had.append((node, channel.name, payload.id))
            self.on_push()
            if self.answers:
                asyncio.get_running_loop().call_soon(settled, PushResult.ACKNOWLEDGED)
            return True

        return cast("Devices", SimpleNamespace(push_now=push_now, offline=self.offline))


@define(eq=False)
class Node:
    """A node of a service."""

    store: PostgresServiceStore
    hubs: Hubs
    sender: HubSender


@define(eq=False)
class Nodes:
    """Two nodes over one store; ``leader`` is the one that sends."""

    one: Node
    other: Node
    leader: list[str]
    devices: Devices500
    hub: HubRow


@asynccontextmanager
async def open_node(
    url: str, name: str, leader: Iterable[str], devices: Devices500, clock: Clock
) -> AsyncIterator[Node]:
    """Open a node."""
    async with open_postgres_store(url) as store:
        recurring, limits, counters = RepeatLog(), Limits(ServiceSettings(), anyio.current_time), Counters()
        follower = ChangeFollower(store.changes, recurring)
        await follower.begin()
        apps = await Apps.load(store, clock)
        channels = Channels(store, apps, "http://host:1", clock)
        hubs = await Hubs.load(store.hubs, apps, clock)
        here = devices.of(name)
        dispatcher = Dispatcher(channels.directory, await AccessTokens.load(store, apps, clock), here, limits, clock)

        def deliver(tasks: TaskGroup) -> TargetDelivery:
            return TargetDelivery(dispatcher, here, hubs, limits, counters, Followers(), recurring, clock, tasks)

        pages = TargetPages(store.hubs, channels.directory)
        sender = HubSender(
            *(store.hubs, hubs, pages, deliver, recurring, clock, store.hubs, lambda: name in leader),
        )

        async def look(_: object) -> None:
            sender.look()

        async with follower.following({ChangeKind.MESSAGES: look}), sender.running():
            yield Node(store, hubs, sender)


async def _register(url: str, client_id: str, hub: HubRow, expires: float) -> None:
    """Keep 500 channels, each with a registration."""
    channels, registrations = [], []
    for number in range(TARGETS):
        uri = f"http://host:1/w/?token=t{number}"
        channels.append((channel_of(uri), f"c{number}", client_id, "app", f"d{number}", expires, False))
        registrations.append(registration_to_row(hub.id, RegistrationDescription(f"r{number}", uri, ())))
    link = await asyncpg.connect(url)
    await link.copy_records_to_table("channels", records=channels, schema_name="tocsin")
    await link.copy_records_to_table(
        "hub_registrations", records=registrations, schema_name="tocsin", columns=REGISTRATION
    )
    await link.close()


@pytest.fixture
async def nodes(postgres: PostgresServer, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Nodes]:
    """Run two nodes, with a hub that has 500 registrations; neither leads."""
    monkeypatch.setattr(hub_sender, "LOOK_EVERY", 0.002)
    url, leader, devices = await postgres.emptied(), cast("list[str]", []), Devices500()
    async with open_postgres_store(url) as store:
        apps = await Apps.load(store, clock)
        made = await apps.add("contoso")
        hubs = await Hubs.load(store.hubs, apps, clock)
        await hubs.add("contoso")
        hub = hubs.hubs()[0]
        await _register(url, made.client_id, hub, clock() + 99)
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(open_node(url, name, leader, devices, clock)) for name in ("one", "other")
        ]
        yield Nodes(one, other, leader, devices, hub)


def message(hub: HubRow, id_: str, due: float | None = None) -> MessageRow:
    """Make a message for all."""
    phase = Phase.ENQUEUED if due is None else Phase.SCHEDULED
    return MessageRow(0, id_, hub.id, phase, "windows", "", HEADERS, b"body", 1.8e9, due=due)


async def ended(nodes: Nodes, id_: str, phase: Phase = Phase.COMPLETED) -> MessageRow:
    """Wait until a message has ended, as any node tells it."""
    with anyio.fail_after(PATIENCE):
        while True:
            row = await nodes.one.store.hubs.message(nodes.hub.id, id_)
            if row is not None and row.ended is not None:
                assert row.phase is phase
                return row
            await anyio.sleep(0.01)


async def test_who_leads_sends_what_the_other_has_accepted(nodes: Nodes) -> None:
    """It is woken by what is stored; nothing is sent before there is a leader."""
    await nodes.one.sender.accept(message(nodes.hub, "first"))
    await anyio.sleep(0.05)
    assert not nodes.devices.had
    nodes.leader.append("other")
    await ended(nodes, "first")
    await nodes.one.sender.accept(message(nodes.hub, "second"))
    row = await ended(nodes, "second")
    assert row.tally.of(HubOutcome.SUCCESS) == TARGETS
    assert Counter(node for node, _, _ in nodes.devices.had) == {"other": 2 * TARGETS}


@pytest.mark.parametrize("answers", [True, False])
async def test_the_next_goes_on_in_the_middle(nodes: Nodes, answers: bool) -> None:
    """Each target is handed over, what is handed over again has the id that it had, and each is counted once."""

    def pass_on() -> None:
        if len(nodes.devices.had) >= TARGETS * 2 // 3 and nodes.leader == ["one"]:
            nodes.leader[:] = ["other"]
            nodes.devices.answers = True

    nodes.devices.on_push, nodes.devices.answers = pass_on, answers
    nodes.leader.append("one")
    await nodes.other.sender.accept(message(nodes.hub, "first"))
    row = await ended(nodes, "first")
    assert row.tally.of(HubOutcome.SUCCESS) == TARGETS
    ids: dict[str, set[str]] = {}
    for _, channel, id_ in nodes.devices.had:
        ids.setdefault(channel, set()).add(id_)
    assert len(ids) == TARGETS
    assert {len(each) for each in ids.values()} == {1}
    by = Counter(node for node, _, _ in nodes.devices.had)
    assert by["one"] < TARGETS
    assert by["other"] >= TARGETS - by["one"]


async def test_a_number_that_comes_late_is_not_passed_over(nodes: Nodes) -> None:
    """Its message was stored behind one with a higher number."""
    nodes.leader.append("one")
    late = await nodes.other.store.hubs.next_number()
    await nodes.one.sender.accept(message(nodes.hub, "first"))
    await ended(nodes, "first")
    await nodes.other.store.hubs.add_message(evolve(message(nodes.hub, "late"), number=late))
    await ended(nodes, "late")


async def test_messages_of_both_nodes_have_numbers_of_their_own(nodes: Nodes) -> None:
    """However many come at once, and each is counted as waiting until one leads."""
    async with anyio.create_task_group() as tasks:
        for number in range(20):
            node = (nodes.one, nodes.other)[number % 2]
            tasks.start_soon(node.sender.accept, message(nodes.hub, f"m{number}"))
    assert await nodes.one.store.hubs.count_waiting(99) == 20
    assert await nodes.one.store.hubs.count_waiting(5) == 5
    rows = await nodes.one.store.hubs.open_messages(Phase.ENQUEUED, 0, 99)
    assert len({row.number for row in rows}) == 20


async def test_what_another_node_has_just_made_is_not_taken_for_what_was_removed(nodes: Nodes, clock: Clock) -> None:
    """A hub, and an app with its channel: here the one that sends is told of no change, as it may be late."""
    store = nodes.other.store
    apps = await Apps.load(store, clock)
    made = await apps.add("fabrikam")
    hubs = await Hubs.load(store.hubs, apps, clock)
    await hubs.add("fabrikam", "fabrikam")
    hub = hubs.hubs()[-1]
    uri = "http://host:1/w/?token=new"
    await store.add_channel(
        ChannelRow(channel_of(uri) or b"", "new", made.client_id, "app", "device", clock() + 99, revoked=False)
    )
    await store.hubs.save_registration(hub.id, RegistrationDescription("new", uri, ()))
    nodes.leader.append("one")
    await nodes.other.sender.accept(message(hub, "first"))
    row = await ended(evolve(nodes, hub=hub), "first")
    assert row.tally.of(HubOutcome.SUCCESS) == 1
    assert [each.name for each in await store.hubs.hubs()] == ["contoso", "fabrikam"]
    assert (await store.hubs.counts(hub.id)).registrations == 1


async def test_a_message_of_a_hub_that_was_removed_goes_with_it(nodes: Nodes) -> None:
    """With all that was kept for it meanwhile, and nothing of another hub."""
    store = nodes.other.store
    hubs = nodes.other.hubs
    await hubs.remove("contoso")
    await nodes.one.hubs.reload()
    await store.hubs.save_registration(nodes.hub.id, RegistrationDescription("late", "http://host:1/w/?token=late", ()))
    await hubs.add("fabrikam")
    nodes.leader.append("one")
    await nodes.other.sender.accept(message(nodes.hub, "first"))
    with anyio.fail_after(PATIENCE):
        while await store.hubs.message_of_any("first") is not None:  # noqa: ASYNC110  # there is no event for it
            await anyio.sleep(0.01)
    assert (await store.hubs.counts(nodes.hub.id)).registrations == 0
    await store.hubs.forget_rest(hubs.hubs()[0].id)
    assert [each.name for each in await store.hubs.hubs()] == ["fabrikam"]
    assert len(await store.hubs.keys()) == 3


async def test_a_message_is_either_cancelled_or_sent(nodes: Nodes, clock: Clock) -> None:
    """Whichever node does the one, and which the other, at the same time."""
    hubs = nodes.one.store.hubs
    for number, late in enumerate((False, True)):
        id_ = f"m{number}"
        await nodes.one.sender.accept(message(nodes.hub, id_, clock() + 9))
        works = []
        for node in (nodes.one, nodes.other):
            work = MessageWork(id_, node.store.hubs, RepeatLog(), _no_targets, clock)
            assert await work.load()
            works.append(work)
        if late:
            assert await works[0].start_when_due(disowned=False)
            assert not await works[1].cancel()
            assert works[1].row.phase is Phase.PROCESSING
            await works[0].step(Event.CONCLUDED)
        else:
            assert await works[1].cancel()
            assert not await works[0].start_when_due(disowned=False)
        row = await hubs.message_of_any(id_)
        assert row is not None
        assert row.phase is (Phase.COMPLETED if late else Phase.CANCELLED)


async def _no_targets(_: MessageRow) -> int:
    return 0


async def test_what_another_node_has_scheduled_is_sent_when_due_or_cancelled(nodes: Nodes, clock: Clock) -> None:
    """By whichever node its sender reaches."""
    nodes.leader.append("one")
    await nodes.other.sender.accept(message(nodes.hub, "soon", clock()))
    await ended(nodes, "soon")
    await nodes.other.sender.accept(message(nodes.hub, "later", clock() + 60))
    await nodes.one.sender.cancel(nodes.hub, "later")
    await ended(nodes, "later", Phase.CANCELLED)
    with pytest.raises(HubRefused):
        await nodes.other.sender.cancel(nodes.hub, "later")


async def test_a_hub_is_full_when_others_have_filled_it(nodes: Nodes) -> None:
    """Once what is there is counted anew."""
    limit = RegistrationLimit(nodes.one.store.hubs, TARGETS + 2)
    await limit.add(nodes.hub, 1)
    for number in range(2):
        registration = RegistrationDescription(f"more{number}", f"http://host:1/w/?token=m{number}", ())
        await nodes.other.store.hubs.save_registration(nodes.hub.id, registration)
    await limit.add(nodes.hub, 1)
    limit.recount()
    with pytest.raises(HubRefused, match="502"):
        await limit.add(nodes.hub, 1)
