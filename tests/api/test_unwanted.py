"""A device on which notifications are off: what its service hears, what its apps are told, and that local ones go on."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

import tocsin
from tests.api.test_renewal import granted, later
from tests.helpers import PATIENCE, payload
from tests.world import REMOTE_ID, Gathered, World, world
from tocsin.api.operation import PushNotificationCreateChannelResult
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ChannelRefused, Message, RequestChannel, UnwantedChanged
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.platform.unwanted import NOTHING, Unwanted
from tocsin.protocol.values import RENEW_BEFORE
from tocsin.protocol.values import PushNotificationChannelStatus as Status

CLOUD = (HResult.WPN_E_CLOUD_DISABLED, "group policy forbids notifications from the network")
APP = (HResult.WPN_E_NOTIFICATION_DISABLED, "the notifications of this app are switched off")


async def forbid(w: World, wanted: str) -> None:
    """Switch notifications off: all from the network, or those of the app."""
    if wanted == "cloud":
        await w.manager.conditions.set_host(cloud_notifications=False)
    else:
        await w.manager.conditions.set_app(notifications=False)


async def allow(w: World) -> None:
    """Switch all of them on again."""
    await w.manager.conditions.set_host(cloud_notifications=True)
    await w.manager.conditions.set_app(notifications=True)


async def refuse(w: World) -> None:
    """Refuse a request for now."""
    request = await w.service.expect(RequestChannel)
    await w.service.send(ChannelRefused(request.request, HResult.ERROR_TIMEOUT, "later", None))


async def down(w: World) -> None:
    """Wait until there is no connection by policy."""
    with anyio.fail_after(PATIENCE):
        while w.manager.status().connection.cause is not ConnectionCause.CLOUD_DISABLED:  # noqa: ASYNC110  # it has no event
            await anyio.sleep(0.001)


def failed(result: PushNotificationCreateChannelResult, code: HResult, text: str) -> bool:
    """Tell whether a request has failed so."""
    found = result.status, result.extended_error, result.detail
    return (found, result.channel) == ((Status.COMPLETED_FAILURE, code, text), None)


async def test_the_service_is_told_then_there_is_no_connection_until_it_is_allowed(tmp_path: Path) -> None:
    """The status says why, in words; allowed again, it is made at once, and payloads come."""
    seen = Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()
        await forbid(w, "cloud")
        assert await w.service.expect(Message) == UnwantedChanged(Unwanted(everything=True))
        await down(w)
        status = w.manager.status().connection
        assert (status.connected, status.hresult, status.next_attempt) == (False, HResult.WPN_E_CLOUD_DISABLED, None)
        assert status.text == (
            "group policy forbids notifications from the network, and with them a connection to the push service"
        )
        assert w.service.dials == 1
        await allow(w)
        await w.service.accept()
        assert await w.service.expect(Message) == UnwantedChanged(NOTHING)
        with channel.push_received(lambda args: seen.add(args.id)):
            await w.service.send(payload("A"))
            await seen.wait_for(1)
        assert w.manager.status().connection.connected


@pytest.mark.parametrize(("wanted", "failure"), [("cloud", CLOUD), ("app", APP)])
@pytest.mark.parametrize("asked", ["before", "connected", "waiting"])
async def test_a_channel_request_fails_at_once(
    tmp_path: Path, wanted: str, failure: tuple[HResult, str], asked: str
) -> None:
    """One that is made then, one that the service has been asked, and one that waits for its next attempt."""
    async with world(tmp_path) as w:
        if asked == "before":
            await forbid(w, wanted)
        operation = w.manager.create_channel(REMOTE_ID)
        if asked == "connected":
            await w.service.expect(RequestChannel)
        if asked == "waiting":
            await refuse(w)
            await anext(aiter(operation))
            await anyio.wait_all_tasks_blocked()
        if asked != "before":
            await forbid(w, wanted)
        with anyio.fail_after(PATIENCE):
            assert failed(await operation, *failure)


async def test_what_was_forbidden_may_be_asked_for_again(tmp_path: Path) -> None:
    """Allowed, the next request is granted; nothing is left of the one that failed."""
    async with world(tmp_path) as w:
        for wanted in ("cloud", "app"):
            await forbid(w, wanted)
            assert (await w.manager.create_channel(REMOTE_ID)).channel is None
            if wanted == "cloud":
                await down(w)
            await allow(w)
            if wanted == "cloud":
                await w.service.accept()
        await w.channel()


async def test_a_request_that_waits_from_before_the_start_fails_by_a_policy_of_now(tmp_path: Path) -> None:
    """It is not made again, and nothing is left of it."""
    async with world(tmp_path) as w:
        await w.manager.conditions.set_app(notifications=True)
        operation = w.manager.create_channel(REMOTE_ID)
        await refuse(w)
        await anext(aiter(operation))
        await anyio.wait_all_tasks_blocked()
        assert len(await w.platform._store.requests()) == 1
        await forbid(w, "app")
        await operation
        assert await w.platform._store.requests() == []


async def test_a_channel_is_not_renewed_while_its_app_is_off(tmp_path: Path) -> None:
    """And is, as soon as that is on again."""
    async with world(tmp_path) as w:
        await granted(w, "c1", RENEW_BEFORE + 100)
        await forbid(w, "app")
        await later(w, 200)
        assert await w.service.expect(Message) == UnwantedChanged(Unwanted(apps=(w.manager.app,)))
        await allow(w)
        assert {type(await w.service.expect(Message)) for _ in range(2)} == {UnwantedChanged, RequestChannel}


SWITCHES = [
    ("set_host", "cloud_notifications", "raw", "Group policy on the device forbids notifications from the network"),
    ("set_app", "notifications", "raw", "Notifications of the app are switched off on the device"),
    ("set_app", "toasts", "toast", "Notifications of this type are switched off on the device"),
]


async def test_a_sender_reads_dropped_with_the_reason_until_it_is_allowed(tmp_path: Path) -> None:
    """With a service of its own, over real sockets: while the device has no connection, and while an app or a type is off."""
    seen = Gathered()
    async with tocsin.embedded(app="contoso.mail", state=tmp_path, sensors=()) as manager:
        own = manager.registration
        assert own is not None
        channel = (await manager.create_channel(own.remote_id)).channel
        assert channel is not None
        async with tocsin.WnsClient(own.client_id, own.client_secret, token_url=own.token_url) as client:

            async def read(kind: str, words: str | None) -> None:
                """Send until the answer has these words."""
                with anyio.fail_after(PATIENCE):
                    while (await client.send(channel.uri, "<toast/>", type=kind, cache=True)).description != words:
                        pass

            with channel.push_received(lambda args: seen.add(args.id)):
                for number, (method, field, kind, words) in enumerate(SWITCHES, 1):
                    change = getattr(manager.conditions, method)
                    await change(**{field: False})
                    await read(kind, words)
                    await change(**{field: True})
                    await read(kind, None)
                    await seen.wait_for(number)
                assert manager.status().connection.connected
