"""Questions of an app to an agent that goes away: what becomes of each depends on whether the agent was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
import pytest
from anyio.abc import SocketStream, TaskStatus
from attrs import fields

from tests.agent.world import PATIENCE
from tocsin import Activators, PlatformUnavailable, PushNotificationActivationInfo, PushNotificationManager, connect
from tocsin.actors.routes import FROM_APPS
from tocsin.api import questions
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import decode_own, encode
from tocsin.protocol.messages.unpacking import MAX_OWN_FRAME
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.values import AGENT_VERSION
from tocsin.transport import agent_port
from tocsin.transport.agent_port import AgentPort
from tocsin.transport.frame_stream import FrameStream, StreamBroken
from tocsin.transport.unix_server import serving_unix

TRIGGER = PushNotificationActivationInfo(Activators.PUSH_TRIGGER)
STANDING = m.PlatformStanding(None, connected=True, cause=None, text="", since=0.0, due=0.0)


@pytest.fixture
def anyio_backend() -> str:
    """Sockets: on asyncio."""
    return "asyncio"


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no agent when the app leaves."""
    monkeypatch.setattr("tocsin.api.connect.PARTING", 0.01)


class Heard:
    """What an agent was told, and whether it answers."""

    def __init__(self, *, answers: bool) -> None:
        self.answers = answers
        self.questions: list[m.RegisterActivator] = []
        self.asked = anyio.Event()

    async def serve(self, stream: SocketStream) -> None:
        """Greet an app, and hear it."""
        frames = FrameStream(stream, MAX_OWN_FRAME)
        try:
            await frames.receive()
            await frames.send([encode(m.SessionWelcome(AGENT_VERSION, "mail/1", b"", encode(STANDING)))])
            while True:
                for message in map(decode_own, await frames.receive()):
                    if isinstance(message, m.RegisterActivator):
                        self.questions.append(message)
                        self.asked.set()
                        if self.answers:
                            await frames.send([encode(m.Done(message.request))])
        except StreamBroken:
            pass


@asynccontextmanager
async def agent(socket: Path, *, answers: bool = True) -> AsyncIterator[Heard]:
    """Play an agent."""
    heard = Heard(answers=answers)
    async with serving_unix(socket, heard.serve, at_once=10, what="an app"):
        yield heard


@asynccontextmanager
async def app(socket: Path) -> AsyncIterator[PushNotificationManager]:
    """Connect an app to an agent, which goes away then."""
    end = anyio.Event()

    async def first(*, task_status: TaskStatus[None]) -> None:
        async with agent(socket):
            task_status.started()
            await end.wait()

    async with anyio.create_task_group() as tasks:
        await tasks.start(first)
        async with connect("mail", socket, command=["/bin/true"]) as manager:
            end.set()
            while manager.status().connection.cause is not ConnectionCause.NO_AGENT:  # noqa: ASYNC110  # it has no event
                await anyio.sleep(0.001)
            yield manager


async def test_a_question_waits_for_the_next_agent(tmp_path: Path) -> None:
    """It is asked when there is one, once, and its answer comes."""
    socket = tmp_path / "a.sock"
    with anyio.fail_after(PATIENCE):
        async with app(socket) as manager, anyio.create_task_group() as tasks:
            done = anyio.Event()

            async def ask() -> None:
                await manager.register_activator(TRIGGER)
                done.set()

            tasks.start_soon(ask)
            await anyio.sleep(0.05)
            assert not done.is_set()
            async with agent(socket) as heard:
                await done.wait()
                assert len(heard.questions) == 1


async def test_a_question_for_which_no_agent_comes_fails_in_these_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not asked of one that comes later."""
    monkeypatch.setattr(questions, "ASK_TIMEOUT", 0.05)
    socket = tmp_path / "a.sock"
    with anyio.fail_after(PATIENCE):
        async with app(socket) as manager:
            with pytest.raises(PlatformUnavailable, match=r"no agent .* nothing was asked"):
                await manager.register_activator(TRIGGER)
            monkeypatch.undo()
            async with agent(socket) as heard:
                await manager.register_activator(TRIGGER)
                assert len(heard.questions) == 1


async def test_a_question_that_the_agent_has_heard_fails_when_it_goes(tmp_path: Path) -> None:
    """At once, though there is no other; the next one is not asked, as the app has heard that this is over."""
    socket = tmp_path / "a.sock"
    with anyio.fail_after(PATIENCE):
        async with app(socket) as manager:

            async def ask() -> None:
                with pytest.raises(PlatformUnavailable, match="the agent has gone: whether it was done is not known"):
                    await manager.register_activator(TRIGGER)

            async with anyio.create_task_group() as first, agent(socket, answers=False) as silent:
                first.start_soon(ask)
                await silent.asked.wait()
            async with agent(socket) as heard:
                await manager.register_activator(TRIGGER)
                assert len(heard.questions) == 1


def test_of_what_could_not_be_sent_questions_are_forgotten_and_outcomes_are_not(tmp_path: Path) -> None:
    """A question that has failed would be done by the next agent, and answered to none."""
    port, handled = AgentPort(tmp_path / "a.sock", "mail"), encode(m.Handled((1,), (1,)))
    port._unsent = [encode(m.CloseChannel(1, "c1")), handled, encode(m.CreateChannel(2, "id"))]
    port._lose_agent()
    assert port._unsent == [handled]


def test_what_has_an_answer_is_a_question() -> None:
    """Of all that an app may send; a question that is sent on to the next agent is answered to none."""
    numbered = {kind for kind in FROM_APPS if any(each.name == "request" for each in fields(cast(Any, kind)))}
    assert numbered - {m.CancelCreateChannel} == agent_port._QUESTIONS  # its answer is that of what it takes back


async def test_an_agent_that_cuts_an_app_off_again_and_again_is_asked_less_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A welcome is no success until the session has lasted."""
    failures: list[int] = []
    enough = anyio.Event()

    class Noted:
        def wait(self, number: int, _: float) -> float:
            failures.append(number)
            if len(failures) == 4:
                enough.set()
            return 0.001

    async def cut_off(stream: SocketStream) -> None:
        frames = FrameStream(stream, MAX_OWN_FRAME)
        await frames.receive()
        welcome = m.SessionWelcome(AGENT_VERSION, "mail/1", b"", encode(STANDING))
        await frames.send([encode(welcome), encode(m.SessionRefused("ProtocolViolation", "no", 0))])

    monkeypatch.setattr("tocsin.transport.agent_port.RECONNECT", Noted())
    async with serving_unix(tmp_path / "a.sock", cut_off, at_once=10, what="an app"):
        with anyio.fail_after(PATIENCE):
            async with connect("mail", tmp_path / "a.sock", command=["/bin/true"]):
                await enough.wait()
    assert failures[:4] == [1, 2, 3, 4]
