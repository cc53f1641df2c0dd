"""What one node writes is known to the others, whatever is committed in which order, and whatever they do not hear."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import asyncpg
import pytest
from attrs import define, field

from tests.helpers import PATIENCE
from tests.persistence.postgres_server import PostgresServer
from tests.service.hub.hub_world import open_hub
from tests.service.world import Clock
from tocsin.protocol.errors import IllegalCall, StateUnavailable
from tocsin.protocol.kernel.changed_meanwhile import ChangedMeanwhile
from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.protocol.service.nodes.device_row import RowChange
from tocsin.protocol.service.nodes.lease_row import Joining
from tocsin.protocol.values import NotificationType
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.nodes import change_follower
from tocsin.service.nodes.change_follower import ChangeFollower, what_follows
from tocsin.service.registry.access_tokens import AccessTokens, TokenFault
from tocsin.service.registry.apps import Apps, SecretVerdict
from tocsin.service.registry.change_feed import ChangeKind
from tocsin.service.registry.channel_directory import ChannelFault
from tocsin.service.registry.channels import Channels, Grant
from tocsin.service.registry.hubs import Hubs
from tocsin.service.registry.node_store import Renewed
from tocsin.service.registry.postgres_service_store import PostgresServiceStore, open_postgres_store
from tocsin.service.registry.postgres_tables import MOST_KEYS
from tocsin.service.url_paths import token_of_uri

NO_TOASTS = Unwanted(types=(NotificationType.TOAST,))


@define(eq=False)
class Registry:
    """What a node keeps in memory."""

    store: PostgresServiceStore
    apps: Apps
    tokens: AccessTokens
    channels: Channels
    hubs: Hubs
    unwanted: UnwantedPushes
    follower: ChangeFollower
    orphaned: set[str] = field(factory=set)
    woken: int = 0

    def wake(self) -> None:
        """Note that a message was heard of."""
        self.woken += 1


@asynccontextmanager
async def open_registry(url: str, clock: Clock) -> AsyncIterator[Registry]:
    """Open the registry of a node."""
    async with open_postgres_store(url) as store:
        recurring = RepeatLog()
        follower = ChangeFollower(store.changes, recurring)
        await follower.begin()
        apps = await Apps.load(store, clock)
        registry = Registry(
            *(store, apps, await AccessTokens.load(store, apps, clock), Channels(store, apps, "http://host:1", clock)),
            await Hubs.load(store.hubs, apps, clock),
            *(await UnwantedPushes.load(store, recurring), follower),
        )
        apps.on_removed = registry.orphaned.update
        parts = (store, apps, registry.channels, registry.hubs, registry.unwanted, registry.wake)
        async with follower.following(what_follows(*parts)):
            yield registry


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    """Return the URL of an empty database."""
    return await postgres.emptied()


@pytest.fixture
async def both(url: str, clock: Clock) -> AsyncIterator[tuple[Registry, Registry]]:
    """Open the registries of two nodes."""
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(open_registry(url, clock)) for _ in range(2)]
        yield one, other


async def until(condition: Callable[[], object]) -> None:
    """Wait for what a node comes to know by itself."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110  # there is no event for it
            await anyio.sleep(0.002)


_LISTEN = "FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' AND datname = current_database()"


@asynccontextmanager
async def listened_to(url: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Wait until both nodes listen, and give what ends the connections by which they do."""
    link = await asyncpg.connect(url)

    async def end() -> None:
        assert len(await link.fetch(f"SELECT pg_terminate_backend(pid) {_LISTEN}")) == 2

    with anyio.fail_after(PATIENCE):
        while await link.fetchval(f"SELECT count(*) {_LISTEN}") < 2:  # noqa: ASYNC110  # as above
            await anyio.sleep(0.002)
    yield end
    await link.close()


async def test_an_app_is_known_everywhere_and_so_is_its_end(both: tuple[Registry, Registry]) -> None:
    """With its secrets and tokens; the other node tells its devices what has ended."""
    one, other = both
    made = await one.apps.add("contoso", "Contoso.App_1")
    await until(lambda: other.apps.known(made.client_id))
    assert other.apps.verify(made.client_id, made.client_secret) is SecretVerdict.VALID
    token = other.tokens.issue(made.client_id)
    assert one.tokens.verify(token) == other.tokens.verify(token) == made.client_id
    granted = await other.channels.grant("device", "app", made.remote_id, "")
    assert isinstance(granted, Grant)
    await one.apps.remove("contoso")
    await until(lambda: not other.apps.known(made.client_id))
    assert other.apps.verify(made.client_id, made.client_secret) is SecretVerdict.UNKNOWN_APP
    assert other.tokens.verify(token) is TokenFault.UNKNOWN_APP
    assert (one.orphaned, other.orphaned) == ({"device"}, {"device"})
    assert other.apps.client_of_family("Contoso.App_1", "contoso") is None


def _has_three_secrets(node: Registry, client_id: str) -> bool:
    return node.apps.living_secrets(client_id) == 3


async def test_secrets_of_two_nodes_are_good_at_both(both: tuple[Registry, Registry]) -> None:
    """The one that was given out at the other node just before is not lost, known here or not."""
    one, other = both
    made = [await one.apps.add("contoso"), await other.apps.rotate("contoso"), await one.apps.rotate("contoso")]
    for node in both:
        await until(partial(_has_three_secrets, node, made[0].client_id))
        assert {node.apps.verify(each.client_id, each.client_secret) for each in made} == {SecretVerdict.VALID}
    with pytest.raises(IllegalCall):
        await other.apps.add("contoso")


async def test_a_secret_that_goes_is_refused_at_the_other_node(both: tuple[Registry, Registry], url: str) -> None:
    """Whichever program has taken it away."""
    one, other = both
    made = await one.apps.add("contoso")
    await until(lambda: other.apps.known(made.client_id))
    link = await asyncpg.connect(url)
    await link.execute("DELETE FROM tocsin.secrets")
    await link.close()
    await until(lambda: all(node.apps.living_secrets(made.client_id) == 0 for node in both))
    verdicts = {node.apps.verify(made.client_id, made.client_secret) for node in both}
    assert verdicts == {SecretVerdict.INVALID_SECRET}


async def test_a_channel_that_was_revoked_leads_nowhere(both: tuple[Registry, Registry]) -> None:
    """Though the other node had it in memory."""
    one, other = both
    made = await one.apps.add("contoso")
    granted = await one.channels.grant("device", "app", made.remote_id, "")
    assert isinstance(granted, Grant)
    token = token_of_uri(granted.uri)
    assert token is not None
    await until(lambda: other.apps.known(made.client_id))
    assert not isinstance(await other.channels.directory.find(token), ChannelFault)
    assert other.channels.directory.known(token) is not None
    assert await one.channels.revoke("device", "app") == (granted.name,)
    await until(lambda: other.channels.directory.known(token) is None)
    assert await other.channels.directory.find(token) is ChannelFault.REVOKED


async def test_what_is_read_while_it_changes_is_not_remembered(
    both: tuple[Registry, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it would be known wrongly for as long as the process runs."""
    one, other = both
    made = await one.apps.add("contoso")
    granted = await one.channels.grant("device", "app", made.remote_id, "")
    assert isinstance(granted, Grant)
    token = token_of_uri(granted.uri)
    assert token is not None
    original = other.store.channels

    async def slow(hashes: Sequence[bytes]) -> object:
        rows = await original(hashes)
        await one.channels.revoke("device", "app")
        await other.follower.look()
        return rows

    monkeypatch.setattr(other.store, "channels", slow)
    await other.channels.directory.kept(token)
    monkeypatch.undo()
    assert other.channels.directory.known(token) is None
    assert await other.channels.directory.kept(token) is not None


async def test_hubs_and_what_is_not_wanted_are_known_everywhere(both: tuple[Registry, Registry]) -> None:
    """A hub's keys, their rotation, its end; what a device has said last, wherever it has."""
    one, other = both
    made = await one.hubs.add("contoso")
    await until(lambda: other.hubs.named("contoso"))
    hub = other.hubs.hubs()[0]
    assert other.hubs.keys_of(hub) == {right: [key] for right, key in made.keys.items()}
    await other.hubs.rotate("contoso")
    await until(lambda: all(len(keys) == 2 for keys in one.hubs.keys_of(hub).values()))
    await one.hubs.remove("contoso")
    await until(lambda: not other.hubs.hubs())
    await one.unwanted.note("device", NO_TOASTS)
    await until(lambda: other.unwanted.known == {"device": NO_TOASTS})
    await other.unwanted.note("device", Unwanted())
    await until(lambda: one.unwanted.known == {})


async def test_what_a_device_says_here_is_not_overwritten_by_what_was_stored_before(
    both: tuple[Registry, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is on its way to the store, what another node has stored is older."""
    one, _ = both
    original = one.store.set_unwanted

    async def slow(device: str, unwanted: Unwanted | None) -> None:
        one.unwanted.follow([device], {})
        await original(device, unwanted)

    monkeypatch.setattr(one.store, "set_unwanted", slow)
    await one.unwanted.note("device", NO_TOASTS)
    assert one.unwanted.known == await one.store.unwanted() == {"device": NO_TOASTS}


async def test_many_rows_at_once_are_one_change(url: str) -> None:
    """Their keys are told up to a number, above that only their kind; a transaction tells the same once."""
    async with open_postgres_store(url) as store:
        place = await store.changes.place()
        link = await asyncpg.connect(url, server_settings={"search_path": "tocsin"})
        insert = "INSERT INTO channels SELECT sha256(n::text::bytea), n::text, 'c', 'a', $1, 9, false FROM generate_series($2::int, $3::int) n"
        await link.execute(insert, "few", 1, MOST_KEYS)
        await link.execute(insert, "many", MOST_KEYS + 1, 9 * MOST_KEYS)
        assert (await store.changes.since(place)).changes == frozenset()
        await link.execute("UPDATE channels SET revoked = true WHERE device = 'none'")
        assert (await store.changes.since(place)).changes == frozenset()
        await link.execute("UPDATE channels SET revoked = true WHERE device = 'few'")
        assert len((await store.changes.since(place)).changes) == MOST_KEYS
        place = await store.changes.place()
        async with link.transaction():
            for _ in range(2):
                await link.execute("UPDATE channels SET revoked = true WHERE device = 'many'")
        ((change),) = (await store.changes.since(place)).changes
        assert (change.kind, change.key) == (ChangeKind.CHANNELS.value, "")
        await link.execute("DELETE FROM channels")
        await link.close()


async def test_what_is_committed_late_is_not_missed(
    both: tuple[Registry, Registry], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a transaction that began before others that were read; what these did is known without waiting for it, and once."""
    one, other = both
    reads = 0
    original = Hubs.reload

    async def reload(self: Hubs) -> None:
        nonlocal reads
        reads += self is other.hubs
        await original(self)

    monkeypatch.setattr(Hubs, "reload", reload)
    link = await asyncpg.connect(url)
    async with link.transaction():
        await link.execute("INSERT INTO tocsin.apps VALUES ('late', 'late', 'remote', '')")
        await one.hubs.add("contoso")
        await until(lambda: other.hubs.named("contoso"))
        for _ in range(5):
            await other.follower.look()
        assert reads == 1
        assert not other.apps.known("late")
    await link.close()
    await until(lambda: other.apps.known("late") and one.apps.known("late"))


async def test_what_is_not_heard_is_found_all_the_same(
    both: tuple[Registry, Registry], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a second: the connection that listens was lost, and cannot be had again."""
    one, other = both

    async def lost(*_: object, **__: object) -> None:
        raise StateUnavailable("planted")

    async with listened_to(url) as end:
        monkeypatch.setattr("tocsin.service.registry.postgres_change_feed.connect", lost)
        monkeypatch.setattr(change_follower, "LOOK_EVERY", 0.05)
        await end()
    await one.apps.add("contoso")
    await until(other.apps.apps)


async def test_a_connection_that_listens_comes_again(
    both: tuple[Registry, Registry], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happened meanwhile is looked for then."""
    one, other = both
    monkeypatch.setattr("tocsin.service.registry.postgres_change_feed._LISTEN_AGAIN", 0.01)
    monkeypatch.setattr(change_follower, "LOOK_EVERY", 1_000.0)
    async with listened_to(url) as end:
        await end()
    await one.apps.add("contoso")
    await until(other.apps.apps)
    await until(lambda: other.follower.lag < 1)


async def test_who_comes_after_changes_were_erased_reads_everything(
    both: tuple[Registry, Registry], url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the changes were of other kinds; who has read them is not disturbed."""
    one, other = both
    behind = await one.store.changes.place()
    made = await one.apps.add("contoso")
    await until(lambda: other.apps.known(made.client_id))
    link = await asyncpg.connect(url)
    await link.execute("UPDATE tocsin.changes SET at = at - interval '2 hours'")
    await one.hubs.add("contoso")
    await one.store.changes.erase()
    await one.store.changes.erase()
    assert await link.fetchval("SELECT count(*) FROM tocsin.changes") == 2
    await link.close()
    kinds = {change.kind for change in (await one.store.changes.since(behind)).changes}
    assert kinds == {ChangeKind.ERASED.value, ChangeKind.HUBS.value}
    assert {change.kind for change in (await other.store.changes.since(other.follower._place)).changes} <= {
        ChangeKind.HUBS.value
    }
    await until(lambda: other.hubs.named("contoso"))
    other.follower._place = behind  # as one that stood still for long
    asked: list[str] = []
    for name, kind in (("apps", Apps), ("hubs", Hubs), ("unwanted", UnwantedPushes)):
        monkeypatch.setattr(kind, "reload", _noting(asked, name))
    await other.follower.look()
    assert asked == ["apps", "hubs", "unwanted"]


def _noting(asked: list[str], name: str) -> Callable[[object], object]:
    async def reload(_: object) -> None:
        asked.append(name)

    return reload


async def test_what_fails_is_applied_at_the_next_look(
    both: tuple[Registry, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that cannot be read leaves nothing out."""
    one, other = both
    failures = [StateUnavailable("planted"), StateUnavailable("planted")]
    original = Apps.reload

    async def reload(self: Apps) -> None:
        if self is other.apps and failures:
            raise failures.pop()
        await original(self)

    monkeypatch.setattr(Apps, "reload", reload)
    monkeypatch.setattr(change_follower, "LOOK_EVERY", 0.01)
    await one.apps.add("contoso")
    await until(other.apps.apps)
    assert not failures


async def test_a_database_that_went_back_is_read_as_a_whole(both: tuple[Registry, Registry]) -> None:
    """It is a copy of the first, whose changes have other numbers."""
    _, other = both
    other.follower._place += 1_000
    await other.follower.look()
    assert other.follower._place == (await other.store.changes.since(0)).place


async def test_a_message_wakes_who_leads(both: tuple[Registry, Registry]) -> None:
    """Whichever node has accepted it."""
    one, other = both
    link = await asyncpg.connect(other.follower._feed._url)  # type: ignore[attr-defined]
    await link.execute(
        """INSERT INTO tocsin.hub_messages (number, id, hub, phase, format, tags, headers, body, accepted, devices, place, tally)
        VALUES (1, 'm', 1, 'ENQUEUED', 'windows', '', '[]', '', 1, '[]', 0, '{}')"""
    )
    await link.close()
    await until(lambda: one.woken and other.woken)


async def test_after_a_lapse_nothing_counts_before_all_is_read(
    both: tuple[Registry, Registry], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that stood still knows what others have changed before it answers; one that cannot ask does not."""
    one, other = both
    failing = True
    original = Hubs.reload

    async def reload(self: Hubs) -> None:
        if self is other.hubs and failing:
            raise StateUnavailable("planted")
        await original(self)

    await until(other.follower.is_fresh)
    monkeypatch.setattr(Hubs, "reload", reload)
    monkeypatch.setattr(change_follower, "LOOK_EVERY", 0.01)
    other.follower.lapse()
    await one.hubs.add("contoso")
    await anyio.sleep(0.05)
    assert (one.follower.is_fresh(), other.follower.is_fresh()) == (True, False)
    failing = False
    await until(other.follower.is_fresh)
    assert other.hubs.named("contoso")
    monkeypatch.setattr(change_follower, "STALE", 0.0)
    assert not one.follower.is_fresh()


async def test_what_a_device_does_not_want_stays_while_it_is_connected_anywhere(
    both: tuple[Registry, Registry],
) -> None:
    """Though it has no channels, and it is another node that prunes."""
    one, other = both
    await one.unwanted.note("device", NO_TOASTS)
    joined = await one.store.nodes.join(Joining("one", "run", "address:1", "1.0"))
    assert isinstance(joined, Renewed)
    change = await one.store.nodes.connect("device", joined.lease.number)
    assert isinstance(change, RowChange)
    await other.unwanted.prune(lambda _: False)
    assert await one.store.unwanted() == {"device": NO_TOASTS}
    with pytest.raises(ChangedMeanwhile):  # as where it comes after that was looked for
        await other.store.forget_unwanted("device")
    home = change.row.home
    assert home is not None
    await one.store.nodes.clear("device", home, joined.lease.number)
    await other.unwanted.prune(lambda _: False)
    await until(lambda: one.unwanted.known == {})


async def test_no_sender_is_judged_by_what_is_not_known(tmp_path: Path) -> None:
    """Tokens and hubs are answered 503 with a time to wait, whatever the secret, until it is known again."""
    async with open_hub(tmp_path) as hub:
        service, app = hub.world.service, hub.world.app
        form = {"grant_type": "client_credentials", "client_id": app.client_id, "client_secret": "wrong"}
        form["scope"] = "notify.windows.com"
        service.registrations.is_current = lambda: False
        async with hub.world.http.post(service.token_url, data=form) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert (await answer.json())["error"] == "temporarily_unavailable"
        answered = await hub.send(b"x")
        assert (answered.status, "This node of the service cannot" in answered.text) == (503, True)
        service.registrations.is_current = lambda: True
        async with hub.world.http.post(service.token_url, data=form) as answer:
            assert answer.status == 400
        assert (await hub.send(b"x")).status == 201
