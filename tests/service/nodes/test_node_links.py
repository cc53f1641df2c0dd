"""The links of a node to the others."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import Any

import pytest
from attrs import evolve

from tests.service.nodes.link_world import (
    BODY,
    PlayedEnd,
    all_of,
    forwarding,
    hasty,
    played,
    post,
    taking,
    until,
)
from tocsin.protocol.messages.node_protocol import (
    NODE_VERSION,
    AcknowledgeThere,
    Forward,
    ForwardsAnswered,
    NodeGoodbye,
    NodeHello,
    NodePing,
    NodePong,
    NodeRefused,
    NodeWelcome,
    WithdrawThere,
)
from tocsin.protocol.service.node_link import CONNECTED
from tocsin.protocol.service.nodes.lease import Others
from tocsin.protocol.values import MAX_PAYLOAD
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.forwarding import ForwardResult, NotPushed
from tocsin.service.nodes.link_terms import LinkTerms
from tocsin.service.nodes.node_links import NodeLinks, NodePlace
from tocsin.service.operations.logs import message_id

NOWHERE = NodePlace("b", "127.0.0.1:1")


def pushed(links: NodeLinks, to: NodePlace, count: int, body: bytes = BODY) -> list[ForwardResult]:
    """Forward so many, and return what will have become of them, in the order in which that is known."""
    results: list[ForwardResult] = []
    for number in range(count):
        assert links.push_now(to, post(str(number), body), results.append) is None
    return results


def answer(end: PlayedEnd, *forwards: Forward) -> None:
    """Let a played node have stored them."""
    end.say(ForwardsAnswered(tuple(each.request for each in forwards), ("stored",) * len(forwards)))


class TestForwarding:
    """A node that is there."""

    async def test_a_notification_reaches_the_other_node_whole(self) -> None:
        """And what has become of it comes back, whatever it is."""
        results: list[ForwardResult] = [*PushResult, NotPushed.NOT_HERE, NotPushed.UNAVAILABLE]
        async with taking() as there, forwarding() as links:
            for result in results:
                there.taker.answer = result
                assert await links.push(there.place, post()) is result
            assert there.taker.taken == [post()] * len(results)
            assert (links.counts.forwarded, links.counts.answered) == (len(results), len(results))
            assert [each.node for each in there.server.nodes] == ["a"]
            assert links.gauges() == {"nodes": 1, "links": 1, "forwards": 0}

    async def test_lines_of_a_link_name_no_notification(self, caplog: pytest.LogCaptureFixture) -> None:
        """Also where the task that answers one has had it dialled."""
        concerned = list[str]()

        def note(record: logging.LogRecord) -> bool:
            if record.getMessage().startswith("the link to"):
                concerned.append(message_id.get())
            return True

        caplog.set_level(logging.INFO)
        with caplog.filtering(note):  # type: ignore[arg-type]  # a function is one, too
            async with taking() as there, forwarding() as links:
                message_id.set("of a notification")
                await links.push(there.place, post())
                await links.push(NOWHERE, post())
        assert concerned == ["", ""]

    async def test_all_go_in_the_order_of_the_calls(self) -> None:
        """Over one connection, and many of them in one write."""
        async with taking() as there, forwarding() as links:
            posts = [post(str(number)) for number in range(2_000)]
            assert await all_of(links, there.place, posts) == [PushResult.ACKNOWLEDGED] * len(posts)
            assert there.taker.taken == posts
            assert links.counts.dialled == 1

    async def test_what_has_to_wait_at_the_other_node_is_answered_later(self) -> None:
        """A fault there is told as unavailable, and costs no other."""
        async with taking() as there, forwarding() as links:
            there.taker.waits = True
            assert await links.push(there.place, post()) is PushResult.ACKNOWLEDGED
            there.taker.fails = True
            assert await links.push(there.place, post()) is NotPushed.UNAVAILABLE
            there.taker.fails = there.taker.waits = False
            assert await links.push(there.place, post()) is PushResult.ACKNOWLEDGED

    async def test_an_answer_goes_to_whom_it_is_for(self) -> None:
        """In whatever order they come."""
        async with taking() as there, forwarding() as links:
            there.taker.answer = None
            waiting = [asyncio.ensure_future(links.push(there.place, post(str(number)))) for number in range(3)]
            await there.taker.until(lambda: len(there.taker.later) == 3)
            results: list[ForwardResult] = [PushResult.STORED, PushResult.NO_ROOM, NotPushed.NOT_HERE]
            for settled, result in reversed([*zip(there.taker.later, results, strict=True)]):
                settled(result)
                settled(PushResult.BUSY)  # a second answer is none
            assert await asyncio.gather(*waiting) == results

    async def test_the_other_node_is_told_to_look(self) -> None:
        """Also where nothing is forwarded."""
        async with taking() as there, forwarding() as links:
            links.look(there.place, ["d1", "d2"])
            await there.taker.until(lambda: there.taker.looks == ["d1", "d2"])

    async def test_the_other_node_is_told_of_deleted_toasts(self) -> None:
        """One by one, in their order."""
        async with taking() as there, forwarding() as links:
            told = [WithdrawThere("d", "c", tag, None) for tag in ("a", "b", None)]
            for message in told:
                links.tell(there.place, message)
            await there.taker.until(lambda: there.taker.withdrawn == told)

    async def test_the_other_node_is_told_what_a_device_has(self) -> None:
        """As it was acknowledged."""
        async with taking() as there, forwarding() as links:
            links.tell(there.place, AcknowledgeThere("d", ("1", "2")))
            await there.taker.until(lambda: there.taker.acknowledged == [AcknowledgeThere("d", ("1", "2"))])

    async def test_a_caller_that_is_cancelled_is_not_told(self) -> None:
        """Its answer comes all the same."""
        async with taking() as there, forwarding() as links:
            there.taker.answer = None
            waiting = asyncio.ensure_future(links.push(there.place, post()))
            await there.taker.until(lambda: bool(there.taker.later))
            waiting.cancel()
            there.taker.later[0](PushResult.STORED)
            await until(lambda: links.counts.answered == 1)


class TestUnreachable:
    """A node that is not there."""

    async def test_what_cannot_be_sent_is_told_at_once(self, caplog: pytest.LogCaptureFixture) -> None:
        """And for a while what comes then, without a try; the log says once why."""
        async with forwarding(hasty(first_rest=60.0, longest_rest=60.0)) as links:
            assert await all_of(links, NOWHERE, [post()] * 3) == [NotPushed.UNREACHABLE] * 3
            assert links.push_now(NOWHERE, post(), lambda _: None) is NotPushed.UNREACHABLE
            assert (links.counts.dialled, links.counts.failed, links.counts.unreachable) == (1, 1, 4)
        (line,) = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
        assert line.startswith("the link to node b at 127.0.0.1:1 is not to be had: ")

    async def test_it_is_tried_again_after_a_rest(self) -> None:
        """A node that is back is reached."""
        async with taking() as there:
            place = there.place
        async with forwarding(hasty()) as links:
            assert await links.push(place, post()) is NotPushed.UNREACHABLE
            async with taking(port=there.port):
                while await links.push(place, post()) is NotPushed.UNREACHABLE:  # noqa: ASYNC110  # told by no event
                    await asyncio.sleep(0.001)

    @pytest.mark.parametrize("address", ["", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:99999", "nowhere.invalid:1"])
    async def test_an_address_that_is_none_is_not_reached(self, address: str) -> None:
        """It comes from the database, and may be anything."""
        async with forwarding(hasty()) as links:
            assert await links.push(NodePlace("b", address), post()) is NotPushed.UNREACHABLE

    async def test_another_node_at_that_address_is_not_taken_for_it(self, caplog: pytest.LogCaptureFixture) -> None:
        """Such as one that has its port now."""
        async with taking("c") as there, forwarding(hasty()) as links:
            assert await links.push(evolve(there.place, node="b"), post()) is NotPushed.UNREACHABLE
            assert there.taker.taken == []
        assert "Hostname mismatch" in caplog.text

    async def test_a_node_that_says_nothing_is_not_waited_for_long(self) -> None:
        """Whether it speaks no TLS, or does not greet."""
        async with forwarding(hasty()) as links, played() as there:
            assert await links.push(there.place, post()) is NotPushed.UNREACHABLE
            with socket.create_server(("127.0.0.1", 0)) as mute:
                place = NodePlace("c", f"127.0.0.1:{mute.getsockname()[1]}")
                assert await links.push(place, post()) is NotPushed.UNREACHABLE

    @pytest.mark.parametrize(
        "greeting",
        [
            NodeRefused("upgrade \x1b[1mthis\nnode"),
            NodeWelcome(NODE_VERSION + 1, "b", 5, "1.0", 10),
            NodeWelcome(NODE_VERSION, "b", 5, "1.0", 0),
            NodeGoodbye(),
        ],
    )
    async def test_a_node_that_does_not_say_welcome_is_not_reached(
        self, greeting: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """What it says is logged, as one line."""
        async with forwarding(hasty()) as links, played() as there:
            waiting = asyncio.ensure_future(links.push(there.place, post()))
            end = await there.ends.get()
            assert isinstance(await end.hear(), NodeHello)
            end.say(greeting)
            assert await waiting is NotPushed.UNREACHABLE
            assert await end.hear() is None
        (line,) = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
        assert line.isprintable()


class TestLost:
    """A connection that ends while something is on its way."""

    async def test_what_was_sent_is_unanswered_and_what_waits_is_sent_on_the_next(self) -> None:
        """Nothing goes twice: the other node may have handed over what it was sent."""
        async with forwarding() as links, played() as there:
            results = pushed(links, there.place, 3)
            end = await there.dialled(window=2)
            first, second = await end.hear_forward(), await end.hear_forward()
            await end.aclose()
            again = await there.dialled()
            assert results == [NotPushed.UNANSWERED] * 2
            third = await again.hear_forward()
            assert [each.id for each in (first, second, third)] == ["0", "1", "2"]
            answer(again, third)
            await until(lambda: results[2:] == [PushResult.STORED])

    async def test_half_of_a_message_is_none(self) -> None:
        """A node that was killed while it wrote."""
        async with forwarding() as links, played() as there:
            results = pushed(links, there.place, 1)
            end = await there.dialled()
            await end.hear_forward()
            end.say_bytes(b"\x00\x00\x00\x10\x92")
            await end.writer.drain()
            await end.aclose()
            await until(lambda: results == [NotPushed.UNANSWERED])

    @pytest.mark.parametrize(
        "said",
        [
            b"\x00\x00\x00\x00",
            b"\xff\xff\xff\xff",
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            b"\x00\x00\x00\x01\xc0",
            "forged",
            "hello",
        ],
    )
    async def test_a_node_that_breaks_the_protocol_is_parted_from(self, said: Any) -> None:
        """Whatever it says that is not to be said."""
        async with forwarding() as links, played() as there:
            results = pushed(links, there.place, 1)
            end = await there.dialled()
            await end.hear_forward()
            if said == "forged":
                end.say(ForwardsAnswered((99,), ("stored",)))
            elif said == "hello":
                end.say(NodeHello(1, 1, "b", 1, ""))
            else:
                end.say_bytes(said)
            assert await end.hear() is None
            await until(lambda: results == [NotPushed.UNANSWERED])

    async def test_a_silent_node_is_asked_and_then_parted_from(self) -> None:
        """One that answers the ping is waited for, however long its device takes."""
        async with forwarding(hasty()) as links, played() as there:
            results = pushed(links, there.place, 1)
            end = await there.dialled()
            forward = await end.hear_forward()
            for _ in range(4):
                assert await end.hear() == NodePing()
                end.say(NodePong(serves=True))
            assert results == []
            answer(end, forward)
            await until(lambda: results == [PushResult.STORED])
            more = pushed(links, there.place, 1)
            await end.hear_forward()
            await until(lambda: more == [NotPushed.UNANSWERED])
            assert links.counts.unanswered == 1

    async def test_a_node_that_was_quiet_for_long_is_not_taken_for_silent(self) -> None:
        """The time counts from when something is awaited."""
        async with forwarding(hasty()) as links, taking() as there:
            await links.push(there.place, post())
            there.taker.answer = None
            (stream,) = links._around.streams
            stream.heard -= 60.0
            waiting = asyncio.ensure_future(links.push(there.place, post()))
            await there.taker.until(lambda: bool(there.taker.later))
            (dialled,) = links._nodes.values()
            dialled._round()
            there.taker.later[0](PushResult.STORED)
            assert await waiting is PushResult.STORED

    async def test_a_node_that_is_known_to_be_dead_is_waited_for_no_more(self) -> None:
        """Its lease is over, for one."""
        async with forwarding() as links, played() as there:
            results = pushed(links, there.place, 3)
            end = await there.dialled(window=2)
            await end.hear_forward()
            links.drop("b")
            links.drop("b")
            assert results == [NotPushed.UNANSWERED] * 2 + [NotPushed.UNREACHABLE]
            while await end.hear() is not None:
                pass
            assert links.gauges()["nodes"] == 0

    async def test_a_late_answer_is_no_answer(self) -> None:
        """Its caller was told that there is none; the next is answered as always."""
        async with forwarding(hasty(answer_timeout=0.2)) as links, played() as there:
            results = pushed(links, there.place, 1)
            end = await there.dialled(window=1)
            late = await end.hear_forward()
            while not results:
                if await end.hear() == NodePing():
                    end.say(NodePong(serves=True))
            assert results == [NotPushed.UNANSWERED]
            more = pushed(links, there.place, 1)
            answer(end, late)
            message = await end.hear()
            while not isinstance(message, Forward):
                message = await end.hear()
            answer(end, message)
            await until(lambda: more == [PushResult.STORED])


class TestAsked:
    """A node without a lease asks the others whether they have one."""

    @pytest.mark.parametrize(("serves", "said"), [(True, Others.SERVE), (False, Others.NONE)])
    async def test_what_a_node_has_said_holds_for_a_moment(self, serves: bool, said: Others) -> None:
        """Before that it is silent, and again where it says no more."""
        async with forwarding(hasty(silence=2.0)) as links, played() as there:
            assert links.ask([there.place]) is Others.SILENT
            end = await there.dialled()
            (dialled,) = links._nodes.values()
            await until(lambda: dialled.phase in CONNECTED)
            assert links.ask([there.place]) is Others.SILENT
            assert await end.hear() == NodePing()
            end.say(NodePong(serves=serves))
            await until(lambda: links.ask([there.place]) is said)
            await until(lambda: links.ask([there.place]) is Others.SILENT)

    async def test_one_that_serves_is_enough_and_one_that_answers_is_not_silent(self) -> None:
        """A node that is alone hears nothing that counts."""
        away = NodePlace("c", NOWHERE.address)
        async with forwarding(hasty()) as links, taking() as there:
            assert links.ask([]) is Others.NONE
            await until(lambda: links.ask([there.place, away]) is Others.SERVE)
            assert links.ask([away]) is Others.SILENT
            there.server.around.serves = lambda: False
            await until(lambda: links.ask([there.place, away]) is Others.NONE)


class TestBounds:
    """What may be on its way at a time."""

    async def test_the_window_is_kept_and_what_waits_is_bounded(self) -> None:
        """Who comes then is told that too many wait, at once."""
        async with forwarding(LinkTerms(backlog=2)) as links, played() as there:
            results = pushed(links, there.place, 2)
            end = await there.dialled(window=2)
            forwards = [await end.hear_forward(), await end.hear_forward()]
            results += pushed(links, there.place, 2)
            assert links.push_now(there.place, post(), results.append) is PushResult.BUSY
            assert links.gauges()["forwards"] == 4
            answer(end, forwards[0])
            assert (await end.hear_forward()).id == "0"
            assert links.counts.busy == 1

    async def test_a_node_that_does_not_read_holds_up_no_other(self) -> None:
        """What is for it waits, up to its bound; the others are served."""
        async with forwarding(hasty()) as links, played(buffer=1) as stuck, taking("c") as there:
            results = pushed(links, stuck.place, 1)
            end = await stuck.dialled(window=1_000_000)
            await end.hear_forward()
            end.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a transport of both ways
            rest: list[ForwardResult] = []
            longest = post(body=bytes(MAX_PAYLOAD))
            while links.push_now(stuck.place, longest, rest.append) is None:  # noqa: ASYNC110  # in each turn one
                await asyncio.sleep(0)
            assert await links.push(there.place, post()) is PushResult.ACKNOWLEDGED
            await until(lambda: results == [NotPushed.UNANSWERED])
            assert {*rest} == {NotPushed.UNANSWERED, NotPushed.UNREACHABLE}

    async def test_what_a_node_does_not_read_is_not_written(self) -> None:
        """However wide its window is, and however much comes in one turn."""
        async with forwarding(hasty(silence=60.0)) as links, played(buffer=1) as stuck:
            first = pushed(links, stuck.place, 1)
            end = await stuck.dialled(window=1_000_000)
            answer(end, await end.hear_forward())
            await until(lambda: first == [PushResult.STORED])
            end.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a transport of both ways
            results = pushed(links, stuck.place, 4_000, bytes(MAX_PAYLOAD))
            (dialled,) = links._nodes.values()
            (stream,) = links._around.streams
            await until(lambda: not stream.is_writable)
            assert stream.transport.get_write_buffer_size() < 400_000
            assert dialled._out.has_waiting
            links.drop("b")
            assert {*results} == {NotPushed.UNANSWERED, NotPushed.UNREACHABLE}

    async def test_two_nodes_are_two_connections(self) -> None:
        """Each has its own."""
        async with taking("b") as one, taking("c") as other, forwarding() as links:
            for each in (one, other, one):
                await links.push(each.place, post())
            assert (len(one.taker.taken), len(other.taker.taken), links.counts.dialled) == (2, 1, 2)


class TestLeaving:
    """The end, in order."""

    async def test_what_is_on_its_way_is_answered_before_it_leaves(self) -> None:
        """And what comes then is not sent."""
        async with played() as there, forwarding() as links:
            results = pushed(links, there.place, 3)
            end = await there.dialled(window=1)
            forward = await end.hear_forward()
            leaving = asyncio.ensure_future(links.aclose())
            await asyncio.sleep(0)
            assert links.push_now(there.place, post(), results.append) is NotPushed.UNREACHABLE
            links.look(there.place, ["d"])
            links.tell(there.place, WithdrawThere("d", "c", None, None))
            for _ in range(2):
                answer(end, forward)
                forward = await end.hear_forward()
            answer(end, forward)
            await leaving
            assert results == [PushResult.STORED] * 3
            assert await end.hear() is None

    async def test_what_is_not_answered_in_time_is_told_so(self) -> None:
        """A node does not wait for another for ever."""
        async with played() as there:
            async with forwarding(hasty(silence=60.0)) as links:
                results = pushed(links, there.place, 1)
                end = await there.dialled()
                await end.hear_forward()
            assert results == [NotPushed.UNANSWERED]

    async def test_it_leaves_while_it_dials_or_rests(self) -> None:
        """Nothing of it remains."""
        async with played() as there:
            async with forwarding(hasty(first_rest=60.0, longest_rest=60.0)) as links:
                results = pushed(links, there.place, 1)
                assert await links.push(evolve(NOWHERE, node="c"), post()) is NotPushed.UNREACHABLE
            assert results == [NotPushed.UNREACHABLE]

    async def test_a_node_that_says_goodbye_answers_what_it_was_sent(self) -> None:
        """What comes then is not sent to it; it may be there again later."""
        async with forwarding(hasty()) as links, played() as there:
            results = pushed(links, there.place, 2)
            end = await there.dialled(window=1)
            forward = await end.hear_forward()
            end.say(NodeGoodbye())
            await until(lambda: results == [NotPushed.UNREACHABLE])
            assert links.push_now(there.place, post(), results.append) is NotPushed.UNREACHABLE
            answer(end, forward)
            assert await end.hear() is None
            assert results == [NotPushed.UNREACHABLE, PushResult.STORED]
            await until(lambda: links.push_now(there.place, post(), results.append) is None)
            again = await there.dialled()
            answer(again, await again.hear_forward())
            await until(lambda: results[2:] == [PushResult.STORED])

    async def test_a_node_that_has_moved_is_dialled_where_it_is(self) -> None:
        """What is on its way to its old place is still answered there."""
        async with forwarding() as links, played() as old, taking() as new:
            results = pushed(links, old.place, 1)
            end = await old.dialled()
            forward = await end.hear_forward()
            assert await links.push(new.place, post()) is PushResult.ACKNOWLEDGED
            assert await links.push(new.place, post()) is PushResult.ACKNOWLEDGED
            assert links.gauges() == {"nodes": 1, "links": 2, "forwards": 1}
            answer(end, forward)
            assert await end.hear() is None
            assert results == [PushResult.STORED]

    async def test_a_node_that_has_moved_and_died_is_waited_for_nowhere(self) -> None:
        """Neither where it is, nor where it was."""
        async with forwarding() as links, played() as old, played() as new:
            results: list[ForwardResult] = []
            for there in (old, new):
                assert links.push_now(there.place, post(), results.append) is None
                await (await there.dialled()).hear_forward()
            links.drop("b")
            assert results == [NotPushed.UNANSWERED] * 2

    async def test_an_idle_link_takes_no_time(self) -> None:
        """No timer runs while nothing is on its way."""
        async with forwarding() as links, taking() as there:
            await links.push(there.place, post())
            (dialled,) = links._nodes.values()
            await until(lambda: dialled._rounds is None)


async def test_both_ends_leave_at_the_same_time() -> None:
    """Neither waits for the other."""
    async with asyncio.timeout(3), taking() as there, forwarding() as links:
        await links.push(there.place, post())
        await asyncio.gather(there.server.aclose(), links.aclose())
