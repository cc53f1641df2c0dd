"""Frames as a server reads and makes them, with the parser of ``websockets`` as the measure."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from websockets import frames as theirs
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import CLIENT, OPEN, SERVER, Protocol

from tocsin.service.web import websocket_frames as ours
from tocsin.service.web.websocket_frames import MAX_MESSAGE, BrokenFrames, FrameReader, close_frame, cut_reason

CONTENTS = st.one_of(
    st.binary(max_size=8),
    st.sampled_from([125, 126, 127, 65_535, 65_536, MAX_MESSAGE // 2, MAX_MESSAGE, MAX_MESSAGE + 1]).map(bytes),
)
CLOSES = st.one_of(
    st.sampled_from([b"", b"\x03", b"\x03\xe8", b"\x0f\xa1words", b"\x03\xed", b"\x03\xe8\xff", bytes(126)]),
    st.binary(max_size=4),
)
KEYS = st.binary(min_size=4, max_size=4)


def masked(content: bytes, key: bytes) -> bytes:
    """Mask content as a client does (RFC 6455 §5.3)."""
    keys = (key * (len(content) // 4 + 1))[: len(content)]
    return (int.from_bytes(content, "big") ^ int.from_bytes(keys, "big")).to_bytes(len(content), "big")


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """Make a whole frame of a client, mostly of those that a client may send."""
    head = draw(st.sampled_from([*(0x80 | opcode for opcode in Opcode), 0, 1, 2, 0x02, 0x89, 0x82, 0x80, 0x00]))
    if not draw(st.integers(0, 9)):
        head = draw(st.integers(0, 255))
    content = draw(CLOSES if head & 0x0F == Opcode.CLOSE else CONTENTS)
    if head & 0x0F > Opcode.BINARY and draw(st.integers(0, 9)):
        content = content[:125]
    length, key = len(content), draw(KEYS)
    forms = [
        (length, b"") if length < 126 else None,
        (126, length.to_bytes(2, "big")) if length < 1 << 16 else None,
        (127, length.to_bytes(8, "big")),
    ]
    size, more = (
        draw(st.sampled_from([form for form in forms if form]))
        if not draw(st.integers(0, 4))
        else next(form for form in forms if form)
    )
    if not draw(st.integers(0, 30)):
        return bytes([head, size]) + more + content  # without a mask
    return bytes([head, 0x80 | size]) + more + key + masked(content, key)


def read(chunks: list[bytes]) -> tuple[list[tuple[int, bytes]], tuple[int, str] | None]:
    """Read all with ours; return what came, up to a close frame, and why it broke off."""
    reader, found = FrameReader(), []
    try:
        for chunk in chunks:
            reader.feed(chunk)
            while (each := reader.next()) is not None:
                found.append(each)
                if each[0] == Opcode.CLOSE:
                    return found, None
    except BrokenFrames as broken:
        return found, (broken.code, broken.words)
    return found, None


def read_by_library(chunks: list[bytes]) -> tuple[list[tuple[int, bytes]], tuple[int, str] | None]:
    """Read all with theirs, and put their frames together."""
    protocol = Protocol(SERVER, state=OPEN, max_size=MAX_MESSAGE)
    found: list[tuple[int, bytes]] = []
    begun, kind = b"", Opcode.CONT
    for chunk in chunks:
        protocol.receive_data(chunk)
    for frame in protocol.events_received():
        assert isinstance(frame, Frame)
        if frame.opcode in theirs.CTRL_OPCODES:
            found.append((int(frame.opcode), bytes(frame.data)))
            continue
        kind = kind if frame.opcode is Opcode.CONT else frame.opcode
        begun += frame.data
        if frame.fin:
            found.append((int(kind), begun))
            begun = b""
    closed = protocol.close_sent
    return found, None if protocol.parser_exc is None or closed is None else (int(closed.code), closed.reason)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes into chunks."""
    edges = sorted({0, len(stream), *(place % (len(stream) + 1) for place in places)})
    return [stream[begin:end] for begin, end in pairwise(edges)]


@given(st.lists(frames(), max_size=8), st.lists(st.integers(0, 1 << 20), max_size=12))
def test_all_is_read_as_by_the_library(sent: list[bytes], places: list[int]) -> None:
    """The same messages, or the same close code and words for what is wrong, whatever comes in whatever chunks."""
    stream = b"".join(sent)
    chunks = cut(stream, places)
    assert read(chunks) == read_by_library(chunks)


@given(st.lists(frames(), max_size=4), st.binary(max_size=40))
def test_nonsense_is_refused_no_later_than_by_the_library(sent: list[bytes], nonsense: bytes) -> None:
    """Nor is anything read in it that the library does not see; a head is refused before its content has come."""
    chunks = [b"".join(sent) + nonsense]
    found, why = read(chunks)
    found_by_library, why_by_library = read_by_library(chunks)
    assert found == found_by_library
    assert why_by_library is None or why_by_library == why


class AnyClient(RuleBasedStateMachine):
    """A client sends what it likes, byte by byte if it likes; the server keeps no more than what is not whole."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = FrameReader()
        self.unread = 0
        self.begun = 0
        self.broken = False

    @rule(sent=frames(), places=st.lists(st.integers(0, 300), max_size=3))
    def say(self, sent: bytes, places: list[int]) -> None:
        """Send a frame in pieces."""
        for piece in cut(sent, places):
            if self.broken:
                return
            self.reader.feed(piece)
            try:
                while (found := self.reader.next()) is not None:
                    self.broken = found[0] == Opcode.CLOSE
            except BrokenFrames:
                self.broken = True

    @invariant()
    def it_keeps_little(self) -> None:
        """A message, and the frame that adds too much to it by its head."""
        assert self.reader.size <= MAX_MESSAGE + 14 or self.broken

    @invariant()
    def between_messages_it_keeps_nothing(self) -> None:
        """Then it is as it began, but for its count."""
        if not self.broken and self.reader.begun is None:
            assert self.reader.size == 0
            assert self.reader.unread == b""


TestAnyClient = AnyClient.TestCase


@given(st.binary(max_size=300) | st.sampled_from([65_535, 65_536, 70_000]).map(bytes))
def test_what_is_made_is_what_the_library_makes(content: bytes) -> None:
    """Byte for byte; and a client reads it."""
    made = ours.frame(ours.BINARY, content)
    assert made == Frame(Opcode.BINARY, content).serialize(mask=False)
    client = Protocol(CLIENT, state=OPEN, max_size=None)
    client.receive_data(made)
    assert [bytes(each.data) for each in client.events_received() if isinstance(each, Frame)] == [content]


@given(st.text(max_size=200), st.sampled_from([1000, 1008, 4001]))
def test_a_close_frame_is_valid_whatever_its_words(reason: str, code: int) -> None:
    """They are cut to fit."""
    made = close_frame(code, reason.encode(errors="replace").decode())
    close = theirs.Close.parse(made[2:])
    assert close.code == code
    assert reason.encode(errors="replace").decode().startswith(close.reason)


def test_a_long_reason_is_cut_to_fit() -> None:
    """A close frame has room for 123 bytes, and a character is never cut in two."""
    assert cut_reason("ab" * 100) == "ab" * 61 + "a"
    assert cut_reason("é" * 100) == "é" * 61


@pytest.mark.parametrize(("content", "code"), [(b"", CloseCode.NO_STATUS_RCVD), (b"\x0f\xa1words", 4001)])
def test_a_close_frame_has_a_code(content: bytes, code: int) -> None:
    """Without one, it is that for none."""
    assert ours.close_code(content) == code


def test_what_is_not_asked_for_waits() -> None:
    """Frames that came together are read one by one."""
    reader = FrameReader()
    one = Frame(Opcode.BINARY, b"1").serialize(mask=True)
    reader.feed(one * 2 + one[:-1])
    assert reader.next() == (ours.BINARY, b"1")
    reader.feed(one[-1:])
    assert reader.size == 2 * len(one)
    assert [reader.next(), reader.next(), reader.next()] == [(ours.BINARY, b"1"), (ours.BINARY, b"1"), None]


@pytest.mark.parametrize(
    ("frame", "hollow"),
    [
        (Frame(Opcode.BINARY, b"x"), 0),
        (Frame(Opcode.TEXT, b"x"), 0),
        (Frame(Opcode.BINARY, b""), 1),
        (Frame(Opcode.BINARY, b"x", fin=False), 1),
        (Frame(Opcode.PING, b"x"), 1),
        (Frame(Opcode.PONG, b""), 1),
    ],
    ids=str,
)
def test_frames_that_bring_no_message_are_counted(frame: Frame, hollow: int) -> None:
    """Parts of messages, messages without content, and control frames."""
    reader = FrameReader()
    reader.feed(frame.serialize(mask=True))
    reader.next()
    assert reader.hollow == hollow
