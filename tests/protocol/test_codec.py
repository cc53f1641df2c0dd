"""The codec: messages round-trip, and whatever else comes is refused in a sentence."""

from __future__ import annotations

import inspect
import re
from contextlib import suppress
from itertools import product
from types import NoneType
from typing import Any, cast, get_args, get_origin, get_type_hints

import msgpack
import pytest
from attrs import AttrsInstance, fields
from hypothesis import given
from hypothesis import strategies as st

from tests import strategies
from tocsin.protocol import messages as m
from tocsin.protocol.codec import MAX_CHUNK, MAX_FRAME, decode, decode_chunk, decode_own, encode, rows_apart, split
from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages import MESSAGES, Message
from tocsin.protocol.messages.base import tagged
from tocsin.protocol.values import NotificationType, Outcome

TAGS = {
    **dict(enumerate(["Hello", "Welcome", "RequestChannel", "ChannelGranted", "ChannelRefused"], 1)),
    **dict(enumerate(["RevokeChannels", "ChannelsRevoked", "Payload", "Acknowledge", "Suspended", "PowerState"], 6)),
    **dict(
        enumerate(["ConnectionUp", "ConnectionDown", "ActorRestarted", "AlarmRang", "Quiesce", "Arrivals", "Fence"], 20)
    ),
    **dict(enumerate(["CreateChannel", "CancelCreateChannel", "CloseChannel", "CreateChannelProgress"], 30)),
    **dict(enumerate(["CreateChannelDone", "Done", "Failed", "ChannelLost", "ChannelOpened", "ChannelRenewed"], 34)),
    **dict(
        enumerate(
            ["PlanRetry", "RetryPlanned", "RetryDenied", "RetryDue", "ForgetRetry", "ResumeRetry", "ChannelsHeld"], 40
        )
    ),
    **dict(enumerate(["SinkOpened", "SinkClosed", "AttachSink", "DetachSink", "Activation", "Deliveries"], 52)),
    64: "Parked",
    66: "CancelDelivery",
    67: "AbortDelivery",
    **dict(enumerate(["RegisterActivator", "UnregisterActivators", "ActivatorChanged", "AppReady"], 70)),
    **dict(enumerate(["LeaveSession", "Outcomes", "Settlements"], 74)),
    **dict(enumerate(["HostChanged", "AppSettingsChanged", "CancelWork"], 80)),
}
"""What each tag has always meant. New messages are added; nothing is ever changed."""

RETIRED = {50, 51, *range(60, 64), 65, 68, 69, 77}
"""Tags that meant something once, and mean nothing any more: payloads went one by one, or by the channel, or to the registry."""

RIGHT: dict[Any, Any] = {bool: True, int: 1, float: 1.0, str: "x", bytes: b"x"}
WRONG: dict[Any, list[Any]] = {
    bool: [0, 1, 1.0, "true", None, []],
    int: [True, 1.0, "1", b"1", None, []],
    float: ["1.0", True, None, b"", []],
    str: [b"x", 1, None, True, ["x"], {}],
    bytes: ["x", 1, None, []],
}
"""For each plain type of a field, what is none of its values although it may resemble one."""

ANY_TAG = st.sampled_from(list(MESSAGES)) | strategies.packable()
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


KINDS = list(dict.fromkeys(kind for cls in MESSAGES.values() for kind in kinds_of(cls).values()))


def right_value(kind: Any) -> Any:
    """Return what a field of that type may hold."""
    if kind in RIGHT:
        return RIGHT[kind]
    if is_row(kind):
        return [right_value(each) for each in get_type_hints(kind).values()]
    if get_args(kind):
        inner = right_value(get_args(kind)[0])
        return [inner] if get_origin(kind) is tuple else inner
    return next(iter(kind)).value


def is_row(kind: Any) -> bool:
    """Whether a type is that of the rows of a batch."""
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def wrong_rows(kind: Any) -> list[Any]:
    """Return rows that are right but for one field."""
    kinds = list(get_type_hints(kind).values())
    right = [right_value(each) for each in kinds]
    return [
        [*right[:place], wrong, *right[place + 1 :]] for place, each in enumerate(kinds) for wrong in wrong_values(each)
    ]


def wrong_values(kind: Any) -> list[Any]:
    """Return what no field of that type may hold."""
    if kind in WRONG:
        return WRONG[kind]
    if is_row(kind):
        return [
            1,
            None,
            "",
            [],
            [right_value(each) for each in [*get_type_hints(kind).values(), int]],
            *wrong_rows(kind),
        ]
    if get_origin(kind) is tuple:
        return [1, None, 0.5, "", "abc", b"", b"ab", *([wrong] for wrong in wrong_values(get_args(kind)[0]))]
    if NoneType in get_args(kind):
        return [wrong for wrong in wrong_values(get_args(kind)[0]) if wrong is not None]
    value = next(iter(kind)).value
    if isinstance(value, str):
        return [value.encode(), f" {value}", "", 0, None, [value]]
    return [-1, 10_000, str(value), kind(value).name, None, [], bool(value), float(value)]


def frame_with(cls: type[Message], place: int, value: Any) -> bytes:
    """Pack a message that is right but for one field."""
    values = [right_value(kind) for kind in kinds_of(cls).values()]
    decode(pack(cls.TAG, *values))
    values[place] = value
    return pack(cls.TAG, *values)


def payload_of(size: int) -> bytes:
    """Pack a payload whose body makes its frame that long."""
    around = len(frame_with(m.Payload, 3, bytes(1000))) - 1000
    return frame_with(m.Payload, 3, bytes(size - around))


class TestMessages:
    """The register of messages."""

    def test_a_tag_means_what_it_always_meant(self) -> None:
        """An older peer understands the same frames in the same way."""
        assert {tag: cls.__name__ for tag, cls in MESSAGES.items()} == TAGS
        assert not MESSAGES.keys() & set(RETIRED)

    def test_every_message_has_a_tag(self) -> None:
        """No class is a message that cannot be sent."""
        classes = {cls for cls in vars(m).values() if inspect.isclass(cls) and issubclass(cls, Message)}
        assert classes - {Message} == set(MESSAGES.values())
        assert all(tag == cls.TAG for tag, cls in MESSAGES.items())

    def test_a_tag_cannot_be_taken_twice(self) -> None:
        """Whoever writes a new message notices at once, and the register stays as it was."""
        with pytest.raises(ValueError, match="tag 1 is taken by Hello"):
            tagged(1)(m.Welcome)
        assert MESSAGES[1] is m.Hello
        assert m.Welcome.TAG == 2


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
        assert repr(granted) == repr(m.ChannelGranted(1, "c", "uri", 7.0))


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


class TestLimits:
    """What an enemy may send."""

    def test_the_longest_frame_is_taken_and_a_longer_one_is_not(self) -> None:
        """The limit is in bytes, of the whole frame."""
        assert isinstance(decode(payload_of(MAX_FRAME)), m.Payload)
        assert refusal(payload_of(MAX_FRAME + 1)) == f"a frame of {MAX_FRAME + 1} bytes is longer than {MAX_FRAME}"

    def test_the_longest_text_is_taken_and_a_longer_one_is_not(self) -> None:
        """The limit is in bytes, not in letters."""
        longest = m.ConnectionDown(1, "☃" * 5461)
        assert decode(encode(longest)) == longest
        assert "16386 exceeds max_str_len(16384)" in refusal(encode(m.ConnectionDown(1, "☃" * 5462)))

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


def payload_frame(number: int, channel: str = "c1") -> bytes:
    """Build the frame of a payload."""
    return encode(m.Payload(f"id{number}", channel, NotificationType.RAW, b"ding", None, 3))


def arrival(number: int, channel: str = "c1") -> m.Arrival:
    """Build the row that it becomes."""
    return m.Arrival(f"id{number}", channel, NotificationType.RAW, b"ding", None, 3)


class TestDoor:
    """What comes from the service, decoded and checked once."""

    def test_payloads_in_a_row_become_one_batch(self) -> None:
        """In their order, and in order with what is between them; the batch's frame is as good as theirs."""
        granted, lost = m.ChannelGranted(1, "c1", "uri", 4e9), m.ChannelsRevoked(0, ("c1",))
        frames = [payload_frame(1), payload_frame(2, "c2"), encode(granted), payload_frame(3), encode(lost)]
        found = decode_chunk(b"".join(frames))
        first, second = m.Arrivals((arrival(1), arrival(2, "c2"))), m.Arrivals((arrival(3),))
        assert [message for message, _ in found] == [first, granted, second, lost]
        assert [decode(frame) for _, frame in found] == [first, granted, second, lost]

    @given(st.lists(strategies.messages(), max_size=8))
    def test_whatever_is_right_passes(self, several: list[Message]) -> None:
        """Nothing is left out, added or changed."""
        found = decode_chunk(b"".join(encode(message) for message in several))
        assert [each for message, _ in found for each in rows_apart(message)] == [
            m.Arrivals((tuple(getattr(each, name) for name in m.Arrival._fields),))  # type: ignore[arg-type]
            if isinstance(each, m.Payload)
            else each
            for message in several
            for each in rows_apart(message)
        ]

    @pytest.mark.parametrize("place", range(6))
    def test_a_wrong_field_of_a_payload_is_refused(self, place: int) -> None:
        """Each field is looked at, also in a row behind right ones."""
        kind = list(kinds_of(m.Payload).values())[place]
        for wrong in wrong_values(kind):
            with pytest.raises(FrameError):
                decode_chunk(payload_frame(1) + frame_with(m.Payload, place, wrong))

    def test_a_payload_with_another_number_of_fields_is_refused(self) -> None:
        """Also one that has too many."""
        for count in (0, 5, 7):
            with pytest.raises(FrameError, match="Arrival has 6 fields"):
                decode_chunk(pack(m.Payload.TAG, *[1] * count))

    def test_a_frame_that_is_too_long_is_refused(self) -> None:
        """Although the chunk may be longer."""
        with pytest.raises(FrameError, match=f"a frame of {MAX_FRAME + 1} bytes is longer than {MAX_FRAME}"):
            decode_chunk(payload_frame(1) + payload_of(MAX_FRAME + 1))

    @given(st.binary(max_size=200))
    def test_arbitrary_bytes_are_messages_or_a_frame_error(self, chunk: bytes) -> None:
        """Nothing else comes out."""
        with suppress(FrameError):
            assert all(isinstance(message, Message) for message, _ in decode_chunk(chunk))


class TestOwn:
    """Frames that were made, or checked, in this process."""

    @given(strategies.messages())
    def test_they_round_trip_whatever_their_length(self, message: Message) -> None:
        """A batch has plain rows, equal to those that it was made of."""
        assert decode_own(encode(message)) == message

    def test_a_batch_may_be_longer_than_what_comes_from_outside(self) -> None:
        """It has as many payloads as a lane lets go at once."""
        rows = tuple(
            m.Delivery(number, "id", NotificationType.RAW, bytes(5000), 1, None, "c1") for number in range(512)
        )
        batch = m.Deliveries("app", rows)
        assert decode_own(encode(batch)) == batch
        assert decode_own(encode(m.Activation(encode(batch)))) == m.Activation(encode(batch))
        assert "is longer than" in refusal(encode(batch))

    def test_a_batch_is_taken_apart_by_rows(self) -> None:
        """So that the one that makes an actor fail is found; what is no batch stays whole."""
        batch = m.ChannelsHeld(("c1", "c2"))
        assert rows_apart(batch) == [batch]
        assert rows_apart(m.Outcomes(())) == []
        rows = tuple(m.Returned(number, Outcome.HANDLED, "", 1) for number in range(3))
        assert rows_apart(m.Outcomes(rows)) == [m.Outcomes((row,)) for row in rows]
