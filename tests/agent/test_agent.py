"""Apps that reach their platform through the agent: several of them, several processes of one, and those that lie."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

import anyio
import pytest
from anyio.abc import TaskStatus

from tests.agent.world import PATIENCE, World, world
from tocsin import (
    Activators,
    IllegalCall,
    PlatformUnavailable,
    PushNotificationActivationInfo,
    StateUnavailable,
    connect,
    embedded,
)
from tocsin import PushNotificationReceivedEventArgs as Args
from tocsin.agent.open_agent import open_agent
from tocsin.agent.sessions_file import NAME
from tocsin.process_session import began
from tocsin.protocol import messages as m
from tocsin.protocol.delivery import session_limits
from tocsin.protocol.messages.codec import decode_own, encode
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.values import AGENT_VERSION
from tocsin.steady import boot
from tocsin.transport.agent_port import AgentPort
from tocsin.transport.frame_stream import FrameStream, StreamBroken

BACKGROUND = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR)


@pytest.fixture
def anyio_backend() -> str:
    """Sockets and SQLite: on asyncio."""
    return "asyncio"


@pytest.fixture
async def w(tmp_path: Path) -> AsyncIterator[World]:
    """Run an agent."""
    async with world(tmp_path) as found:
        yield found


class Inbox:
    """A foreground handler that notes what it gets."""

    def __init__(self) -> None:
        self.send, self.receive = anyio.create_memory_object_stream[Args](100)

    def __call__(self, args: Args) -> None:
        """Note a payload, and handle it."""
        args.handled = True
        self.send.send_nowait(args)

    async def next(self) -> Args:
        """Wait for the next payload."""
        with anyio.fail_after(PATIENCE):
            return await self.receive.receive()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.send.close()
        self.receive.close()


async def living(folder: Path, *, task_status: TaskStatus[World]) -> None:
    """Run an agent in a task of its own, until it is told to end."""
    async with world(folder) as found:
        task_status.started(found)
        await found.end.wait()
    found.ended.set()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110  # there is no event for each of them
            await asyncio.sleep(0.01)


class TestForeground:
    """Handlers of channels."""

    async def test_a_push_reaches_the_handler_of_a_connected_app(self, w: World) -> None:
        """It comes as it was sent."""
        with Inbox() as inbox:
            async with w.connect("mail") as manager:
                channel = await w.channel(manager)
                with channel.push_received(inbox):
                    await w.push(manager, channel, b"\x00\xff binary")
                    assert (await inbox.next()).payload == b"\x00\xff binary"

    async def test_the_newest_process_of_an_app_has_a_channel_and_an_earlier_one_has_it_again(self, w: World) -> None:
        """The last one that attached a handler wins, as long as it lives."""
        with Inbox() as older, Inbox() as newer:
            async with w.connect("mail") as first, w.connect("chat"):
                channel = await w.channel(first)
                with channel.push_received(older):
                    async with w.connect("mail") as second:
                        again = await w.channel(second)
                        assert again.uri == channel.uri
                        with again.push_received(newer):
                            await w.push(first, channel, b"1")
                            assert (await newer.next()).payload == b"1"
                    await w.push(first, channel, b"2")
                    assert (await older.next()).payload == b"2"

    async def test_an_app_takes_nothing_of_another_ones_channel(self, w: World) -> None:
        """Knowing its name is not enough."""
        with Inbox() as inbox:
            async with w.connect("mail") as manager, w.socket_of("thief") as thief:
                channel = await w.channel(manager)
                await thief.send([encode(m.Subscribe(channel._name))])
                with channel.push_received(inbox):
                    await w.push(manager, channel, b"mine")
                    assert (await inbox.next()).payload == b"mine"
                found: list[m.Message] = []
                with anyio.move_on_after(0.1):
                    while True:
                        found += map(decode_own, await thief.receive())
                assert not [each for each in found if isinstance(each, m.Deliveries)]


class TestDeath:
    """Processes that die, and an agent that goes away."""

    async def test_what_a_dead_process_had_comes_to_the_next_with_its_attempt_raised(self, w: World) -> None:
        """Nothing was said of it, so it counts as not handled."""
        with Inbox() as inbox:
            async with w.connect("mail") as manager:
                channel = await w.channel(manager)
                async with w.socket_of("mail") as doomed:
                    await doomed.send([encode(m.Subscribe(channel._name))])
                    await w.push(manager, channel, b"1")
                    with anyio.fail_after(PATIENCE):
                        while not any(isinstance(decode_own(f), m.Deliveries) for f in await doomed.receive()):
                            pass
                with channel.push_received(inbox):
                    args = await inbox.next()
                    assert (args.payload, args.attempt) == (b"1", 2)

    async def test_a_handler_goes_on_while_the_agent_is_away(self, tmp_path: Path) -> None:
        """It is called once, and its outcome counts."""
        calls, go_on = [], anyio.Event()

        async def handler(args: Args) -> None:
            calls.append(args.payload)
            await go_on.wait()
            args.handled = True

        async with anyio.create_task_group() as tasks:
            before = await tasks.start(living, tmp_path)
            async with before.connect("mail") as manager:
                channel = await before.channel(manager)
                with channel.push_received(handler):
                    await before.push(manager, channel, b"1")
                    await until(lambda: bool(calls))
                    before.end.set()
                    await before.ended.wait()
                    assert not manager.status().connected
                    after = await tasks.start(living, tmp_path)
                    await until(lambda: manager.status().connected)
                    go_on.set()
                    await after.push(manager, channel, b"2")
                    await until(lambda: len(calls) > 1)
            after.end.set()
        assert calls == [b"1", b"2"]


class TestStatus:
    """What the app's end says of the platform."""

    async def test_it_is_right_as_soon_as_there_is_a_session(self, w: World) -> None:
        """The welcome says how the platform stands."""
        await until(lambda: w.agent.platform.status().connected)
        port = AgentPort(w.socket, "mail")
        async with port.connected():
            assert port.status().connected

    async def test_another_agent_is_never_none(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """From its welcome on, before it has said anything more."""
        found: list[ConnectionCause | None] = []
        begin_anew = AgentPort._begin_anew

        def look(port: AgentPort) -> None:
            found.append(port.status().connection.cause)
            begin_anew(port)

        monkeypatch.setattr(AgentPort, "_begin_anew", look)
        async with anyio.create_task_group() as tasks:
            before = await tasks.start(living, tmp_path)
            async with before.connect("mail") as manager:
                before.end.set()
                await before.ended.wait()
                assert manager.status().connection.cause is ConnectionCause.NO_AGENT
                after = await tasks.start(living, tmp_path)
                await until(lambda: bool(found))
            after.end.set()
        assert ConnectionCause.NO_AGENT not in found


class TestReunion:
    """An agent at its start, and apps that ran with the one before."""

    async def test_only_apps_whose_processes_still_run_are_waited_for(self, tmp_path: Path) -> None:
        """One of another app keeps none waiting; where it has ended, its app is launched, too."""
        launched = {app: tmp_path / app for app in ("mail", "chat")}

        async def push_to_absent(w: World, app: str) -> None:
            async with w.connect(app, ["/bin/sh", "-c", 'touch "$0"', str(launched[app])]) as manager:
                await manager.register_activator(BACKGROUND)
                channel = await w.channel(manager)
            await w.push(manager, channel, b"1")

        with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process:  # noqa: ASYNC220  # it starts at once
            (tmp_path / "state").mkdir(mode=0o700)
            line = {"boot": boot(), "sessions": [["mail", process.pid, began(process.pid)]]}
            (tmp_path / "state" / NAME).write_text(json.dumps(line), encoding="utf-8")
            async with world(tmp_path) as w:
                await push_to_absent(w, "mail")
                await push_to_absent(w, "chat")
                await until(launched["chat"].exists)
                assert not launched["mail"].exists()
                assert process.stdin is not None
                process.stdin.close()
                await until(launched["mail"].exists)

    async def test_what_comes_before_an_app_is_back_is_for_its_foreground(self, tmp_path: Path) -> None:
        """It was open all the time: no process is started for it, nor is its background given what waits."""
        launched = tmp_path / "launched"
        command = ["/bin/sh", "-c", 'touch "$0"', str(launched)]
        async with world(tmp_path) as w, w.connect("mail", command) as manager:
            await manager.register_activator(BACKGROUND)
            await w.channel(manager)
        with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE) as process, Inbox() as inbox:  # noqa: ASYNC220  # it starts at once
            line = {"boot": boot(), "sessions": [["mail", process.pid, began(process.pid)]]}
            (tmp_path / "state" / NAME).write_text(json.dumps(line), encoding="utf-8")
            async with world(tmp_path) as w, w.connect("mail", command) as manager:
                channel = await w.channel(manager)
                await w.push(manager, channel, b"1")  # committed by the device
                with channel.push_received(inbox):
                    assert (await inbox.next()).payload == b"1"
            assert process.stdin is not None
            process.stdin.close()
        assert not launched.exists()


class TestBackground:
    """Work without a foreground handler."""

    async def test_a_session_that_has_registered_does_the_work(self, w: World) -> None:
        """It need not be the one that asked for the channel."""
        with Inbox() as inbox:
            async with w.connect("mail") as manager, w.connect("mail") as worker:
                channel = await w.channel(manager)
                await worker.register_activator(BACKGROUND, inbox.send.send_nowait)
                await w.push(manager, channel, b"1")
                assert (await inbox.next()).payload == b"1"


class TestLies:
    """Sessions that send what they must not."""

    async def test_an_outcome_of_a_payload_that_a_session_does_not_have_is_not_believed(
        self, w: World, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Not of another app's, nor of another session's; the log hears of it once."""
        done = anyio.Event()

        async def handler(args: Args) -> None:
            await done.wait()
            args.handled = True

        with Inbox() as inbox:
            async with w.connect("mail") as manager, w.socket_of("chat") as other, w.socket_of("mail") as same:
                channel = await w.channel(manager)
                with channel.push_received(handler):
                    await w.push(manager, channel, b"1")
                    for liar in (other, same):
                        for frame in (m.Handled((1,), (1,)), m.Outcomes((m.OutcomeRow(1, 2, "no", 1),))):  # type: ignore[arg-type]
                            await liar.send([encode(frame)] * 3)
                    await asyncio.sleep(0.1)
                    supervisor = w.agent.platform.actors["supervisor"]._actor
                    assert len(supervisor._payloads) == 1  # type: ignore[attr-defined]
                    done.set()
                with channel.push_received(inbox):
                    await w.push(manager, channel, b"2")
                    assert (await inbox.next()).payload == b"2"
        assert sum("does not have" in each.getMessage() for each in caplog.records) == 2

    @pytest.mark.parametrize(
        ("sent", "word"),
        [
            ([b"\xc1"], "array"),
            ([encode(m.Subscribe("c"))], "instead of a hello"),
            ([encode(m.SessionHello(AGENT_VERSION + 1, "mail"))], "upgrade the agent"),
            ([encode(m.SessionHello(AGENT_VERSION, ""))], "name"),
            ([encode(m.SessionHello(AGENT_VERSION, "mail")), encode(m.Fence())], "must not come from there"),
            ([encode(m.SessionHello(AGENT_VERSION, "mail")), b"\xc1"], "array"),
        ],
    )
    async def test_what_an_app_may_not_send_ends_its_session_in_words(
        self, w: World, sent: list[bytes], word: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Others go on."""
        caplog.set_level(logging.WARNING)
        async with await anyio.connect_unix(w.socket) as stream:
            frames = FrameStream(stream, 1 << 20)
            await frames.send(sent)
            last: object = None
            with anyio.fail_after(PATIENCE), suppress(StreamBroken):
                while True:
                    for frame in await frames.receive():
                        last = decode_own(frame)
            assert isinstance(last, m.SessionRefused)
            assert word in last.text
        async with w.connect("mail"):
            pass

    async def test_a_session_takes_so_many_channels_and_no_more(
        self, w: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """The app is told before it asks; one that asks all the same is cut off, and its status says why."""
        monkeypatch.setattr(session_limits, "MAX_SUBSCRIPTIONS", 2)
        async with w.connect("mail") as manager:
            session = manager._session
            session.port.max_subscriptions = 2
            for name in ("c1", "c2", "c2"):
                session.subscribe(name, print)
            with pytest.raises(IllegalCall, match="2 channels at most"):
                session.subscribe("c3", print)
            session.port.max_subscriptions = None
            session.subscribe("c3", print)
            await until(lambda: "2 channels at most" in manager.status().connection.text)
        assert "mail: a session takes the payloads of 2 channels at most" in caplog.text

    async def test_a_frame_of_a_hundred_megabytes_is_refused_by_its_length(self, w: World) -> None:
        """None of it is read."""
        async with await anyio.connect_unix(w.socket) as stream:
            await stream.send((100 * 1024 * 1024).to_bytes(4, "big") + b"x" * 1000)
            with anyio.fail_after(PATIENCE):
                answer = await stream.receive()
            assert b"FrameError" in answer


class TestEnd:
    """An agent that ends because no app needs it."""

    async def test_it_lets_no_app_in_once_that_is_decided(self, w: World) -> None:
        """Neither one that comes then, nor one that was at its door: the app finds no agent, and does not hang."""
        await w.agent.idle(0)
        with anyio.fail_after(PATIENCE):
            with pytest.raises(PlatformUnavailable, match="starts one"):
                async with w.connect("mail"):
                    pass

    async def test_an_app_that_is_being_greeted_keeps_it(self, w: World) -> None:
        """Its hello may come in the next moment, and is answered."""
        async with anyio.create_task_group() as tasks, await anyio.connect_unix(w.socket) as stream:
            await until(lambda: bool(w.agent.platform.sessions.expected))
            ended = anyio.Event()

            async def watch() -> None:
                await w.agent.idle(0)
                ended.set()

            tasks.start_soon(watch)
            with anyio.move_on_after(0.1):
                await ended.wait()
            frames = FrameStream(stream, 1 << 20)
            await frames.send([encode(m.SessionHello(AGENT_VERSION, "mail"))])
            with anyio.fail_after(PATIENCE):
                first, *_ = await frames.receive()
            assert isinstance(decode_own(first), m.SessionWelcome)
            assert not ended.is_set()
            await stream.aclose()
            with anyio.fail_after(PATIENCE):
                await ended.wait()

    async def test_the_welcome_is_of_a_session_that_is_there(self, w: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """An agent that finds no session would end right behind it."""
        let_in: list[set[str]] = []
        send = FrameStream.send

        async def note(stream: FrameStream, frames: list[bytes]) -> None:
            if isinstance(decode_own(frames[0]), m.SessionWelcome):
                let_in.append(w.agent.platform.sessions.apps())
            await send(stream, frames)

        monkeypatch.setattr(FrameStream, "send", note)
        async with w.connect("mail"):
            assert let_in == [{"mail"}]


class TestPlaces:
    """Sockets and folders."""

    async def test_no_agent_is_said_with_the_command_that_starts_one(self, tmp_path: Path) -> None:
        """The app need not wait for it."""
        with pytest.raises(PlatformUnavailable, match=r"'tocsin agent --socket .*none.sock' starts one"):
            async with connect("mail", tmp_path / "none.sock", command=["true"]):
                pass

    @pytest.mark.usefixtures("w")
    async def test_embedded_on_the_folder_of_an_agent_names_connect(self, tmp_path: Path) -> None:
        """The message says what to do instead."""
        with pytest.raises(StateUnavailable, match=r"tocsin\.connect"):
            async with embedded("mail", tmp_path / "state"):
                pass

    async def test_an_agent_goes_on_with_the_folder_that_embedded_has_used(self, tmp_path: Path) -> None:
        """Its channel is the same, and what waited in its inbox comes."""
        async with embedded("mail", tmp_path / "state") as manager:
            assert manager.registration is not None
            found = await manager.create_channel(manager.registration.remote_id)
            assert found.channel is not None
            uri = found.channel.uri
        async with world(tmp_path) as w, w.connect("mail") as manager:
            assert (await w.channel(manager)).uri == uri

    async def test_a_second_agent_on_the_same_socket_is_refused(self, w: World, tmp_path: Path) -> None:
        """The first one keeps it."""
        with pytest.raises(PlatformUnavailable, match="serves on"):
            async with open_agent(tmp_path / "other", w.socket):
                pass
        async with w.connect("mail"):
            pass
