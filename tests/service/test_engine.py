"""The service over PostgreSQL: to senders and devices it is the same, and a folder is never taken for another's."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import anyio
import pytest
from aiohttp import ClientSession

from tests.persistence.postgres_server import PostgresServer, safe_server
from tests.processes import PATIENCE
from tests.service.away import CACHE, store
from tests.service.registry.raced import raced
from tests.service.world import KEY, World, dial, open_world
from tocsin.protocol.errors import StateUnavailable
from tocsin.service.control import ask_or_perform
from tocsin.service.engine import Engine, NodeMemory, count_by_app
from tocsin.service.moving import move_service
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.node_file import NODE_FILE, read_node
from tocsin.service.registry.postgres_service_store import open_postgres_store
from tocsin.service.registry.postgres_target import open_target
from tocsin.service.registry.service_store import MOVE_KEY
from tocsin.service.server import open_service


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    """Return the URL of an empty database."""
    return await postgres.emptied()


def over(url: str, public_url: str = "") -> ServiceSettings:
    """Return the settings of a service over a database."""
    return ServiceSettings.private(engine=url, public_url=public_url)


async def test_everything_outlives_a_restart(tmp_path: Path, url: str) -> None:
    """Port, ids, tokens, channels and what is stored are the same after it; the folder has no store of its own."""
    async with open_world(tmp_path, over(url)) as before:
        await store(before, "for later", CACHE)
    assert _names(tmp_path) == {NODE_FILE}
    async with open_service(tmp_path, over(url), now=before.clock) as service, ClientSession() as http:
        assert (service.port, service.port_changed_from) == (before.service.port, None)
        assert (await service.register("contoso")).remote_id == before.app.remote_id
        after = World(service, before.app, before.clock, http, before.token, before.uri)
        await store(after, "and this", CACHE)
        async with dial(service) as device:
            await device.greet(KEY)
            assert [(await device.acknowledge()).body for _ in range(2)] == [b"for later", b"and this"]
            answers: list[int] = []
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(_post, after, answers)
                assert (await device.acknowledge()).body == b"body"
            assert answers == [200]


async def _post(world: World, answers: list[int]) -> None:
    answers.append((await world.post()).status)


async def test_a_token_is_good_at_another_node(tmp_path: Path, url: str) -> None:
    """One that takes the place of the first, on another folder, has the same key and the same channels."""
    async with open_world(_made(tmp_path / "one"), over(url)) as one:
        pass
    settings = over(url, one.service.url)
    async with open_service(_made(tmp_path / "two"), settings, now=one.clock) as two, ClientSession() as http:
        assert two.url == one.service.url
        other = World(two, one.app, one.clock, http, one.token, "")
        uri = one.uri.replace(f":{one.service.port}/", f":{two.port}/")
        assert (await other.post(uri=uri, headers=CACHE)).status == 200


async def test_a_move_has_a_database_alone(tmp_path: Path, url: str) -> None:
    """Nodes and commands may have it at a time; but neither comes where a service is being moved to, nor that to them."""
    await _start(_made(tmp_path / "folder"))
    async with open_service(_made(tmp_path / "one"), over(url)):
        async with open_service(_made(tmp_path / "two"), over(url)):
            added = await ask_or_perform(tmp_path / "none", {"verb": "add", "name": "contoso", "family": ""}, url)
            assert added["name"] == "contoso"
        with pytest.raises(StateUnavailable, match=r"is served by [a-z0-9-]+: end these nodes first"):
            await move_service(tmp_path / "folder", url, lambda *_: None)
    async with open_target(url):
        with pytest.raises(
            StateUnavailable, match="a service is being moved into: wait until 'tocsin migrate' has ended"
        ):
            await _start(tmp_path / "two", url)
        with pytest.raises(StateUnavailable, match="wait until 'tocsin migrate' has ended"):
            await ask_or_perform(tmp_path / "none", {"verb": "list"}, url)
        with pytest.raises(StateUnavailable, match="in use by another process of Tocsin: end that first"):
            await move_service(tmp_path / "folder", url, lambda *_: None)
        assert [each[0] for each in await count_by_app(url, 0.0)] == ["contoso"]  # to look is allowed
    await _start(tmp_path / "two", url)


async def test_nodes_that_say_other_urls_are_told(tmp_path: Path, url: str, caplog: pytest.LogCaptureFixture) -> None:
    """A channel leads to where the node said that gave it."""
    caplog.set_level(logging.WARNING)
    urls = ["https://push.example", "https://push.example", "https://new.example"]
    for number, public_url in enumerate(urls):
        await _start(_made(tmp_path / f"{number}"), url, public_url)
    warned = [record.getMessage() for record in caplog.records if record.name == "tocsin.service.engine"]
    assert [each[:96] for each in warned] == [
        "channels lead to https://new.example from now on, those from before to https://push.example: bot"
    ]


async def test_first_nodes_that_say_other_urls_are_told(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Though they start in one moment, and neither finds a URL."""
    caplog.set_level(logging.WARNING)
    async with open_postgres_store(url) as one, open_postgres_store(url) as other:
        engines = [Engine(store, cast("NodeMemory", None), store) for store in (one, other)]
        urls = ["https://push.example", "https://new.example"]
        keeping = [partial(engine.keep_url, url) for engine, url in zip(engines, urls, strict=True)]
        assert await raced(url, "LOCK TABLE meta IN SHARE MODE", *keeping) == [None, None]
        kept = (await one.meta("url") or b"").decode()
    told = [record.getMessage() for record in caplog.records if record.name == "tocsin.service.engine"]
    assert any(f"channels lead to {kept} from now on" in each for each in told)


async def test_a_folder_is_of_one_engine(tmp_path: Path, url: str) -> None:
    """What is in it and what is in the database are never mixed, whichever option is forgotten."""
    in_folder, of_node = _made(tmp_path / "folder"), _made(tmp_path / "node")
    await _start(in_folder)
    with pytest.raises(
        StateUnavailable, match=f"'tocsin migrate --from {in_folder} --to URL' moves it into a database"
    ):
        await _start(in_folder, url)
    await _start(of_node, url)
    with pytest.raises(StateUnavailable, match=r"is in PostgreSQL.*: give --engine, or TOCSIN_ENGINE") as refused:
        await _start(of_node)
    assert "--undo" not in str(refused.value)  # there is nothing to go back to
    with pytest.raises(StateUnavailable, match="give --engine"):
        await ask_or_perform(of_node, {"verb": "list"})
    with pytest.raises(StateUnavailable, match="give --engine"):
        await count_by_app(of_node, 0.0)
    node = read_node(of_node)
    assert node is not None
    assert (node.port, node.moving) == (node.port or 0, False)


async def test_a_node_is_of_one_service(tmp_path: Path, url: str, postgres: PostgresServer) -> None:
    """With the URL of another database it does not begin a service there, whose channels no device has."""
    await _start(tmp_path, url)
    other = await postgres.make_database()
    with pytest.raises(StateUnavailable, match="of another service than that in PostgreSQL"):
        await _start(tmp_path, other)
    async with open_postgres_store(other) as store:
        assert await store.meta("service") is None


async def test_a_part_of_a_service_is_not_served(tmp_path: Path, url: str) -> None:
    """A database that a move has not ended in."""
    async with open_postgres_store(url) as store:
        await store.set_meta(MOVE_KEY, b"")
    with pytest.raises(StateUnavailable, match=r"has only a part of the service .* run 'tocsin migrate' once more"):
        await _start(tmp_path, url)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"service": 1, "engine": "x", "port": "y", "moving": false}', b"[1]"]
)
async def test_a_damaged_file_is_told(tmp_path: Path, url: str, content: bytes) -> None:
    """It is not taken for that of a new node."""
    (tmp_path / NODE_FILE).write_bytes(content)
    with pytest.raises(StateUnavailable, match=r"node\.json is damaged; it says which database"):
        await _start(tmp_path, url)


async def test_the_commands_work_on_the_database(tmp_path: Path, url: str) -> None:
    """Where no service runs on the folder, which is not made."""
    state = tmp_path / "none"
    added = await ask_or_perform(state, {"verb": "add", "name": "contoso", "family": ""}, url)
    listed = await ask_or_perform(state, {"verb": "list"}, url)
    assert [app["client_id"] for app in listed["apps"]] == [added["client_id"]]
    await _start(_made(tmp_path / "node"), url, "https://push.example")
    hub = await ask_or_perform(state, {"verb": "hub-add", "name": "hub"}, url)
    assert hub["endpoint"] == "https://push.example"
    assert await count_by_app(url, 0.0) == [("contoso", 0, 0)]
    assert not state.exists()


async def test_the_engine_comes_and_goes(tmp_path: Path) -> None:
    """While it is away senders are told so and devices stay; what was received is there when it is back."""
    settings = ServiceSettings.private(acknowledge_timeout=1.0)
    with safe_server() as server:
        url = await server.make_database()
        settings = ServiceSettings.private(engine=url, acknowledge_timeout=1.0)
        async with open_world(tmp_path, settings) as world:
            await store(world, "before", CACHE)
            async with dial(world.service) as connected:
                await connected.greet("another device key, as long as it must be")
                server.kill()
                answer = await world.post(headers=CACHE)
                assert (answer.status, "Retry-After" in answer.headers) == (503, True)
                with anyio.fail_after(PATIENCE):
                    while "store" not in world.service.report().causes:  # noqa: ASYNC110  # its lease says so
                        await anyio.sleep(0.05)
                server.start()
                with anyio.fail_after(20):
                    while (await world.post(b"after", CACHE)).status != 200:  # noqa: ASYNC110  # no sender is told
                        await anyio.sleep(0.05)
                with anyio.fail_after(PATIENCE):
                    while world.service.report().causes:  # noqa: ASYNC110  # what writes no notifications tries again a little later
                        await anyio.sleep(0.05)
                assert connected.socket.close_code is None
            async with dial(world.service) as device:
                await device.greet(KEY)
                assert (await device.acknowledge()).body == b"before"
                while (await device.acknowledge()).body != b"after":
                    pass  # what was refused may have been stored all the same


async def test_a_full_disk_of_the_engine_is_seen(tmp_path: Path, postgres: PostgresServer, url: str) -> None:
    """By who asks whether the service is well, or ready, for as long as nothing can be stored: what is only handed over goes on."""
    name = urlsplit(url).path[1:]

    async def seen(world: World) -> tuple[set[int], dict[str, str], bool]:
        statuses = set()
        for path in ("/healthz", "/readyz"):
            async with world.http.get(world.service.url + path) as answer:
                statuses.add(answer.status)
        async with world.http.get(world.service.url + "/metrics") as answer:
            return statuses, world.service.report().causes, "\ntocsin_store_fails 1.0\n" in await answer.text()

    async with open_world(tmp_path, over(url)) as world:
        assert await seen(world) == ({200}, {}, False)
        await postgres.execute(
            name,
            "CREATE FUNCTION tocsin.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$",
        )
        await postgres.execute(
            name, "CREATE TRIGGER fail BEFORE INSERT ON tocsin.stored FOR EACH ROW EXECUTE FUNCTION tocsin.fail()"
        )
        try:
            assert (await world.post(headers=CACHE)).status == 503
            statuses, causes, is_counted = await seen(world)
            assert (statuses, is_counted) == ({503}, True)
            assert causes["store"].endswith("cannot be written: its disk is full; make room there")
            async with dial(world.service) as device:
                await device.greet(KEY)
                answers: list[int] = []
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_post, world, answers)
                    assert (await device.acknowledge()).body == b"body"
                assert answers == [200]
        finally:
            await postgres.execute(name, "DROP FUNCTION tocsin.fail() CASCADE")
        with anyio.fail_after(PATIENCE):
            while world.service.report().causes:  # noqa: ASYNC110  # a trial says so
                await anyio.sleep(0.05)
        assert await seen(world) == ({200}, {}, False)
        await store(world, "after", CACHE)


async def _start(state: Path, url: str = "", public_url: str = "") -> None:
    async with open_service(state, over(url, public_url)):
        pass


def _made(state: Path) -> Path:
    state.mkdir()
    return state


def _names(state: Path) -> set[str]:
    return {path.name for path in state.iterdir()}
