"""The codec: messages round-trip, and whatever else comes is refused in a sentence."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import product
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tocsin.protocol.messages.calling
import tocsin.protocol.messages.node_protocol  # noqa: F401  # their messages are in no other module
from tests import strategies
from tests.protocol.frames import (
    frame_with,
    kinds_of,
    pack,
    payload_of,
    refusal,
    wrong_values,
)
from tocsin.protocol import messages as m
from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages import MESSAGES, Message
from tocsin.protocol.messages.codec import decode, decode_known, encode
from tocsin.protocol.messages.unpacking import MAX_FRAME
from tocsin.protocol.network.causes import ConnectionCause

ANY_TAG = st.sampled_from(list(MESSAGES)) | strategies.packable()
each_message = pytest.mark.parametrize("cls", MESSAGES.values(), ids=lambda cls: cls.__name__)


KINDS = list(dict.fromkeys(kind for cls in MESSAGES.values() for kind in kinds_of(cls).values()))


class TestRoundTrip:
    """What is encoded comes back."""

    @each_message
    @given(data=st.data())
    def test_every_message_comes_back(self, cls: type[Message], data: st.DataObject) -> None:
        """It is equal, of its class, and its values are of their very types."""
        message = data.draw(strategies.messages_of(cls))
        back = decode(encode(message))
        assert back == message
        assert type(back) is cls
        for name in kinds_of(cls):
            assert type(getattr(back, name)) is type(getattr(message, name))

    @given(strategies.messages())
    def test_a_frame_is_an_array_that_begins_with_the_tag(self, message: Message) -> None:
        """Any msgpack library can read it: the tag, then one value for each field."""
        tag, *values = msgpack.unpackb(encode(message))
        assert tag == message.TAG
        assert len(values) == len(kinds_of(type(message)))

    def test_a_whole_number_may_stand_for_a_float(self) -> None:
        """A peer whose language has one kind of number is understood."""
        granted = decode(pack(4, 1, "c", "uri", 7, 5))
        assert repr(granted) == repr(m.ChannelGranted(1, "c", "uri", 7.0, 5.0))


class TestRefusal:
    """Bytes that are no message."""

    @given(
        st.binary(max_size=200)
        | st.builds(lambda tag, rest: pack(tag, *rest), ANY_TAG, st.lists(strategies.packable(), max_size=8))
    )
    def test_arbitrary_bytes_are_a_message_or_a_frame_error(self, frame: bytes) -> None:
        """Nothing else is ever raised, and what is taken for a message is one."""
        try:
            message = decode(frame)
        except FrameError:
            return
        assert encode(decode(encode(message))) == encode(message)

    @given(strategies.messages(), st.data())
    def test_a_damaged_frame_is_a_message_or_a_frame_error(self, message: Message, data: st.DataObject) -> None:
        """A byte that changed on its way never does more harm than another message."""
        frame = bytearray(encode(message))
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
        with suppress(FrameError):
            assert isinstance(decode(bytes(frame)), Message)

    @given(strategies.messages(), st.data())
    def test_a_frame_that_was_cut_short_is_refused(self, message: Message, data: st.DataObject) -> None:
        """There is no half of a message."""
        frame = encode(message)
        cut = data.draw(st.integers(0, len(frame) - 1))
        assert "not a msgpack array within the limits" in refusal(frame[:cut])

    @pytest.mark.parametrize("kind", KINDS, ids=str)
    def test_a_field_of_the_wrong_kind_is_refused(self, kind: Any) -> None:
        """Wherever that type stands, no value of another kind gets past; the sentence names the message."""
        for cls in MESSAGES.values():
            places = [place for place, one in enumerate(kinds_of(cls).values()) if one == kind]
            for place, wrong in product(places, wrong_values(kind)):
                assert f"a field of {cls.__name__} is of the wrong kind: " in refusal(frame_with(cls, place, wrong))

    @each_message
    def test_a_field_too_many_or_too_few_is_refused(self, cls: type[Message]) -> None:
        """The sentence counts them."""
        count = len(kinds_of(cls))
        for wrong in {0, count - 1, count + 1, 50} - {count, -1}:
            assert refusal(pack(cls.TAG, *[1] * wrong)) == f"{cls.__name__} has {count} fields, got {wrong}"

    @pytest.mark.parametrize("tag", [0, -1, 19, 9_999, 2**64 - 1])
    def test_an_unknown_tag_is_refused(self, tag: int) -> None:
        """What a newer peer may have invented is named by its tag."""
        assert refusal(pack(tag)) == f"no message has the tag {tag}"

    @pytest.mark.parametrize(
        "frame", [pack(), pack(*[True, 1]), pack(1.0, 1), pack("1"), pack([1]), pack(None), b"\x01", b"\xc0", b"\xa1x"]
    )
    def test_a_frame_without_a_tag_is_refused(self, frame: bytes) -> None:
        """A frame is an array, and its first item a number."""
        assert refusal(frame) == "a frame is an array that begins with its tag"


class TestNewerPeers:
    """Frames of nodes that may have a later version."""

    @each_message
    @given(data=st.data())
    def test_fields_behind_those_known_are_passed_over(self, cls: type[Message], data: st.DataObject) -> None:
        """Whatever they hold; what is known is looked at as always."""
        message = data.draw(strategies.messages_of(cls))
        more = data.draw(st.lists(strategies.packable(), max_size=3))
        assert decode_known(pack(*msgpack.unpackb(encode(message)), *more)) == message

    @each_message
    def test_a_field_too_few_is_refused(self, cls: type[Message]) -> None:
        """A message never grew less."""
        count = len(kinds_of(cls))
        if count:
            with pytest.raises(FrameError, match=f"{cls.__name__} has {count} fields, got {count - 1}"):
                decode_known(pack(cls.TAG, *[1] * (count - 1)))

    @pytest.mark.parametrize("frame", [pack(9_999), pack(), b"\x01"])
    def test_what_is_no_message_is_refused(self, frame: bytes) -> None:
        """A message that is not known at all is not sent to an older peer."""
        with pytest.raises(FrameError):
            decode_known(frame)


class TestLimits:
    """What an enemy may send."""

    def test_the_longest_frame_is_taken_and_a_longer_one_is_not(self) -> None:
        """The limit is in bytes, of the whole frame."""
        assert isinstance(decode(payload_of(MAX_FRAME)), m.Payload)
        assert refusal(payload_of(MAX_FRAME + 1)) == f"a frame of {MAX_FRAME + 1} bytes is longer than {MAX_FRAME}"

    def test_the_longest_text_is_taken_and_a_longer_one_is_not(self) -> None:
        """The limit is in bytes, not in letters."""
        longest = m.ConnectionDown(ConnectionCause.LOST, "☃" * 5461, 1.0)
        assert decode(encode(longest)) == longest
        assert "16386 exceeds max_str_len(16384)" in refusal(
            encode(m.ConnectionDown(ConnectionCause.LOST, "☃" * 5462, 1.0))
        )

    @pytest.mark.parametrize(
        "frame",
        [
            pytest.param(b"\x91" * 1000, id="nested and cut short"),
            pytest.param(b"\x91" * 5000 + b"\x90", id="nested too deeply"),
            pytest.param(b"\xdd\xff\xff\xff\xff", id="an array of four thousand million items"),
            pytest.param(b"\xdc\x10\x01" + b"\x01" * 4097, id="an array of one item too many"),
            pytest.param(b"\xc6\xff\xff\xff\xff", id="four gigabytes of bytes"),
            pytest.param(b"\xdb\xff\xff\xff\xff", id="four gigabytes of text"),
            pytest.param(pack(1, 1, {"a": 1}), id="a map"),
            pytest.param(pack(1, 1, msgpack.ExtType(1, b"x")), id="an extension"),
            pytest.param(b"\x93\x01\x01\xa1\xff", id="a text that is no UTF-8"),
            pytest.param(b"\xc1", id="the byte that msgpack never uses"),
            pytest.param(b"", id="nothing"),
            pytest.param(encode(m.Done(1)) * 2, id="two frames"),
        ],
    )
    def test_a_bomb_is_refused_in_a_whole_sentence(self, frame: bytes) -> None:
        """Whatever a frame announces is not believed, and the sentence says what was wrong."""
        assert re.match(
            "(not a msgpack array within the limits|a field of Hello is of the wrong kind): .", refusal(frame)
        )
