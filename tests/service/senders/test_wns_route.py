"""The channel route: what becomes of a notification that is accepted."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.service.world import Answer, World, assert_identified, dial, open_world
from tocsin.protocol.messages import ChannelsRevoked, Payload, RevokeChannels, Suspended
from tocsin.protocol.values import MAX_PAYLOAD, NotificationType
from tocsin.service.operations.settings import ServiceSettings

BASE = "PmvzQKgYek6Sdk/T5sWaqw"

YET = ": it may yet come, and once more if it is sent again"
"""The device may have it: no answer of 503 may be taken for one of 200 that says dropped."""


@pytest.mark.parametrize("spelling", ["/?token=", "/w?token=", "/w/?%74oken=", "/w/?a=b&token="])
async def test_a_channel_is_known_in_other_spellings(standing: World, spelling: str) -> None:
    """The path and the query of the URI may be written in the ways that clients make of them."""
    uri = standing.uri.replace("/w/?token=", spelling)
    assert (await standing.post(uri=uri)).status == 200


async def test_a_newer_secret_does_not_end_older_tokens(standing: World) -> None:
    """Registering again leaves the tokens of the app as they are."""
    await standing.service.register("contoso")
    assert (await standing.post()).status == 200


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "Device is offline and X-WNS-Cache-Policy is no-cache"),
        (
            {"X-WNS-Type": "wns/toast", "Content-Type": "text/xml", "X-WNS-TTL": "0"},
            "Device is offline and X-WNS-TTL is 0",
        ),
        (
            {"X-WNS-Type": "wns/toast", "Content-Type": "text/xml", "X-WNS-Cache-Policy": "no-cache"},
            "Device is offline and X-WNS-Cache-Policy is no-cache",
        ),
    ],
)
async def test_what_may_not_wait_for_a_device_that_is_away_is_dropped(
    standing: World, headers: dict[str, str | None], words: str
) -> None:
    """The answer is 200 as WNS gives it, and says that and why the notification was dropped."""
    answer = await standing.post(headers=headers)
    assert (answer.status, answer.text) == (200, "")
    assert answer.headers["X-WNS-Status"] == answer.headers["X-WNS-NotificationStatus"] == "dropped"
    assert answer.reason == words
    assert "X-WNS-DeviceConnectionStatus" not in answer.headers
    assert_identified(answer)


async def test_the_device_status_is_told_on_request(world: World) -> None:
    """Connected or disconnected, but only to who asks."""
    wish: dict[str, str | None] = {"X-WNS-RequestForStatus": "true"}
    assert (await world.post(headers=wish)).headers["X-WNS-DeviceConnectionStatus"] == "disconnected"
    answer, _ = await deliver(world, headers=wish)
    assert answer.headers["X-WNS-DeviceConnectionStatus"] == "connected"


async def deliver(world: World, **request: Any) -> tuple[Answer, Payload]:
    """Post to the device, have it acknowledge, and return what both got."""
    answers, payloads = [], []

    async def post() -> None:
        answers.append(await world.post(**request))

    async with dial(world.service) as device, anyio.create_task_group() as group:
        await device.greet()
        group.start_soon(post)
        payloads.append(await device.acknowledge())
    return answers[0], payloads[0]


async def test_received_means_that_the_device_has_acknowledged(world: World) -> None:
    """The sender's id is the device's id, and the body comes as it was sent."""
    body = bytes(range(256))
    answer, payload = await deliver(world, body=body)
    assert (answer.status, answer.text) == (200, "")
    assert answer.headers["X-WNS-Status"] == answer.headers["X-WNS-NotificationStatus"] == "received"
    assert "X-WNS-Error-Description" not in answer.headers
    assert (payload.id, payload.body, payload.expires) == (answer.headers["X-WNS-Msg-ID"], body, None)
    assert payload.type == NotificationType.RAW
    assert_identified(answer)


async def test_nothing_is_received_before_the_acknowledgement(world: World) -> None:
    """While the device has not acknowledged, the sender has no answer."""
    answers = []

    async def post() -> None:
        answers.append(await world.post())

    async with anyio.create_task_group() as group, dial(world.service) as device:
        await device.greet()
        group.start_soon(post)
        await device.receive(Payload)
        await anyio.wait_all_tasks_blocked()
        assert answers == []
    assert answers[0].headers["X-WNS-Status"] == "dropped"


@pytest.mark.parametrize(("ttl", "life"), [("1", 1.0), ("9999999999", 9_999_999_999.0), ("0", None)])
async def test_a_ttl_becomes_a_time(world: World, ttl: str, life: float | None) -> None:
    """The payload expires so many seconds from now; 0 means now or never, and does not expire on its way."""
    _, payload = await deliver(world, headers={"X-WNS-TTL": ttl})
    assert payload.expires == (None if life is None else world.clock() + life)


async def test_a_toast_is_not_looked_into(world: World) -> None:
    """As with WNS, a malformed toast is the client's to judge."""
    headers = {"X-WNS-Type": "wns/toast", "Content-Type": "text/xml; charset=utf-8"}
    answer, payload = await deliver(world, body=b"<toast", headers=headers)
    assert answer.headers["X-WNS-Status"] == "received"
    assert (payload.type, payload.body) == (NotificationType.TOAST, b"<toast")


async def test_the_longest_payload_passes(world: World) -> None:
    """5,000 bytes are allowed."""
    answer, payload = await deliver(world, body=b"x" * MAX_PAYLOAD)
    assert answer.headers["X-WNS-Status"] == "received"
    assert len(payload.body) == MAX_PAYLOAD


async def test_a_device_that_does_not_acknowledge_is_503(tmp_path: Path) -> None:
    """The sender is told to come back, and whether the device is there."""
    async with open_world(tmp_path, ServiceSettings(acknowledge_timeout=0.05)) as world, dial(world.service) as device:
        await device.greet()
        answer = await world.post()
    assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
    assert answer.reason == "The device is connected, but did not acknowledge the notification in time" + YET
    assert_identified(answer)


async def test_a_device_that_can_store_nothing_is_503(world: World) -> None:
    """Whether the device says so before the notification or after it has got it; it may go on later."""
    async with dial(world.service) as device:
        await device.greet()
        answers: list[Answer] = []

        async def post() -> None:
            answers.append(await world.post())

        async with anyio.create_task_group() as group:
            group.start_soon(post)
            await device.receive(Payload)
            await device.send(Suspended(suspended=True))
        answers.append(await world.post())
        for answer in answers:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert answer.reason == "The device is connected, but cannot store notifications just now" + YET
        await device.send(Suspended(suspended=False), RevokeChannels(7, "nobody"))
        await device.receive(ChannelsRevoked)  # so the one before it has arrived
        async with anyio.create_task_group() as group:
            group.start_soon(post)
            await device.acknowledge()
        assert answers[-1].headers["X-WNS-Status"] == "received"


async def test_a_device_with_too_much_before_it_is_503(tmp_path: Path) -> None:
    """With window and backlog full, the sender is told at once to come back."""
    settings = ServiceSettings(device_window=1, device_backlog=1)
    answers, answered = anyio.create_memory_object_stream[Answer](3)

    async def post() -> None:
        await answers.send(await world.post())

    with answers, answered:
        async with (
            open_world(tmp_path, settings) as world,
            anyio.create_task_group() as group,
            dial(world.service) as device,
        ):
            await device.greet()
            group.start_soon(post)
            await device.receive(Payload)
            group.start_soon(post)  # of these two one waits, and one is refused
            group.start_soon(post)
            busy = await answered.receive()
            assert (busy.status, busy.headers["Retry-After"]) == (503, "1")
            assert busy.reason == "Too many notifications wait for the device: send more slowly"
        others = [answered.receive_nowait().headers["X-WNS-Status"] for _ in range(2)]
    assert others == ["dropped", "dropped"]


@pytest.mark.parametrize(
    ("given", "answered"),
    [(f"{BASE}.7", re.escape(f"{BASE}.7.0")), ("nonsense", "[A-Za-z0-9+/]{21}[AQgw][.]0"), (None, ".{22}[.]0")],
)
async def test_the_correlation_vector_goes_on(standing: World, given: str | None, answered: str) -> None:
    """A sender's vector is extended, and one is begun for who sent none that is valid."""
    assert re.fullmatch(answered, (await standing.post(headers={"MS-CV": given})).headers["MS-CV"])
