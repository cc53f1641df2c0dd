"""Many moments, and the next of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.calling.moments import Moments

_AT = st.none() | st.integers(0, 20).map(float)


@given(st.lists(st.tuples(st.sampled_from("abcd"), _AT)), st.integers(0, 20).map(float))
def test_moments_are_what_a_plain_mapping_says(changes: list[tuple[str, float | None]], now: float) -> None:
    """Whatever is set, put off and stopped: the next is the least, and those are due whose time has come, and stay so."""
    moments = Moments[str]()
    plain: dict[str, float] = {}
    for key, at in changes:
        moments.set(key, at)
        if at is None:
            plain.pop(key, None)
        else:
            plain[key] = at
        assert moments.next() == min(plain.values(), default=None)
        for _ in range(2):
            due = moments.due(now)
            assert sorted(due) == sorted(key for key, at in plain.items() if at <= now)
            assert [plain[key] for key in due] == sorted(plain[key] for key in due)


def test_what_is_put_off_again_and_again_takes_no_more_room() -> None:
    """The heap is made anew before it has many times as many entries as there are moments."""
    moments = Moments[str]()
    for at in range(100_000):
        moments.set("a", float(at))
    assert len(moments._heap) < 2_000
    assert moments.next() == 99_999.0
