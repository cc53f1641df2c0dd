"""What an agent may send: nothing else gets past the door, and nothing that it sends makes the service fail."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.calling_service.played_agent import hello
from tocsin.calling_service.agent_frames import read_hello, read_question
from tocsin.protocol.errors import NotSupported, ProtocolViolation
from tocsin.protocol.messages import codec
from tocsin.protocol.messages.calling import AcceptCall, CallHello, SetCallMedia

VALUES = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.text(max_size=300),
    st.booleans(),
    st.none(),
    st.binary(max_size=9),
    st.floats(),
)
FRAMES = st.one_of(
    st.binary(max_size=200),
    st.builds(
        lambda tag, values: bytes(msgpack.packb((tag, *values))),
        st.integers(139, 156),
        st.lists(st.one_of(VALUES, st.lists(st.text(max_size=9), max_size=70)), max_size=9),
    ),
)


@given(FRAMES)
def test_whatever_comes_is_read_or_refused(frame: bytes) -> None:
    """As a hello and as a question: by one of our errors, in words."""
    for read in (read_hello, read_question):
        with suppress(ProtocolViolation, NotSupported):
            message: Any = read(frame)
            assert codec.decode(codec.encode(message)) == message


@given(
    st.text(min_size=1, max_size=128).filter(str.isprintable),
    st.text(max_size=256).filter(str.isprintable),
    st.booleans(),
    st.lists(st.text(max_size=64), max_size=64).map(tuple),
)
def test_every_hello_within_the_limits_is_read(
    device: str, name: str, quiet: bool, calls: tuple[str, ...]
) -> None:  # drawn
    """As it was sent."""
    said = hello("token", device, name=name, quiet=quiet, open_calls=calls)
    assert read_hello(codec.encode(said)) == said


@pytest.mark.parametrize("request_", [0, -1])
def test_a_question_has_a_number(request_: int) -> None:
    """That its answer repeats."""
    with pytest.raises(ProtocolViolation, match=f"AcceptCall has a request above 0, not {request_}"):
        read_question(codec.encode(AcceptCall(request_, "call", muted=False, video=False)))
    asked = SetCallMedia(1, "call", muted=True, held=False)
    assert read_question(codec.encode(asked)) == asked


def test_a_hello_is_a_first_frame() -> None:
    """And no later one."""
    with pytest.raises(ProtocolViolation, match="an agent does not send CallHello here"):
        read_question(codec.encode(CallHello(1, "token", "phone", "", quiet=False, open_calls=())))
