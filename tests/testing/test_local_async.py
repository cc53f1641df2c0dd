"""The local WNS with senders that run in the test's event loop, on asyncio and on trio."""

from __future__ import annotations

import anyio
import pytest

import tocsin
from tests.testing.sending import push, sign_in
from tocsin.testing import LocalWns


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_pushes_are_waited_for_without_blocking_the_loop(wns: LocalWns) -> None:
    """The sender needs the loop while the test waits."""
    token = sign_in(wns)[1]["access_token"]

    async def send() -> None:
        await anyio.lowlevel.checkpoint()
        await anyio.to_thread.run_sync(push, wns, token)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        assert [got.text for got in await wns.wait_for_async()] == ["ding"]


async def test_the_client_gets_along_with_every_fault(wns: LocalWns) -> None:
    """A token that expires, a service that is busy, a channel that goes: all that a sender meets, on real HTTP."""
    policy = tocsin.SendPolicy(first=0.001)
    async with tocsin.WnsClient(wns.client_id, wns.client_secret, policy=policy) as client:
        assert (await client.send(wns.channel_uri, "<toast/>", type="toast", request_status=True)).received
        wns.expire_tokens()
        assert (await client.send(wns.channel_uri, b"1")).attempts == 2
        wns.fail(503, times=2)
        wns.throttle(retry_after=None)
        assert (await client.send(wns.channel_uri, b"2")).attempts == 4
        wns.revoke_channel()
        with pytest.raises(tocsin.ChannelGone, match="refused with 410: Revoked channel URL"):
            await client.send(wns.channel_uri, b"3")
        wns.new_channel()
        wns.go_offline()
        result = await client.send(wns.channel_uri, b"4", cache=False, request_status=True)
        assert (result.status, result.device_connection_status) == ("dropped", "disconnected")
        assert "cache policy 'cache'" in result.explanation
        assert wns.token_requests == 2
    assert [(got.type, got.body) for got in wns.pushes] == [("toast", b"<toast/>"), ("raw", b"1"), ("raw", b"2")]


async def test_the_client_speaks_both_forms_of_the_token_endpoint(wns: LocalWns) -> None:
    """With a token URL, with a tenant, and with credentials that get no token."""
    for client in (
        tocsin.WnsClient(wns.client_id, wns.client_secret, token_url=wns.aad_token_url),
        tocsin.WnsClient(wns.client_id, wns.client_secret, tenant="contoso.example"),
    ):
        async with client:
            assert (await client.send(wns.channel_uri, b"x")).received
    async with tocsin.WnsClient(wns.client_id, "wrong") as client:
        with pytest.raises(tocsin.SenderNotAllowed, match="no access token: invalid_client"):
            await client.send(wns.channel_uri, b"x")


async def test_an_app_may_use_it_as_its_service(wns: LocalWns, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Both ends can be tested at once."""
    state = tmp_path_factory.mktemp("app")
    async with (
        tocsin.embedded("contoso.mail", state, wns.url) as manager,
        tocsin.WnsClient(wns.client_id, wns.client_secret) as client,
    ):
        result = await manager.create_channel(wns.remote_id)
        assert result.channel is not None
        await client.send(result.channel.uri, b"for the app")
        async for args in result.channel.payloads():
            assert args.payload == b"for the app"
            break
        wns.go_offline()  # the test's device is another than the app's
        assert (await client.send(result.channel.uri, b"still there")).received
    assert wns.pushes == []


async def test_an_app_loses_its_service_with_the_network(
    wns: LocalWns, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its connection is cut, and comes back by itself; what was sent meanwhile is there then."""
    state, connected, changed = tmp_path_factory.mktemp("app"), list[bool](), anyio.Event()

    def note(status: tocsin.ConnectionStatus) -> None:
        nonlocal changed
        connected.append(status.connected)
        changed.set()
        changed = anyio.Event()

    async with (
        tocsin.embedded("contoso.mail", state, wns.url) as manager,
        tocsin.WnsClient(wns.client_id, wns.client_secret) as client,
    ):
        result = await manager.create_channel(wns.remote_id)
        assert result.channel is not None
        manager.add_connection_changed(note)
        with wns.host.offline(), anyio.fail_after(10):
            while connected[-1:] != [False]:
                await changed.wait()
            sent = await client.send(result.channel.uri, b"meanwhile", cache=True, request_status=True)
            assert (sent.received, sent.device_connection_status) == (True, "disconnected")
        with anyio.fail_after(10):
            async for args in result.channel.payloads():
                assert args.payload == b"meanwhile"
                break
        assert connected[-1:] == [True]


async def test_an_app_under_test_is_judged_by_the_machine_that_is_played(
    wns: LocalWns, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Its conditions, its settings and the order of its payloads; what a sensor tells no app overwrites."""
    state, got = tmp_path_factory.mktemp("app"), list[bytes]()
    all_there = anyio.Event()

    def handle(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        got.append(args.payload)
        if len(got) == 3:
            all_there.set()

    async with (
        tocsin.embedded(
            "contoso.mail", state, wns.url, sensors=[wns.host.sensor], policy=wns.host.policy_source
        ) as manager,
        tocsin.WnsClient(wns.client_id, wns.client_secret) as client,
    ):
        result = await manager.create_channel(wns.remote_id)
        assert result.channel is not None
        info = tocsin.PushNotificationActivationInfo(
            tocsin.Activators.PROTOCOL_ACTIVATOR, None, [tocsin.SystemConditionType.USER_PRESENT]
        )
        await manager.register_activator(info, handle)
        with pytest.raises(tocsin.IllegalCall, match="this machine tells that itself"):
            await manager.conditions.set_host(user_present=False)
        with wns.host.locked(), wns.host.quiet_hours(), wns.host.policy(apps={"contoso.mail": {"tiles": False}}):
            for body in (b"1", b"2", b"3"):
                await client.send(result.channel.uri, body)
            assert got == []
            assert manager.conditions.host == tocsin.HostState(user_present=False, quiet_hours=True)
            assert manager.conditions.settings == tocsin.AppSettings(tiles=False)
        with anyio.fail_after(10):
            await all_there.wait()
        assert got == [b"1", b"2", b"3"]
        assert manager.conditions.host == tocsin.HostState()
