"""Chunks of the wire, and what is decoded but once: cut into frames, checked at the door, taken apart by rows."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import strategies
from tests.protocol.frames import (
    arrivals,
    frame_with,
    kinds_of,
    pack,
    payload,
    payload_of,
    refusal,
    wrong_values,
)
from tocsin.protocol import messages as m
from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages import MESSAGES, Message
from tocsin.protocol.messages.codec import (
    decode,
    decode_chunk,
    decode_own,
    encode,
    messages,
    rows_apart,
    split,
)
from tocsin.protocol.messages.unpacking import MAX_CHUNK, MAX_FRAME
from tocsin.protocol.values import NotificationType, Outcome


class TestSplit:
    """A chunk of the wire, cut into frames."""

    @given(st.lists(strategies.messages(), max_size=8))
    def test_what_was_joined_is_cut_at_the_same_places(self, several: list[Message]) -> None:
        """However many frames a chunk holds, they come out as they went in."""
        frames = [encode(message) for message in several]
        assert split(b"".join(frames)) == frames

    @given(st.lists(strategies.messages(), min_size=1, max_size=4), st.data())
    def test_a_chunk_ends_with_the_end_of_a_frame(self, several: list[Message], data: st.DataObject) -> None:
        """Wherever else it ends, it is refused as a whole."""
        frames = [encode(message) for message in several]
        cut = data.draw(st.integers(1, len(frames[-1]) - 1))
        with pytest.raises(FrameError, match=r"not a sequence of msgpack arrays within the limits: \w"):
            split(b"".join(frames)[:-cut])

    @given(st.binary(max_size=200))
    def test_arbitrary_bytes_lose_nothing_or_are_a_frame_error(self, chunk: bytes) -> None:
        """Every byte of a chunk is in one of its frames."""
        with suppress(FrameError):
            assert b"".join(split(chunk)) == chunk

    @given(st.lists(strategies.messages(), max_size=8))
    def test_its_messages_are_those_of_its_frames(self, several: list[Message]) -> None:
        """Decoded as they are asked for, whether there is one or are many."""
        chunk = b"".join(map(encode, several))
        assert list(messages(chunk)) == [decode(frame) for frame in split(chunk)]

    @given(st.lists(strategies.messages(), max_size=2), st.binary(max_size=60))
    def test_what_is_wrong_comes_to_light_behind_what_is_right(self, several: list[Message], nonsense: bytes) -> None:
        """As with its frames, one by one."""
        chunk = b"".join(map(encode, several)) + nonsense
        found: list[Message] = []
        with suppress(FrameError):
            for message in messages(chunk):
                found.append(message)  # noqa: PERF402  # what comes before the error counts
        assert found[: len(several)] == [decode(encode(message)) for message in several]

    def test_a_chunk_longer_than_the_limit_is_refused(self) -> None:
        """The longest is cut, one byte more is not looked at."""
        frame = payload_of(1024)
        assert split(frame * (MAX_CHUNK // 1024)) == [frame] * (MAX_CHUNK // 1024)
        with pytest.raises(FrameError, match=f"a message of {MAX_CHUNK + 1} bytes is longer than {MAX_CHUNK}"):
            split(bytes(MAX_CHUNK + 1))

    @pytest.mark.parametrize(
        "chunk",
        [
            pytest.param(b"\x91" * 5000 + b"\x90", id="nested too deeply"),
            pytest.param(b"\xdd\xff\xff\xff\xff", id="an array of four thousand million items"),
            pytest.param(b"\xc1", id="the byte that msgpack never uses"),
        ],
    )
    def test_a_bomb_is_refused(self, chunk: bytes) -> None:
        """What is announced is not believed, and the sentence says what was wrong."""
        with pytest.raises(FrameError, match=r"not a sequence of msgpack arrays within the limits: \w"):
            split(chunk)


class TestDoor:
    """What comes from the service, decoded and checked once."""

    def test_payloads_in_a_row_become_one_batch(self) -> None:
        """In their order, and in order with what is between them; the batch's frame is as good as theirs."""
        granted, lost = m.ChannelGranted(1, "c1", "uri", 4e9, 3e9), m.ChannelsRevoked(0, ("c1",))
        several = (payload(1), payload(2, "c2"), granted, payload(3), lost)
        found = decode_chunk(b"".join(map(encode, several)))
        first, second = arrivals(payload(1), payload(2, "c2")), arrivals(payload(3))
        assert [message for message, _ in found] == [first, granted, second, lost]
        assert [decode(frame) for _, frame in found] == [first, granted, second, lost]

    @given(st.lists(strategies.messages_of(m.Payload) | strategies.messages(), max_size=8))
    def test_whatever_is_right_passes(self, several: list[Message]) -> None:
        """Nothing is left out, added or changed."""
        found = decode_chunk(b"".join(encode(message) for message in several))
        assert [each for message, _ in found for each in rows_apart(message)] == [
            arrivals(each) if isinstance(each, m.Payload) else each
            for message in several
            for each in rows_apart(message)
        ]

    @pytest.mark.parametrize("count", [1, 100, 3000, 8000])
    def test_a_chunk_of_payloads_is_one_batch_whatever_its_length(self, count: int) -> None:
        """Also where it may hold a frame that is too long, so that each has to be looked at."""
        payloads = [payload(number) for number in range(count)]
        ((batch, frame),) = decode_chunk(b"".join(map(encode, payloads)))
        assert batch == decode_own(bytes(frame)) == arrivals(*payloads)

    @pytest.mark.parametrize("place", range(8))
    def test_a_wrong_field_of_a_payload_is_refused(self, place: int) -> None:
        """Each field is looked at, alone and in a row behind right ones."""
        kind = list(kinds_of(m.Payload).values())[place]
        for wrong in wrong_values(kind):
            for before in (b"", encode(payload(1))):
                with pytest.raises(FrameError):
                    decode_chunk(before + frame_with(m.Payload, place, wrong))

    def test_a_payload_with_another_number_of_fields_is_refused(self) -> None:
        """Also one that has too many."""
        for count in (0, 6, 7, 9):
            with pytest.raises(FrameError, match=f"Payload has 8 fields, got {count}"):
                decode_chunk(pack(m.Payload.TAG, *[1] * count))

    def test_a_frame_that_is_too_long_is_refused(self) -> None:
        """Although the chunk may be longer."""
        with pytest.raises(FrameError, match=f"a frame of {MAX_FRAME + 1} bytes is longer than {MAX_FRAME}"):
            decode_chunk(encode(payload(1)) + payload_of(MAX_FRAME + 1))

    @given(st.binary(max_size=200))
    def test_arbitrary_bytes_are_messages_or_a_frame_error(self, chunk: bytes) -> None:
        """Nothing else comes out."""
        with suppress(FrameError):
            assert all(isinstance(message, Message) for message, _ in decode_chunk(chunk))


class TestOwn:
    """Frames that were made, or checked, in this process."""

    @given(strategies.messages())
    def test_they_round_trip_whatever_their_length(self, message: Message) -> None:
        """A batch has plain rows, equal to those that it was made of; of its own frame it comes as it was."""
        assert decode_own(bytes(encode(message))) == decode_own(encode(message)) == message

    def test_a_batch_is_not_unpacked_where_it_was_packed(self) -> None:
        """Nor is what an app says; whatever has a text that UTF-8 cannot hold is, and has its escape then."""
        handled = m.Handled((1, 2), (1, 1))
        for message in (handled, m.Stamped("app/1", "app", encode(handled))):
            assert decode_own(encode(message)) is message
        assert decode_own(encode(m.Stamped("\udc80", "app", b""))) == m.Stamped("\\udc80", "app", b"")
        assert decode_own(encode(m.Done(1))) is not decode_own(encode(m.Done(1)))

    def test_a_batch_may_be_longer_than_what_comes_from_outside(self) -> None:
        """It has as many payloads as a lane lets go at once."""
        rows = tuple(
            m.PayloadRow(number, "id", NotificationType.RAW, bytes(5000), 1, None, "c1") for number in range(512)
        )
        batch = m.Deliveries("app", rows)
        assert decode_own(bytes(encode(batch))) == batch
        assert decode_own(encode(m.Activation(encode(batch), 7))) == m.Activation(encode(batch), 7)
        assert "is longer than" in refusal(encode(batch))

    @pytest.mark.parametrize("cls", MESSAGES.values(), ids=lambda cls: cls.__name__)
    @given(data=st.data())
    @settings(max_examples=5, deadline=None)
    def test_what_can_be_made_can_be_taken(self, cls: type[Message], data: st.DataObject) -> None:
        """Every message, also with texts, bodies and batches that are longer than what may come from outside."""
        message = data.draw(strategies.messages_of(cls, longest=True))
        assert decode_own(bytes(encode(message))) == message

    def test_a_batch_is_taken_apart_by_rows(self) -> None:
        """So that the one that makes an actor fail is found; what is no batch stays whole."""
        batch = m.ChannelList(("c1", "c2"))
        assert rows_apart(batch) == [batch]
        assert rows_apart(m.Outcomes(())) == []
        rows = tuple(m.OutcomeRow(number, Outcome.HANDLED, "", 1) for number in range(3))
        assert rows_apart(m.Outcomes(rows)) == [m.Outcomes((row,)) for row in rows]
        assert rows_apart(m.Handled((1, 2), (1, 3))) == [m.Handled((1,), (1,)), m.Handled((2,), (3,))]
        assert rows_apart(m.Handled((), ())) == []

    def test_columns_have_one_length(self) -> None:
        """Columns that do not belong together are refused where they come from outside."""
        assert refusal(encode(m.Handled((1, 2), (1,)))) == "the columns of Handled are not of the same length"
