"""The codec: messages round-trip, and whatever else comes is refused in a sentence."""

from __future__ import annotations

import inspect
import re
from typing import Any, cast, get_type_hints

import msgpack
import pytest
from attrs import AttrsInstance, fields
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tocsin.protocol import messages as m
from tocsin.protocol.codec import MAX_CHUNK, MAX_FRAME, decode, encode, split
from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages import MESSAGES, Message
from tocsin.protocol.values import NotificationType, Outcome, PushNotificationChannelStatus

TAGS = {
    **dict(enumerate(["Hello", "Welcome", "RequestChannel", "ChannelGranted", "ChannelRefused"], 1)),
    **dict(enumerate(["RevokeChannels", "ChannelsRevoked", "Payload", "Acknowledge"], 6)),
    **dict(enumerate(["ConnectionUp", "ConnectionDown", "ActorRestarted", "AlarmRang", "Quiesce"], 20)),
    **dict(enumerate(["CreateChannel", "CancelCreateChannel", "CloseChannel", "CreateChannelProgress"], 30)),
    **dict(enumerate(["CreateChannelDone", "Done", "Failed", "ChannelLost", "ChannelOpened"], 34)),
    **dict(enumerate(["PlanRetry", "RetryPlanned", "RetryDenied", "RetryDue", "ForgetRetry"], 40)),
    **dict(enumerate(["AttachSink", "DetachSink", "SinkOpened", "SinkClosed"], 50)),
    **dict(enumerate(["Delivery", "NoSink", "Returned", "Settled"], 60)),
}
"""What each tag has always meant. New messages are added; nothing is ever changed or taken out."""

WRONG: dict[Any, list[Any]] = {
    int: [True, 1.0, "1", b"1", None, []],
    str: [b"x", 1, None, True, ["x"]],
    bytes: ["x", 1, None, []],
    float: ["1.0", True, None, b"", []],
    float | None: ["1.0", True, b"", []],
    tuple[str, ...]: [1, None, 0.5, "", "abc", b"", b"ab", [1], [None], [b"x"], [["x"]]],
    NotificationType: [b"raw", "RAW", "", 0, None, ["raw"]],
    Outcome: [-1, 4, "0", "HANDLED", None, [], True, 1.0],
    PushNotificationChannelStatus: [-1, 4, "0", None, [], True, 1.0],
}
"""For each type of a field, what is none of its values although it may resemble one."""

each_message = pytest.mark.parametrize("cls", MESSAGES.values(), ids=lambda cls: cls.__name__)


def pack(*values: Any) -> bytes:
    """Pack a frame without the codec."""
    frame: bytes = msgpack.packb(values)
    return frame


def refusal(frame: bytes) -> str:
    """Decode what must not be decoded, and return the sentence."""
    with pytest.raises(FrameError) as refused:
        decode(frame)
    return str(refused.value)


def kinds_of(cls: type[Message]) -> dict[str, Any]:
    """Return the type of each field, in the order of the frame."""
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cast(type[AttrsInstance], cls))}


def frame_with(cls: type[Message], place: int, value: Any) -> bytes:
    """Pack a message that is right but for one field."""
    right: dict[Any, Any] = {int: 1, str: "x", bytes: b"x", float: 1.0, float | None: None, tuple[str, ...]: ["x"]}
    values = [right[kind] if kind in right else next(iter(kind)).value for kind in kinds_of(cls).values()]
    decode(pack(cls.TAG, *values))
    values[place] = value
    return pack(cls.TAG, *values)


class TestMessages:
    """The register of messages."""

    def test_a_tag_means_what_it_always_meant(self) -> None:
        """An older peer understands the same frames in the same way."""
        assert {tag: cls.__name__ for tag, cls in MESSAGES.items()} == TAGS

    def test_every_message_has_a_tag(self) -> None:
        """No class is a message that cannot be sent."""
        classes = {cls for cls in vars(m).values() if inspect.isclass(cls) and issubclass(cls, Message)}
        assert classes - {Message} == set(MESSAGES.values())
        assert all(tag == cls.TAG for tag, cls in MESSAGES.items())

    def test_a_tag_cannot_be_taken_twice(self) -> None:
        """Whoever writes a new message notices at once, and the register stays as it was."""
        with pytest.raises(ValueError, match="tag 1 is taken by Hello"):
            m._tagged(1)(m.Welcome)
        assert MESSAGES[1] is m.Hello
        assert m.Welcome.TAG == 2

    @each_message
    def test_every_type_of_field_is_tested(self, cls: type[Message]) -> None:
        """A new type of field does not escape the tests below."""
        assert set(kinds_of(cls).values()) <= set(WRONG)


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
        """Whoever has no codec of ours can still read it."""
        tag, *values = msgpack.unpackb(encode(message))
        assert tag == message.TAG
        assert len(values) == len(kinds_of(type(message)))

    def test_a_whole_number_may_stand_for_a_float(self) -> None:
        """A peer whose language has one kind of number is understood."""
        granted = decode(pack(4, 1, "c", "uri", 7))
        assert granted == m.ChannelGranted(1, "c", "uri", 7.0)
        assert isinstance(granted, m.ChannelGranted)
        assert type(granted.expires) is float


class TestRefusal:
    """Bytes that are no message."""

    @given(st.binary(max_size=200) | st.lists(strategies.packable(), max_size=9).map(lambda each: pack(*each)))
    def test_arbitrary_bytes_are_a_message_or_a_frame_error(self, frame: bytes) -> None:
        """Nothing else is ever raised, and what is taken for a message is one."""
        try:
            message = decode(frame)
        except FrameError:
            return
        assert encode(decode(encode(message))) == encode(message)

    @given(st.sampled_from(list(MESSAGES)), st.lists(strategies.packable(), max_size=8))
    def test_arbitrary_fields_are_a_message_or_a_frame_error(self, tag: int, values: list[Any]) -> None:
        """So it is behind a tag that we know."""
        try:
            message = decode(pack(tag, *values))
        except FrameError:
            return
        assert tag == message.TAG

    @given(strategies.messages(), st.data())
    def test_a_damaged_frame_is_a_message_or_a_frame_error(self, message: Message, data: st.DataObject) -> None:
        """A byte that changed on its way never does more harm than another message."""
        frame = bytearray(encode(message))
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
        try:
            assert isinstance(decode(bytes(frame)), Message)
        except FrameError:
            return

    @given(strategies.messages(), st.data())
    def test_a_frame_that_was_cut_short_is_refused(self, message: Message, data: st.DataObject) -> None:
        """There is no half of a message."""
        frame = encode(message)
        cut = data.draw(st.integers(0, len(frame) - 1))
        assert "not a msgpack array within the limits" in refusal(frame[:cut])

    @pytest.mark.parametrize("kind", WRONG, ids=str)
    def test_a_field_of_the_wrong_kind_is_refused(self, kind: Any) -> None:
        """Wherever that type stands, no value of another kind gets past; the sentence names the message."""
        places = [
            (cls, place) for cls in MESSAGES.values() for place, one in enumerate(kinds_of(cls).values()) if one == kind
        ]
        assert places
        for cls, place in places:
            for wrong in WRONG[kind]:
                assert f"a field of {cls.__name__} is of the wrong kind: " in refusal(frame_with(cls, place, wrong))

    @each_message
    def test_a_field_too_many_or_too_few_is_refused(self, cls: type[Message]) -> None:
        """The sentence counts them."""
        count = len(kinds_of(cls))
        for wrong in {0, count - 1, count + 1, 50} - {count, -1}:
            assert refusal(pack(cls.TAG, *[1] * wrong)) == f"{cls.__name__} has {count} fields, got {wrong}"

    @pytest.mark.parametrize("tag", [0, -1, 10, 64, 2**64 - 1])
    def test_an_unknown_tag_is_refused(self, tag: int) -> None:
        """What a newer peer may have invented is named by its tag."""
        assert refusal(pack(tag)) == f"no message has the tag {tag}"

    @pytest.mark.parametrize(
        "frame", [pack(), pack(*[True, 1]), pack(1.0, 1), pack("1"), pack([1]), pack(None), b"\x01", b"\xc0", b"\xa1x"]
    )
    def test_a_frame_without_a_tag_is_refused(self, frame: bytes) -> None:
        """A frame is an array, and its first item a number."""
        assert refusal(frame) == "a frame is an array that begins with its tag"

    def test_a_second_frame_is_refused(self) -> None:
        """Whoever decodes has split before."""
        assert "not a msgpack array within the limits" in refusal(encode(m.Done(1)) * 2)


class TestLimits:
    """What an enemy may send."""

    def test_the_longest_frame_is_taken_and_a_longer_one_is_not(self) -> None:
        """The limit is in bytes, of the whole frame."""
        around = len(encode(m.Payload("i", "c", NotificationType.RAW, bytes(1000), None))) - 1000
        longest = m.Payload("i", "c", NotificationType.RAW, bytes(MAX_FRAME - around), None)
        assert decode(encode(longest)) == longest
        longer = encode(m.Payload("i", "c", NotificationType.RAW, bytes(MAX_FRAME - around + 1), None))
        assert refusal(longer) == f"a frame of {MAX_FRAME + 1} bytes is longer than {MAX_FRAME}"

    @pytest.mark.parametrize(
        "frame",
        [
            pytest.param(b"\x91" * 1000, id="nested and cut short"),
            pytest.param(b"\x91" * 5000 + b"\x90", id="nested too deeply"),
            pytest.param(b"\xdd\xff\xff\xff\xff", id="an array of four thousand million items"),
            pytest.param(b"\xdc\x10\x01" + b"\x01" * 4097, id="an array of one item too many"),
            pytest.param(b"\xdc\x10\x00" * 20, id="arrays of arrays of arrays"),
            pytest.param(b"\xc6\xff\xff\xff\xff", id="four gigabytes of bytes"),
            pytest.param(b"\xdb\xff\xff\xff\xff", id="four gigabytes of text"),
            pytest.param(pack(1, 1, "x" * 20_000), id="a text of 20,000 bytes"),
            pytest.param(pack(1, 1, {}), id="an empty map"),
            pytest.param(pack(1, 1, {"a": 1}), id="a map"),
            pytest.param(b"\xdf\xff\xff\xff\xff", id="a map of four thousand million items"),
            pytest.param(pack(1, 1, msgpack.ExtType(1, b"x")), id="an extension"),
            pytest.param(pack(1, 1, msgpack.Timestamp(1)), id="a timestamp"),
            pytest.param(b"\x93\x01\x01\xa1\xff", id="a text that is no UTF-8"),
            pytest.param(b"\xc1", id="the byte that msgpack never uses"),
            pytest.param(b"", id="nothing"),
        ],
    )
    def test_a_bomb_is_refused_in_a_whole_sentence(self, frame: bytes) -> None:
        """Whatever a frame announces is not believed, and the sentence says what was wrong."""
        assert re.match(
            "(not a msgpack array within the limits|a field of Hello is of the wrong kind): .", refusal(frame)
        )


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
        try:
            frames = split(chunk)
        except FrameError:
            return
        assert b"".join(frames) == chunk
        assert all(frames)

    def test_a_chunk_longer_than_the_limit_is_refused(self) -> None:
        """The longest is cut, one byte more is not looked at."""
        frame = encode(m.Payload("i", "c", NotificationType.RAW, bytes(1024 - 14), None))
        assert len(frame) == 1024
        assert split(frame * (MAX_CHUNK // 1024)) == [frame] * (MAX_CHUNK // 1024)
        with pytest.raises(FrameError, match=f"a message of {MAX_CHUNK + 1} bytes is longer than {MAX_CHUNK}"):
            split(bytes(MAX_CHUNK + 1))

    @pytest.mark.parametrize(
        "chunk",
        [
            pytest.param(b"\x91" * 1000, id="nested and cut short"),
            pytest.param(b"\x91" * 5000 + b"\x90", id="nested too deeply"),
            pytest.param(b"\xdd\xff\xff\xff\xff", id="an array of four thousand million items"),
            pytest.param(b"\xc6\xff\xff\xff\xff", id="four gigabytes of bytes"),
            pytest.param(b"\xc1", id="the byte that msgpack never uses"),
        ],
    )
    def test_a_bomb_is_refused(self, chunk: bytes) -> None:
        """What is announced is not believed, and the sentence says what was wrong."""
        with pytest.raises(FrameError, match=r"not a sequence of msgpack arrays within the limits: \w"):
            split(chunk)
