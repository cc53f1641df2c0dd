"""How long the end of handled payloads waits for a commit to share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.kernel.commit_delay import PATIENCE, CommitDelay

BATCHES = st.lists(st.tuples(st.floats(0, PATIENCE), st.booleans(), st.booleans()))


@given(BATCHES)
def test_an_end_waits_for_its_patience_at_most(batches: list[tuple[float, bool, bool]]) -> None:
    """Whatever comes meanwhile, the moment stays that of the first end that waits, until a commit takes all along."""
    delay, now, waiting_since = CommitDelay(), 0.0, None
    for later, urgent, ended in batches:
        now += later
        any_ended = ended or waiting_since is not None
        until = delay.until(now, urgent=urgent, ended=any_ended)
        if until is None:
            assert urgent or not any_ended or (waiting_since is not None and now >= waiting_since + PATIENCE)
            waiting_since = None
        else:
            waiting_since = now if waiting_since is None else waiting_since
            assert not urgent
            assert now < until == waiting_since + PATIENCE


def test_near_the_end_nothing_waits() -> None:
    """Nor does what waits already."""
    delay = CommitDelay()
    assert delay.until(1.0, urgent=False, ended=True) == 1.0 + PATIENCE
    delay.hurry()
    assert delay.until(1.0, urgent=False, ended=True) is None
