"""When an agent that was started on demand ends itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.platform.idleness import Idleness


@given(
    st.lists(st.tuples(st.floats(0, 10), st.integers(0, 2), st.integers(0, 2), st.booleans()), min_size=1, max_size=30),
    st.floats(0.1, 20),
)
def test_it_ends_when_it_was_of_no_use_for_its_patience_and_not_before(
    looks: list[tuple[float, int, int, bool]], patience: float
) -> None:
    """Any use in between begins the time anew, and so does a session that came and left between two looks."""
    idleness, now, since, arrivals = Idleness(patience), 0.0, None, 0
    for passed, came, sessions, holds in looks:
        now += passed
        arrivals += came
        idleness.note(now, sessions=sessions, arrivals=arrivals, holds=holds)
        if sessions or holds:
            since = None
            assert idleness.wait(now) is None
        else:
            since = now if since is None or came else since
            left = max(0.0, since + patience - now)
            assert idleness.wait(now) == left
        assert idleness.is_over(now) == (since is not None and since + patience - now <= 0)
