"""Many payloads at once: taken apart by channels, and known again by their ids."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.persistence.payloads import payload
from tests.strategies import channel_names
from tocsin.protocol.delivery.batches import by_channel, earliest, latest
from tocsin.protocol.delivery.recent_ids import RecentIds


@given(st.lists(channel_names()))
def test_payloads_are_taken_apart_by_their_channels(channels: list[str]) -> None:
    """None is lost, and those of a channel stay in order."""
    rows = [payload(number, channel) for number, channel in enumerate(channels)]
    assert by_channel(rows) == {name: [each for each in rows if each.channel == name] for name in set(channels)}


@given(st.lists(st.none() | st.floats(0, 9)))
def test_the_first_and_the_last_moment_of_a_column_are_found(column: list[float | None]) -> None:
    """Places without one say nothing; a column of such has neither."""
    moments = sorted(moment for moment in column if moment is not None)
    ends = (moments[0], moments[-1]) if moments else (None, None)
    assert (earliest(column), latest(column)) == ends


class TestRecentIds:
    """Ids that came before are known again."""

    @given(
        st.lists(st.lists(st.integers(0, 30).map(str), max_size=6)), st.sets(st.integers(0, 30).map(str), max_size=3)
    )
    def test_each_is_new_once(self, batches: list[list[str]], before: set[str]) -> None:
        """Whether an id comes again in the same batch or in a later one, or was there at the start."""
        recent, seen = RecentIds(1000, before), set(before)
        for ids in batches:
            expected = [id_ not in seen and id_ not in ids[:place] for place, id_ in enumerate(ids)]
            assert (recent.add(ids) or [True] * len(ids)) == expected
            seen.update(ids)

    @given(st.lists(st.integers(1, 9), min_size=1, max_size=30))
    def test_the_newest_are_known_and_memory_is_bounded(self, sizes: list[int]) -> None:
        """As many as were to be kept are still known; older ones are forgotten in time."""
        recent, count = RecentIds(10), 0
        for size in sizes:
            assert recent.add([str(count + n) for n in range(size)]) is None
            count += size
            assert len(recent) <= 2 * 10 + 9
        newest = [str(number) for number in range(max(0, count - 10), count)]
        assert recent.add(newest) == [False] * len(newest)
