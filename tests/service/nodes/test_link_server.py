"""Where other nodes connect: only nodes are let in, and none of them takes more than is its."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
import struct
import time
from contextlib import AsyncExitStack, suppress
from typing import Any

import pytest

from tests.service.nodes.link_world import (
    AUTHORITY,
    PlayedEnd,
    TakingNode,
    dialling,
    forwarding,
    hasty,
    identity,
    post,
    taking,
    until,
)
from tocsin.protocol.messages import codec
from tocsin.protocol.messages.framing import with_lengths
from tocsin.protocol.messages.node_protocol import (
    NODE_VERSION,
    OLDEST_NODE_VERSION,
    ForwardsAnswered,
    LookInto,
    NodeGoodbye,
    NodeHello,
    NodePing,
    NodePong,
    NodeRefused,
    NodeWelcome,
)
from tocsin.protocol.messages.unpacking import MAX_FRAME
from tocsin.protocol.values import MAX_PAYLOAD
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes import link_server
from tocsin.service.nodes.forwarding import encode
from tocsin.service.nodes.link_terms import LinkTerms
from tocsin.service.nodes.node_authority import LIFETIME, make_node_authority
from tocsin.service.nodes.node_identity import NodeIdentity
from tocsin.service.nodes.taken_link import LinkFault
from tocsin.service.web.dev_authority import KeyedCertificate


async def is_served(there: TakingNode) -> None:
    """Demand that others go on as before."""
    async with forwarding(node="other") as links:
        assert await links.push(there.place, post()) is PushResult.ACKNOWLEDGED


async def refusal(there: TakingNode, context: ssl.SSLContext) -> None:
    """Demand that who speaks TLS so is not let in."""
    try:
        async with dialling(there, context) as end:
            assert await end.greet() is None
    except (ssl.SSLError, ConnectionResetError):
        pass


def without_certificate() -> ssl.SSLContext:
    """Trust the authority, and show nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=AUTHORITY.certificate_pem.decode())
    return context


def of_a_stranger() -> ssl.SSLContext:
    """Show a certificate of another authority of the same name, and take any."""
    context = NodeIdentity("a", make_node_authority(time.time())).for_dialling()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def of_another_time(seconds: float) -> ssl.SSLContext:
    """Show a certificate that was made so long ago."""
    return NodeIdentity("a", AUTHORITY, lambda: time.time() - seconds).for_dialling()


def of_an_older_tls() -> ssl.SSLContext:
    """Speak TLS 1.2 at most."""
    context = identity("a").for_dialling()
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


def signed_by_a_node() -> ssl.SSLContext:
    """Show a certificate that a node has signed with its own, as if it were an authority."""
    own: list[KeyedCertificate] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tocsin.service.nodes.node_identity._load", lambda _, issued: own.append(issued))
        identity("a").for_dialling()
    forged = NodeIdentity("b", own[0])
    context = forged.for_dialling()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class TestStrangers:
    """Who is no node is told nothing, counted, and costs the others nothing."""

    @pytest.mark.parametrize(
        "context",
        [
            without_certificate,
            of_a_stranger,
            lambda: of_another_time(LIFETIME + 60),
            lambda: of_another_time(-90_000),
            of_an_older_tls,
            signed_by_a_node,
        ],
        ids=["no certificate", "foreign authority", "expired", "of tomorrow", "TLS 1.2", "signed by a node"],
    )
    async def test_who_cannot_prove_to_be_a_node_is_not_let_in(self, context: Any) -> None:
        """Whatever is wrong with its certificate."""
        async with taking() as there:
            await refusal(there, context())
            await there.refused(LinkFault.TLS)
            await is_served(there)

    @pytest.mark.parametrize(
        "said", [b"GET / HTTP/1.1\r\n\r\n", bytes(100), b"\x16\x03\x01\x40\x00" + bytes(16_384), b"\x80"], ids=repr
    )
    async def test_who_speaks_no_tls_is_not_let_in(self, said: bytes) -> None:
        """Another program has lost its way, or worse."""
        async with taking(terms=hasty()) as there:
            reader, writer = await asyncio.open_connection("127.0.0.1", there.port)
            writer.write(said)
            assert len(await reader.read()) < 100  # an alert of TLS at most
            writer.close()
            await writer.wait_closed()
            await until(lambda: there.server.around.refused.total() == 1)
            assert {*there.server.around.refused} <= {LinkFault.TLS, LinkFault.SILENT}
            await is_served(there)

    async def test_who_says_nothing_is_not_waited_for_long(self) -> None:
        """Before TLS is spoken, and behind that."""
        async with taking(terms=hasty()) as there, dialling(there) as silent:
            with socket.create_connection(("127.0.0.1", there.port)):
                await there.refused(LinkFault.SILENT, 2)
            assert await silent.hear() is None
            await is_served(there)

    async def test_who_sends_hello_byte_by_byte_is_not_waited_for_either(self) -> None:
        """The time counts from the beginning, whatever comes meanwhile."""
        async with taking(terms=hasty()) as there, dialling(there) as slow:
            slow.say_bytes(b"\x00")
            slow.say_bytes(b"\x00\x00")
            await there.refused(LinkFault.SILENT)
            assert await slow.hear() is None

    async def test_the_oldest_give_way_where_too_many_come(self) -> None:
        """So nodes get in, however many strangers wait."""
        terms = LinkTerms(newcomers=3, dial_timeout=60.0)
        async with taking(terms=terms) as there, AsyncExitStack() as stack:
            for _ in range(5):
                stack.enter_context(socket.create_connection(("127.0.0.1", there.port)))
            await there.refused(LinkFault.CROWDED, 2)
            await is_served(there)
            await there.refused(LinkFault.CROWDED, 3)

    @pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "no space left"), RuntimeError("ours")])
    async def test_a_certificate_that_cannot_be_made_costs_one_connection(
        self, monkeypatch: pytest.MonkeyPatch, fault: Exception
    ) -> None:
        """Such as on a disk that is full; nothing of the connection is left open."""

        def fail(_: NodeIdentity) -> ssl.SSLContext:
            raise fault

        async with taking() as there:
            with monkeypatch.context() as patch, socket.create_connection(("127.0.0.1", there.port)) as opened:
                patch.setattr(NodeIdentity, "for_taking", fail)
                await there.refused(LinkFault.TLS)
                opened.setblocking(False)  # noqa: FBT003 - the socket's own signature
                assert await asyncio.get_running_loop().sock_recv(opened, 1) == b""
            await is_served(there)

    async def test_a_fault_of_the_system_does_not_close_the_door(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Such as no descriptor; after a pause it goes on."""
        monkeypatch.setattr(link_server, "_PAUSE", 0.001)
        loop = asyncio.get_running_loop()
        accept, faults = loop.sock_accept, [OSError(errno.EMFILE, "too many open files")] * 2

        async def failing(listener: socket.socket) -> Any:
            if faults:
                raise faults.pop()
            return await accept(listener)

        monkeypatch.setattr(loop, "sock_accept", failing)
        async with taking() as there:
            await is_served(there)
        assert faults == []


class TestGreeting:
    """The first word of a node."""

    async def test_both_say_who_they_are(self) -> None:
        """And how much may be unanswered."""
        async with taking(terms=LinkTerms(window=77)) as there, dialling(there) as end:
            assert await end.greet() == NodeWelcome(NODE_VERSION, "b", 5, "1.0", 77)
            ((node, lease, program),) = [(each.node, each.lease, each.program) for each in there.server.nodes]
            assert (node, lease, program) == ("a", 4, "1.0")

    async def test_a_node_cannot_say_that_it_is_another(self) -> None:
        """Its certificate says who it is."""
        async with taking() as there, dialling(there, node="a") as end:
            assert await end.greet("c") is None
            await there.refused(LinkFault.PROTOCOL)
            assert there.server.nodes == []

    @pytest.mark.parametrize("first", [NodePing(), NodeWelcome(1, "a", 1, "", 1), NodeGoodbye()])
    async def test_a_node_begins_with_hello(self, first: Any) -> None:
        """And with nothing else."""
        async with taking() as there, dialling(there) as end:
            end.say(first)
            assert await end.hear() is None
            await there.refused(LinkFault.PROTOCOL)

    async def test_a_newer_node_is_spoken_to_in_this_version(self) -> None:
        """As long as it still speaks that; what its hello has besides is passed over."""
        async with taking() as there, dialling(there) as end:
            from msgpack import packb  # noqa: PLC0415  # as a later version would

            hello = packb([NodeHello.TAG, NODE_VERSION + 5, NODE_VERSION, "a", 4, "9.0", ["more"], {}][:7])
            end.say_bytes(with_lengths([hello]))
            welcome = await end.hear()
            assert isinstance(welcome, NodeWelcome)
            assert welcome.version == NODE_VERSION

    @pytest.mark.parametrize("oldest", [NODE_VERSION + 1, NODE_VERSION + 4])
    async def test_versions_that_have_nothing_in_common_are_told_in_words(self, oldest: int) -> None:
        """Both ends log the same sentence."""
        async with taking() as there, dialling(there) as end:
            answer = await end.greet(version=NODE_VERSION + 4, oldest=oldest)
            assert answer == NodeRefused(
                f"node b speaks the versions {OLDEST_NODE_VERSION} to {NODE_VERSION} of the link, and node a {oldest} to"
                f" {NODE_VERSION + 4}: upgrade the older by way of a version between them"
            )
            assert await end.hear() is None
            await there.refused(LinkFault.VERSION)

    async def test_the_oldest_connection_of_a_node_gives_way(self) -> None:
        """A node that has lost some of them without a word need not wait."""
        async with taking(terms=LinkTerms(per_node=2)) as there, AsyncExitStack() as stack:
            ends = [await stack.enter_async_context(dialling(there)) for _ in range(3)]
            for end in ends:
                assert isinstance(await end.greet(), NodeWelcome)
            assert await ends[0].hear() is None
            await there.refused(LinkFault.CROWDED)
            assert len(there.server.nodes) == 2


async def greeted(end: PlayedEnd) -> None:
    """Be let in."""
    assert isinstance(await end.greet(), NodeWelcome)


class TestWrongWords:
    """A node that is let in, and is not right in its head."""

    @pytest.mark.parametrize(
        "said",
        [
            b"\x00\x00\x00\x00",
            (MAX_FRAME + 1).to_bytes(4, "big"),
            b"\xff\xff\xff\xff",
            b"GET / HTTP/1.1\r\n\r\n",
            with_lengths([b"\xc1"]),
            with_lengths([b"\x91\xcd\x03\xe7"]),
            with_lengths([b"\x92\xcc\xa3" + b"\x01"]),
            with_lengths([encode(1, post())[:-1]]),
        ],
        ids=["empty", "oversized", "huge", "HTTP", "no msgpack", "unknown tag", "too few fields", "cut off"],
    )
    async def test_what_is_no_message_ends_its_connection(self, said: bytes) -> None:
        """And costs no other."""
        async with taking() as there, dialling(there) as end:
            await greeted(end)
            end.say_bytes(said)
            assert await end.hear() is None
            await there.refused(LinkFault.PROTOCOL)
            assert there.taker.taken == []
            await is_served(there)

    @pytest.mark.parametrize(
        "said", [NodeHello(1, 1, "a", 4, ""), NodePong(serves=True), ForwardsAnswered((1,), ("stored",)), NodeGoodbye()]
    )
    async def test_what_is_not_to_be_said_ends_its_connection(self, said: Any) -> None:
        """Each side has its words."""
        async with taking() as there, dialling(there) as end:
            await greeted(end)
            end.say(said)
            assert await end.hear() is None
            await there.refused(LinkFault.PROTOCOL)

    @pytest.mark.parametrize("numbers", [[1, 2, 3], [1, 1]], ids=["too many", "twice"])
    async def test_a_node_forwards_no_more_than_it_may(self, numbers: list[int]) -> None:
        """The window is a promise of both; a number has one answer."""
        async with taking(terms=LinkTerms(window=2)) as there, dialling(there) as end:
            there.taker.answer = None
            await greeted(end)
            end.say_bytes(with_lengths([encode(number, post()) for number in numbers]))
            assert await end.hear() is None
            await there.refused(LinkFault.PROTOCOL)
            assert len(there.taker.taken) == len(numbers) - 1
            for settled in there.taker.later:
                settled(PushResult.STORED)  # to whom is gone

    async def test_a_node_that_is_killed_in_the_middle_of_a_message_is_only_gone(self) -> None:
        """What it has sent whole was taken; half of a message is none."""
        async with taking() as there:
            async with dialling(there) as end:
                await greeted(end)
                end.say_bytes(with_lengths([encode(1, post())]) + with_lengths([encode(2, post())])[:100])
                assert await end.hear() == ForwardsAnswered((1,), ("acknowledged",))
            await until(lambda: there.server.nodes == [])
            assert there.taker.taken == [post()]
            assert there.server.around.refused.total() == 0


@pytest.mark.parametrize("how", ["in order", "reset"])
@pytest.mark.parametrize("when", ["before TLS", "within TLS", "before hello", "within hello", "after hello"])
async def test_who_ends_a_connection_by_itself_is_not_refused(
    when: str, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A node does so that stops, or gives up to wait, at any moment: it is no stranger that was not let in."""
    caplog.set_level(logging.INFO)
    async with taking() as there:
        tasks = there.server.around.tasks
        if "TLS" in when:
            with socket.create_connection(("127.0.0.1", there.port)) as opened:
                await until(lambda: len(tasks) == 1)
                if when == "within TLS":
                    opened.sendall(client_hello()[:100])
                if how == "reset":
                    reset(opened)
        else:
            async with dialling(there) as end:
                if when == "after hello":
                    await greeted(end)
                if when == "within hello":
                    end.say_bytes(with_lengths([codec.encode(NodeHello(NODE_VERSION, 1, "a", 1, "1"))])[:-1])
                    await asyncio.sleep(0)
                if how == "reset":
                    reset(end.writer.get_extra_info("socket"))
                    end.writer.transport.abort()
        await until(lambda: not tasks and not there.server.nodes)
        await is_served(there)
        assert there.server.around.refused.total() == 0
    assert [each.levelno for each in caplog.records if "has left early" in each.message] == [logging.INFO] * (
        when != "after hello"
    )
    assert not any("refused" in each.message for each in caplog.records)


def reset(opened: socket.socket) -> None:
    """Have a connection reset when it is closed, rather than ended in order."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def client_hello() -> bytes:
    """Return what a node begins TLS with."""
    sent = ssl.MemoryBIO()
    speaking = identity("a").for_dialling().wrap_bio(ssl.MemoryBIO(), sent, server_hostname="b")
    with suppress(ssl.SSLWantReadError):
        speaking.do_handshake()
    return sent.read()


class TestServing:
    """A node that is right."""

    async def test_a_ping_is_answered(self) -> None:
        """Also while nothing else is."""
        async with taking() as there, dialling(there) as end:
            there.taker.answer = None
            await greeted(end)
            end.say_bytes(with_lengths([encode(1, post())]))
            end.say(NodePing(), NodePing(), LookInto(("d",)))
            assert await end.hear() == NodePong(serves=True)  # one for all of a turn
            end.say(NodePing())
            assert await end.hear() == NodePong(serves=True)
            assert there.taker.looks == ["d"]

    async def test_a_node_that_pings_and_does_not_read_is_not_answered_without_end(self) -> None:
        """One answer waits at most."""
        async with taking() as there, dialling(there) as end:
            await greeted(end)
            (link,) = there.server._links
            assert link.stream is not None
            link.stream.pause_writing()
            end.say(*[NodePing()] * 1_000, LookInto(("d",)))
            await there.taker.until(lambda: there.taker.looks == ["d"])
            assert len(link.frames()) == 1

    async def test_a_node_that_does_not_read_its_answers_is_not_answered_without_end(self) -> None:
        """It has used up its window then, and others are served."""
        async with taking(terms=LinkTerms(window=2_000)) as there, dialling(there) as end:
            await greeted(end)
            end.writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a transport of both ways
            there.taker.answer = None
            longest = post(body=bytes(MAX_PAYLOAD))
            end.say_bytes(with_lengths([encode(number, longest) for number in range(1, 2_001)]))
            await there.taker.until(lambda: len(there.taker.later) == 2_000)
            for settled in there.taker.later:
                settled(PushResult.STORED)
            there.taker.answer = PushResult.ACKNOWLEDGED
            await is_served(there)

    async def test_it_says_goodbye_and_answers_what_it_was_sent(self) -> None:
        """What was on its way when it said so is taken, too."""
        async with taking() as there, dialling(there) as end:
            there.taker.answer = None
            await greeted(end)
            end.say_bytes(with_lengths([encode(1, post())]))
            await there.taker.until(lambda: len(there.taker.later) == 1)
            leaving = asyncio.ensure_future(there.server.aclose())
            assert await end.hear() == NodeGoodbye()
            end.say_bytes(with_lengths([encode(2, post())]))
            await there.taker.until(lambda: len(there.taker.later) == 2)
            for settled in there.taker.later:
                settled(PushResult.STORED)
            assert await end.hear() == ForwardsAnswered((1, 2), ("stored", "stored"))
            await end.aclose()
            await leaving

    async def test_a_node_that_comes_while_it_leaves_is_told_so_at_once(self) -> None:
        """It has begun to connect before."""
        async with taking() as there, dialling(there) as first, dialling(there) as end:
            await greeted(first)
            leaving = asyncio.ensure_future(there.server.aclose())
            assert await first.hear() == NodeGoodbye()
            assert isinstance(await end.greet(), NodeWelcome)
            assert await end.hear() == NodeGoodbye()
            await first.aclose()
            await end.aclose()
            await leaving

    async def test_a_node_that_does_not_part_is_left(self) -> None:
        """When the time of leaving is over."""
        async with taking(terms=hasty()) as there, dialling(there) as end, asyncio.timeout(5):
            await greeted(end)
            await there.server.aclose()
            assert await end.hear() == NodeGoodbye()
            assert await end.hear() is None

    async def test_none_is_let_in_once_it_leaves(self) -> None:
        """Those of whom nothing is known are left at once."""
        async with taking() as there, dialling(there) as end:
            port = there.port
        assert await end.hear() is None
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))

    async def test_many_answers_go_in_few_messages(self) -> None:
        """Each of a bounded length."""
        async with taking() as there, dialling(there) as end:
            await greeted(end)
            end.say_bytes(with_lengths([encode(number, post()) for number in range(1, 3_001)]))
            lengths: list[int] = []
            while sum(lengths) < 3_000:
                message = await end.hear()
                assert isinstance(message, ForwardsAnswered)
                lengths.append(len(message.requests))
            assert len(lengths) < 300
            assert max(lengths) <= 1_024
