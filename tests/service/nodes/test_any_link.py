"""Whatever comes over a link, in whatever parts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tests.service.nodes.link_world import PlayedTaker, identity, post
from tocsin.protocol.messages import Message, codec
from tocsin.protocol.messages.framing import FrameSplitter, with_lengths
from tocsin.protocol.messages.node_protocol import Forward, ForwardsAnswered, LookInto, NodeHello, NodePing, NodePong
from tocsin.protocol.messages.unpacking import MAX_FRAME
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.turn import WritingTurn
from tocsin.service.nodes.forwarding import encode
from tocsin.service.nodes.link_stream import LinkStream
from tocsin.service.nodes.link_terms import LinkTerms
from tocsin.service.nodes.taken_link import TakenLink, TakingContext


class PlayedTransport(asyncio.Transport):
    """Keeps what is written; ends when it is aborted or closed."""

    def __init__(self, stream: LinkStream) -> None:
        super().__init__({"peercert": {"subjectAltName": (("DNS", "a.node.tocsin.internal"),)}})
        self.written = bytearray()
        self.is_over = False
        self._stream = stream

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        assert not self.is_over
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Have no limits."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Forget the stream."""

    def is_closing(self) -> bool:
        """Tell whether it is over."""
        return self.is_over

    def close(self) -> None:
        """End."""
        self.abort()

    def abort(self) -> None:
        """End."""
        if not self.is_over:
            self.is_over = True
            self._stream.connection_lost(None)


class Taken:
    """A connection that another node has made."""

    def __init__(self) -> None:
        self.taker = PlayedTaker()
        self.around = TakingContext(identity("b"), lambda: 5, "", self.taker, LinkTerms(window=20), RepeatLog())
        link = TakenLink(self.around, lambda _: None, lambda _: None)
        self.stream = LinkStream(link, WritingTurn())
        self.transport = PlayedTransport(self.stream)
        self.stream.connection_made(self.transport)

    def say(self, *parts: bytes) -> None:
        """Let bytes come, while it is read."""
        for part in parts:
            if part and not self.transport.is_over:
                self.stream.get_buffer(-1)[: len(part)] = part
                self.stream.buffer_updated(len(part))

    def heard(self) -> list[Message]:
        """Return what it was told."""
        return [codec.decode(frame) for frame in FrameSplitter(MAX_FRAME).feed(bytes(self.transport.written))]


HELLO = NodeHello(1, 1, "a", 4, "")


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """Cut bytes at some places."""
    ends = sorted({place % (len(data) + 1) for place in places} | {len(data)})
    return [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]


words = st.lists(st.sampled_from(["forward", "look", "ping"]), max_size=12)
places = st.lists(st.integers(0, 10**6), max_size=8)


@given(words, places)
def test_the_parts_in_which_messages_come_do_not_matter(said: list[str], cuts: list[int]) -> None:
    """Each forward is taken once, in order, and answered once; all devices are looked into."""

    async def check() -> None:
        taken = Taken()
        frames = [codec.encode(HELLO)]
        for number, word in enumerate(said, 1):
            made = {"forward": encode(number, post(str(number))), "look": codec.encode(LookInto((str(number),)))}
            frames.append(made.get(word, codec.encode(NodePing())))
        for part in cut(with_lengths(frames), cuts):
            taken.say(part)
            await asyncio.sleep(0)
        numbers = [number for number, word in enumerate(said, 1) if word == "forward"]
        assert [each.payload.id for each in taken.taker.taken] == [str(number) for number in numbers]
        assert taken.taker.looks == [str(number) for number, word in enumerate(said, 1) if word == "look"]
        _, *heard = taken.heard()
        answered = [number for each in heard if isinstance(each, ForwardsAnswered) for number in each.requests]
        assert answered == numbers
        assert (NodePong(serves=True) in heard) == ("ping" in said)
        assert not taken.transport.is_over
        taken.transport.abort()

    asyncio.run(check())


@given(
    st.lists(
        st.binary(max_size=60) | strategies.messages().map(lambda each: with_lengths([codec.encode(each)])), max_size=6
    ),
    st.booleans(),
)
def test_whatever_comes_the_connection_goes_on_or_ends(parts: list[bytes], is_greeted: bool) -> None:
    """It is a node's message, or the end of the connection, which is counted; never a fault of ours."""

    async def check() -> None:
        taken = Taken()
        if is_greeted:
            taken.say(with_lengths([codec.encode(HELLO)]))
        taken.say(*parts)
        await asyncio.sleep(0)
        assert taken.transport.is_over == (taken.around.refused.total() == 1)
        assert len(taken.taker.taken) <= sum(Forward.TAG in part for part in parts)
        taken.transport.abort()

    asyncio.run(check())
