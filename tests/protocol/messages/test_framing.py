"""Frames on a byte stream, wherever it is cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages.framing import HEAD, FrameSplitter, with_lengths

FRAMES = st.lists(st.binary(min_size=1, max_size=60), max_size=20)


@given(FRAMES, st.lists(st.integers(1, 50), min_size=1))
def test_any_cut_gives_the_same_frames(frames: list[bytes], cuts: list[int]) -> None:
    """What was sent comes out, in order, each as soon as its last byte is there."""
    stream, splitter, found = with_lengths(frames), FrameSplitter(60), list[bytes]()
    sent = 0
    while sent < len(stream):
        size = cuts[sent % len(cuts)]
        found += splitter.feed(stream[sent : sent + size])
        sent = min(sent + size, len(stream))
        ends = [sum(len(each) + HEAD for each in frames[: number + 1]) for number in range(len(frames))]
        whole = sum(end <= sent for end in ends)
        assert found == frames[:whole]
        assert splitter.is_between_frames == (sent in {0, *ends})
    assert found == frames


@pytest.mark.parametrize("length", [0, 61, 100 * 1024 * 1024, 2**32 - 1])
def test_a_frame_of_no_bytes_or_too_many_is_refused_by_its_length(length: int) -> None:
    """Before any of it has come."""
    splitter = FrameSplitter(60)
    assert splitter.feed(with_lengths([b"good"])) == [b"good"]
    with pytest.raises(FrameError, match=f"1 to 60 bytes, not {length}"):
        splitter.feed(length.to_bytes(HEAD, "big"))
