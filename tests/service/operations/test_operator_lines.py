"""What a service that runs logs for its operator, as ``docs/operating.md`` says it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.service.test_wns import REASONS
from tests.service.operations.log_page import example, lines_of, live
from tests.service.world import Clock, World, dial, open_world
from tocsin.protocol.hub.hub_refused import HubReason
from tocsin.protocol.messages import ChannelRefused, RequestChannel
from tocsin.protocol.service.refusal import RefusalKind
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.access_tokens import AccessTokens
from tocsin.service.registry.apps import Apps
from tocsin.service.registry.service_store import ServiceStore

PAGE = (Path(__file__).parents[3] / "docs" / "operating.md").read_text(encoding="utf-8")
UNKNOWN = "5b2d1c0a-0000-4000-8000-000000000000"


def block(language: str) -> str:
    """Return the block of the page in that language that has such lines."""
    (found,) = re.findall(
        rf"^```{language}\n(.*? devices in .*?|.*?\"refusals\".*?)\n```$", PAGE, re.MULTILINE | re.DOTALL
    )
    return str(found)


async def told_by(state: Path, settings: ServiceSettings, act: Any) -> list[dict[str, Any]]:
    """Run a service while something is done to it; return its lines, without what comes with every line and their moments."""
    with lines_of(as_json=True) as lines:
        async with open_world(state, settings) as world:
            await act(world)
    always = {"time", "level", "logger", "message", "seconds"}
    return [{name: value for name, value in json.loads(line).items() if name not in always} for line in lines]


async def refusals_by(state: Path, act: Any, settings: ServiceSettings | None = None) -> list[tuple[Any, ...]]:
    """Return what was refused: what, why, and of which app, by how often."""
    told = await told_by(state, settings or ServiceSettings(), act)
    return [
        (line["asked"], line["reason"], [(each["app"], each["count"]) for each in line["named"]])
        for line in told
        if line["event"] == "refusals"
    ]


async def test_the_page_shows_what_is_logged(tmp_path: Path) -> None:
    """In words, without what is secret or was made up; ``python -m tests.service.operations.log_page`` prints it."""
    with lines_of(as_json=False) as lines:
        world = await live(tmp_path)
    assert example(lines) == block("text")
    for secret in (world.token, world.uri.partition("token=")[2], world.app.client_secret, "made-up", "roast"):
        assert secret not in "\n".join(lines)


async def test_the_page_shows_what_is_logged_for_programs(tmp_path: Path) -> None:
    """Of the last line, as an object."""
    with lines_of(as_json=True) as lines:
        await live(tmp_path)
    assert example(lines).splitlines()[-1] == block("json")


def test_the_page_names_every_reason() -> None:
    """Those of the service, and those of headers."""
    reasons = {kind.name.lower() for kind in RefusalKind} | REASONS
    assert sorted(reason for reason in reasons if f"`{reason}`" not in PAGE) == []


async def test_a_service_of_which_nothing_is_asked_logs_nothing(tmp_path: Path) -> None:
    """But for what a test's surroundings do to it."""

    async def nothing(_: World) -> None:
        pass

    told = await told_by(tmp_path, ServiceSettings(), nothing)
    assert [line["event"] for line in told] == ["app_added", "devices"]


async def test_devices_of_a_service_that_ends_did_not_go(tmp_path: Path) -> None:
    """One that is replaced by its own next connection neither came nor went."""

    async def act(world: World) -> None:
        async with dial(world.service) as first, dial(world.service) as second:
            await first.greet()
            await second.greet()
            await first.socket.wait_closed()

    (devices,) = [each for each in await told_by(tmp_path, ServiceSettings(), act) if each["event"] == "devices"]
    assert devices == {"event": "devices", "came": 2, "went": 2, "connected": 0}


async def test_who_sends_for_an_app_that_was_removed_is_told_by_its_id(tmp_path: Path) -> None:
    """Its name is forgotten."""

    async def act(world: World) -> None:
        await world.service.registrations.remove("contoso")
        await world.post()
        ids.append(world.app.client_id)

    ids: list[str] = []
    refusals = (await told_by(tmp_path, ServiceSettings(), act))[-1]
    assert refusals["reason"] == "token_of_unknown_app"
    assert refusals["named"] == [{"app": None, "client_id": ids[0], "address": "127.0.0.1", "count": 1}]


async def test_token_requests_are_told_by_their_error(tmp_path: Path) -> None:
    """Of the app where there is one; guessing has a reason of its own."""

    async def act(world: World) -> None:
        for client_id in (world.app.client_id, UNKNOWN, world.app.client_id):
            form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": "wrong"}
            await world.http.post(world.service.token_url, data=form | {"scope": "notify.windows.com"})

    assert await refusals_by(tmp_path, act, ServiceSettings(secret_burst=1)) == [
        ("token", "invalid_client", [("contoso", 1)]),
        ("token", "secret_throttled", [("contoso", 1)]),
        ("token", "unauthorized_client", [(None, 1)]),
    ]


async def test_requests_for_channels_are_told_by_their_result(tmp_path: Path) -> None:
    """The name by which a device calls its app is not shown."""

    async def act(world: World) -> None:
        async with dial(world.service) as device:
            await device.greet()
            for remote_id in (UNKNOWN, world.app.remote_id):
                await device.send(RequestChannel(1, "a name", remote_id, ""))
                await device.receive(ChannelRefused)

    settings = ServiceSettings(grant_burst=2, grant_rate=0.001)
    assert await refusals_by(tmp_path, act, settings) == [
        ("channel", "WNP_E_BIND_USER_BUSY", [("contoso", 1)]),
        ("channel", "WPN_E_INVALID_APP", [(None, 1)]),
    ]


async def test_requests_to_hubs_are_told_by_their_reason(tmp_path: Path) -> None:
    """Of the app whose hub it is."""

    async def act(world: World) -> None:
        await world.service.hubs.add("contoso-hub", "contoso", "")
        for hub in ("contoso-hub", "another"):
            await world.http.post(f"{world.service.url}/{hub}/messages?api-version=2015-01")

    assert await refusals_by(tmp_path, act) == [
        ("hub", "signature_missing", [("contoso", 1)]),
        ("hub", "unknown_hub", [(None, 1)]),
    ]


async def test_connections_that_are_too_many_are_told(tmp_path: Path) -> None:
    """By the limit that they met."""

    async def act(world: World) -> None:
        async with dial(world.service) as one:
            await one.greet()
            with pytest.raises(Exception, match="503"):
                async with dial(world.service):
                    pass

    settings = ServiceSettings(max_connections_per_address=2)
    assert await refusals_by(tmp_path, act, settings) == [("connection", "too_many_of_address", [(None, 1)])]


async def test_the_app_of_a_token_is_known_once_the_token_was_seen(
    store: ServiceStore, registrations: Apps, clock: Clock
) -> None:
    """Also when it has expired since; of a forgery none is known."""
    app = await registrations.register("app")
    tokens = await AccessTokens.load(store, registrations, clock)
    token = tokens.issue(app.client_id)
    assert tokens.holder_of(token) == ""
    clock.time += 10**6
    for each in (token, "forged"):
        tokens.verify(each)
    assert (tokens.holder_of(token), tokens.holder_of("forged")) == (app.client_id, "")


def test_each_reason_of_a_hub_is_in_the_documents() -> None:
    """With the status that the client of the hub gets."""
    row = next(line for line in PAGE.splitlines() if line.startswith("| `hub`, "))
    told = {name: int(status) for names, status in re.findall(r"([`\w, ]+) \((\d+)\)", row) for name in names.split()}
    assert {name.strip("`,"): status for name, status in told.items()} == {each: each.status for each in HubReason}
