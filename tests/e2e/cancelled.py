"""The programs that are cancelled: each uses all that its part of the library offers, from its start to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

import tocsin
from tests.actors.shelling import PlayedDesktop, toast_xml
from tests.e2e.agents import Agent, running_agent
from tests.e2e.cancelling import Program
from tests.helpers import payload
from tests.world import world
from tocsin.persistence.state_folder import state_folder
from tocsin.service.server import open_service
from tocsin.testing import LocalWns, local_wns
from tocsin.testing.twin import open_twin
from tocsin.transport.control_socket import ask, serving_control

BACKGROUND = tocsin.PushNotificationActivationInfo(tocsin.Activators.PROTOCOL_ACTIVATOR)


async def own_service(folder: Path) -> None:
    """An app with a push service of its own: activator, channel, a payload over HTTP to a handler, a command, and the end."""
    async with tocsin.embedded("contoso.mail", folder) as manager:
        registration = manager.registration
        assert registration is not None
        await manager.register_activator(BACKGROUND, lambda _: None)
        channel = (await manager.create_channel(registration.remote_id)).channel
        assert channel is not None
        taken = anyio.Event()

        async def handler(args: tocsin.PushNotificationReceivedEventArgs) -> None:
            await anyio.lowlevel.checkpoint()
            args.handled = True
            taken.set()

        client = tocsin.WnsClient(registration.client_id, registration.client_secret, token_url=registration.token_url)
        async with client:
            with channel.push_received(handler):
                await client.send(channel.uri, b"ding")
                await taken.wait()
        assert await ask(folder, {"verb": "list"}) is not None
        await manager.unregister_all_activators()
        await channel.close()


async def other_service(wns: LocalWns, folder: Path) -> None:
    """An app at a service elsewhere, which leaves while a handler runs and another payload waits."""
    async with AsyncExitStack() as stack:
        manager = await stack.enter_async_context(tocsin.embedded("contoso.mail", folder, wns.url))
        operation = manager.create_channel(wns.remote_id)
        async for _ in operation:
            pass
        channel = (await operation).channel
        assert channel is not None
        client = await stack.enter_async_context(
            tocsin.WnsClient(wns.client_id, wns.client_secret, token_url=wns.token_url)
        )
        begun = anyio.Event()

        async def handler(args: tocsin.PushNotificationReceivedEventArgs) -> None:
            begun.set()
            async with args.get_deferral():
                await anyio.sleep(0.002)

        channel.add_push_received(handler)
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(client.send, channel.uri, b"ding")
        await begun.wait()


async def connected(agent: Agent, folder: Path) -> None:
    """An app of an agent: activator, channel, payloads over HTTP to a handler and to its background work, and the end."""
    del folder  # its state is with the agent
    async with tocsin.connect("contoso.mail", agent.socket, command=["/bin/true"]) as manager:
        registration = manager.registration
        assert registration is not None
        in_background = anyio.Event()
        await manager.register_activator(BACKGROUND, lambda _: in_background.set())
        channel = (await manager.create_channel(registration.remote_id)).channel
        assert channel is not None
        begun = anyio.Event()

        async def handler(args: tocsin.PushNotificationReceivedEventArgs) -> None:
            begun.set()
            async with args.get_deferral():
                await anyio.sleep(0.002)

        client = tocsin.WnsClient(registration.client_id, registration.client_secret, token_url=registration.token_url)
        async with client:
            with channel.push_received(handler):
                await client.send(channel.uri, b"ding")
                await begun.wait()
            await client.send(channel.uri, b"dong")
            await in_background.wait()
        await manager.unregister_all_activators()


async def platform(folder: Path) -> None:
    """The platform alone, with a service that answers in the same turn as the program is cancelled."""
    with state_folder(folder):
        async with world(folder) as w:
            channel = await w.channel()
            taken = anyio.Event()
            with channel.push_received(lambda _: taken.set()):
                await w.service.send(payload("A"), payload("B"))
                await w.service.expect_acknowledged("A", "B")
                await taken.wait()
            operation = w.manager.create_channel("00000000-0000-0000-0000-000000000001")
            await w.service.grant("c2")
            await operation


async def shell(folder: Path) -> None:
    """An app that shows toasts on a desktop that is played, and gets a click, with its badge."""
    desktop, clicked = PlayedDesktop(), anyio.Event()
    desktop.delay = 0.001
    with state_folder(folder):
        async with world(folder, desktop=desktop) as w:
            toasts = w.manager.toasts
            await toasts.on_activated(lambda _: clicked.set())
            await toasts.show(toast_xml(), tag="a", data={"done": "0.1"})
            await toasts.show(tocsin.ToastContentBuilder().add_text("ding"), tag="b")
            await toasts.update({"done": "0.2"}, "a")
            await toasts.remove_by_tag("b")
            await w.manager.badge.set(7)
            desktop.press(1)
            await clicked.wait()
            await toasts.get_all()


async def push_service(folder: Path) -> None:
    """The push service alone, with the command's way to it."""
    with state_folder(folder):
        async with open_service(folder) as service:
            await service.register("contoso.mail")

            async def answer(_: object) -> dict[str, object]:
                return service.report().fields(details=True)

            async with serving_control(folder, answer, "service"):
                assert await ask(folder, {"verb": "status"}) is not None


async def service_for_tests(folder: Path) -> None:
    """The service of ``tocsin.testing``, with its device."""
    with state_folder(folder):
        await _push_to_device(folder)


async def _push_to_device(folder: Path) -> None:
    async with (
        open_twin(folder) as twin,
        tocsin.WnsClient(twin.app.client_id, twin.app.client_secret, token_url=twin.service.token_url) as client,
    ):
        await client.send(twin.channel_uri, b"ding")
        await twin.device.revoke_channels("app")


@contextmanager
def programs() -> Iterator[dict[str, Program]]:
    """Return all, by name; a service runs beside them."""
    with (
        TemporaryDirectory(prefix="tocsin-") as folder,
        local_wns(Path(folder)) as wns,
        running_agent(Path(folder)) as agent,
    ):
        yield {
            "connected": Program(partial(connected, agent), uses_unix_streams=False),
            "own_service": Program(own_service),
            "other_service": Program(partial(other_service, wns)),
            "platform": Program(platform, resumes=False),  # the service that it plays knows nothing of an earlier run
            "shell": Program(shell, resumes=False),  # as above
            "push_service": Program(push_service),
            "service_for_tests": Program(service_for_tests),
        }
        assert "Traceback" not in agent.said, agent.said
