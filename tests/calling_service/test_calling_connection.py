"""One agent's connection, on virtual time: how it begins, what is answered, and each way in which it ends."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest
import trio.testing

from tests.calling_service.played_agent import ANN, hello, played_service
from tocsin.protocol.calling.switchboard_rows import Endpoint
from tocsin.protocol.messages import Message
from tocsin.protocol.messages.calling import (
    CALLING_VERSION,
    CallDone,
    CallHello,
    CallReady,
    CallRefused,
    CallWelcome,
    RejectCall,
    RenewCallToken,
)
from tocsin.protocol.network.causes import OTHER_VERSION, REPLACED


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


pytestmark = pytest.mark.anyio


class TestBegin:
    """Who is let in."""

    async def test_an_agent_is_welcomed_and_its_questions_are_answered(self) -> None:
        """It is told whose token it has and for how long; the exchange is told of the hello, the questions and the end."""
        world = played_service()
        async with world.agent() as agent:
            assert await agent.hello("ann 60") == CallWelcome(CALLING_VERSION, ANN, 60.0)
            await agent.send(CallReady(1, "call"), RejectCall(2, "call"))
            assert [await agent.receive(CallDone), await agent.receive(CallDone)] == [CallDone(1), CallDone(2)]
            await agent.leave()
            await agent.ended.wait()
        (line,) = world.exchange.lines
        assert (line.endpoint, world.exchange.left, world.connections.agents) == (Endpoint(ANN, "phone"), [line], 0)
        assert world.exchange.asked == [CallReady(1, "call"), RejectCall(2, "call")]

    async def test_an_agent_without_a_name_has_that_of_its_user(self) -> None:
        """What the agent says goes before it."""
        world = played_service()
        for name in ("", "Ann at work"):
            async with world.agent() as agent:
                await agent.hello(name=name)
        assert [each.name for each in world.exchange.hellos] == ["Ann", "Ann at work"]

    async def test_who_says_nothing_is_sent_away(self) -> None:
        """After the time for a hello."""
        async with played_service().agent() as agent:
            assert await agent.end() == (1002, "no CallHello within 10 s")
            assert anyio.current_time() % 1_000 == pytest.approx(10)

    @pytest.mark.parametrize(
        ("first", "words"),
        [
            (CallReady(1, "call"), "an agent begins with CallHello, not with CallReady"),
            (hello(device=""), "a device's id has 1 to 128 printable characters"),
            (hello(device="x" * 129), "a device's id has 1 to 128 printable characters"),
            (hello(device="a\nb"), "a device's id has 1 to 128 printable characters"),
            (hello(name="x" * 257), "a display name has up to 256 printable characters"),
            (hello(open_calls=("call",) * 257), "a hello lists up to 96 calls, not 257"),
        ],
    )
    async def test_a_first_frame_that_is_no_hello_ends_it(self, first: Message, words: str) -> None:
        """The close frame says why."""
        world = played_service()
        async with world.agent() as agent:
            await agent.send(first)
            assert await agent.end() == (1002, words)
        assert world.exchange.lines == []

    @pytest.mark.parametrize("data", [b"", b"\x01", b"\x93\xcc\x8c\x01\x02", b"\xff" * 9])
    async def test_bytes_that_are_no_frame_end_it(self, data: bytes) -> None:
        """Also behind a hello."""
        world = played_service()
        async with world.agent() as agent:
            await agent.say(data)
            assert (await agent.end())[0] == 1002
        async with world.agent() as agent:
            await agent.hello()
            await agent.say(data or b"\x90")
            assert (await agent.end())[0] == 1002

    async def test_a_text_message_ends_it(self) -> None:
        """Frames are binary."""
        async with played_service().agent() as agent:
            await agent.say(None, "hello")
            assert await agent.end() == (1002, "messages are binary, not text")

    @pytest.mark.parametrize(("version", "older"), [(0, "agent"), (2, "service")])
    async def test_another_version_is_told_in_words(self, version: int, older: str) -> None:
        """Which of the two has to be updated."""
        async with played_service().agent() as agent:
            await agent.send(hello(version=version))
            refused = await agent.refused()
            assert (refused.request, refused.error) == (0, "NotSupported")
            assert (
                f"version 1 of the calling protocol, and this agent version {version}: the {older} has" in refused.text
            )
            assert (await agent.end())[0] == OTHER_VERSION

    async def test_a_token_that_is_not_good_is_refused(self, caplog: pytest.LogCaptureFixture) -> None:
        """With a sentence, in which the token is not; nor is it in the log."""
        caplog.set_level(logging.DEBUG)
        world = played_service()
        async with world.agent() as agent:
            await agent.send(hello("secret-token"))
            assert await agent.refused() == CallRefused(0, "SenderNotAllowed", "that is no token", 0x80070005)
            assert await agent.end() == (1008, "that is no token")
        assert "that is no token" in caplog.text
        assert "secret" not in caplog.text
        assert world.exchange.lines == []

    async def test_a_user_has_so_many_agents(self) -> None:
        """One more is refused, in words, unless it is of a device that is connected; others are let in when one has ended."""
        world = played_service(max_connections_per_user=2)
        async with world.agent() as first, world.agent() as second, world.agent() as third:
            await first.hello(device="one")
            await second.hello(device="two")
            await third.send(hello(device="three"))
            refused = await third.refused()
            assert (refused.error, "has 2 agents connected" in refused.text) == ("Busy", True)
            assert (await third.end())[0] == 1013
            async with world.agent() as again, world.agent() as other:
                await again.hello(device="one")
                await other.hello("bob", device="three")
            await first.leave()
            await first.ended.wait()
            async with world.agent() as later:
                await later.hello(device="three")

    async def test_what_the_exchange_refuses_is_not_let_in(self) -> None:
        """It hears why, behind its welcome."""
        world = played_service()
        world.exchange.word = CallRefused(0, "StateUnavailable", "the disk is full", 0)
        async with world.agent() as agent:
            await agent.hello()
            assert await agent.refused() == world.exchange.word
            assert await agent.end() == (1013, "the disk is full")
        assert world.exchange.left == world.exchange.lines


class TestToken:
    """A connection lives as long as its token, or the next one."""

    async def test_a_token_that_ends_ends_the_connection(self) -> None:
        """At that moment, with a sentence."""
        world = played_service()
        async with world.agent() as agent:
            await agent.hello("ann 60")
            refused = await agent.refused()
            assert (refused.request, refused.error) == (0, "SenderNotAllowed")
            assert refused.text.startswith(f"the token of {ANN} has expired")
            assert world.now() == pytest.approx(1_800_000_060)
            assert (await agent.end())[0] == 1008
        assert world.exchange.left == world.exchange.lines

    async def test_a_token_may_be_renewed(self) -> None:
        """The connection lives on with the new one, which may end sooner, too."""
        world = played_service()
        async with world.agent() as agent:
            await agent.hello("ann 60")
            await anyio.sleep(50)
            await agent.send(RenewCallToken(7, "ann 60"))
            assert await agent.receive(CallDone) == CallDone(7)
            await agent.send(RenewCallToken(8, "ann 30"))
            assert await agent.receive(CallDone) == CallDone(8)
            await agent.refused()
            assert world.now() == pytest.approx(1_800_000_080)
        assert world.exchange.asked == []

    @pytest.mark.parametrize(
        ("token", "words"),
        [
            ("nonsense", "that is no token"),
            ("bob", "that token is of 8:acs:contoso_bob, and this connection of 8:acs:"),
        ],
    )
    async def test_another_token_has_to_be_of_the_same_user(self, token: str, words: str) -> None:
        """Else it is refused, and the connection lives as long as it would have."""
        world = played_service()
        async with world.agent() as agent:
            await agent.hello("ann 60")
            await agent.send(RenewCallToken(7, token))
            refused = await agent.refused()
            assert (refused.request, refused.error) == (7, "SenderNotAllowed")
            assert refused.text.startswith(words)
            assert (await agent.refused()).request == 0
            assert world.now() == pytest.approx(1_800_000_060)


class TestEnd:
    """What ends a connection besides."""

    @pytest.mark.parametrize(
        ("message", "words"),
        [
            (hello(), "an agent does not send CallHello here"),
            (CallDone(1), "an agent does not send CallDone here"),
            (CallReady(0, "call"), "CallReady has a request above 0, not 0"),
            (RenewCallToken(-1, "ann"), "RenewCallToken has a request above 0, not -1"),
        ],
    )
    async def test_what_is_no_question_ends_it(self, message: Message, words: str) -> None:
        """The close frame says why, and the exchange is told."""
        world = played_service()
        async with world.agent() as agent:
            await agent.hello()
            await agent.send(message)
            assert await agent.end() == (1002, words)
        assert (world.exchange.asked, world.exchange.left) == ([], world.exchange.lines)

    async def test_one_that_was_displaced_hears_so_behind_all_else(self) -> None:
        """What it was told before comes first; what it is told later does not come."""
        world = played_service()
        async with world.agent() as agent:
            await agent.hello()
            (line,) = world.exchange.lines
            word = CallRefused(0, "IllegalCall", "another process of this device has connected", 0)
            line.tell(CallDone(1))
            line.part(word)
            line.tell(CallDone(2))
            assert [await agent.receive(CallDone), await agent.refused()] == [CallDone(1), word]
            assert await agent.end() == (REPLACED, "another process of this device has connected")

    async def test_one_that_does_not_read_is_cut_off(self) -> None:
        """Once its backlog is full: nothing waits for it, and the exchange is told at once."""
        world = played_service(agent_backlog=193)
        async with world.agent(room=1) as agent:
            await agent.send(hello())
            await anyio.wait_all_tasks_blocked()
            await anyio.sleep(1)
            (line,) = world.exchange.lines
            for number in range(194):
                line.tell(CallDone(number + 1))
                await trio.testing.wait_all_tasks_blocked()
            for number in range(194):
                line.tell(CallDone(number + 1))
            began = world.now()
            await agent.ended.wait()
            assert world.now() - began <= 5
        assert world.exchange.left == [line]

    async def test_one_that_says_too_much_is_cut_off(self) -> None:
        """Also where it comes back at once: what it has said is not forgotten."""
        world = played_service(message_rate=1.0, message_burst=4)
        questions = [CallReady(number, "call") for number in range(1, 5)]
        async with world.agent() as agent:
            await agent.hello()
            await agent.send(*questions)
            for _ in range(3):
                await agent.receive(CallDone)
            refused = await agent.refused()
            assert (refused.request, refused.error) == (0, "Busy")
            assert (await agent.end())[0] == 1013
        async with world.agent() as agent, world.agent() as other:
            await agent.send(hello())
            assert (await agent.refused()).error == "Busy"
            await other.hello(device="tablet")
            await other.send(questions[0])
            await other.receive(CallDone)

    async def test_a_service_that_stops_says_so(self) -> None:
        """To all, also to those that have yet to say hello, and to those that come then."""
        world = played_service()
        async with world.agent() as agent, world.agent() as silent:
            await agent.hello()
            with anyio.fail_after(1):
                await world.connections.aclose()
            ends = [await agent.end(), await silent.end()]
            async with world.agent() as late:
                ends.append(await late.end())
        assert ends == [(1001, "the calling service is stopping")] * 3
        assert world.exchange.left == world.exchange.lines

    async def test_the_log_says_a_thing_once(self, caplog: pytest.LogCaptureFixture) -> None:
        """An agent that comes again and again with the same mistake does not fill it; devices are not named."""
        caplog.set_level(logging.INFO, "tocsin.calling_service")
        world = played_service()
        for _ in range(5):
            async with world.agent() as agent:
                await agent.hello(device="the-device-id")
                await agent.send(CallDone(1))
                await agent.end()
        (record,) = caplog.records
        assert record.getMessage().startswith(f"agent connection of {ANN} on ")
        assert record.getMessage().endswith("closed with 1002: an agent does not send CallDone here")
        assert "the-device-id" not in caplog.text

    async def test_a_message_shows_no_token(self) -> None:
        """Wherever it is printed."""
        assert (
            "secret"
            not in f"{CallHello(1, 'secret', 'phone', '', quiet=False, open_calls=())}{RenewCallToken(1, 'secret')}"
        )
