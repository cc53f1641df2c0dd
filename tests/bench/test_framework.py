"""The arithmetic of the benches."""

from __future__ import annotations

import math
import os
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.framework import (
    Contestant,
    Missing,
    Report,
    Sample,
    in_ms,
    measure,
    optional,
    percentile,
    slope,
    tail,
)
from bench.meter import Meter
from bench.processes import cpu_seconds

FIGURES = st.lists(st.floats(0.001, 1e6), min_size=1, max_size=50)


def fixed(*figures: float) -> Contestant:
    """Return a product that finds these figures, one per round."""
    rest = iter(figures)
    return Contestant("ours", lambda: {"per s": next(rest)})


class TestRounds:
    """Contestants take turns."""

    def test_contestants_alternate(self) -> None:
        """A, B, A, B: whatever happens to the machine happens to both."""
        turns: list[str] = []

        def contestant(name: str) -> Contestant:
            def run() -> Sample:
                turns.append(name)
                return {"per s": 1.0}

            return Contestant(name, run)

        measure(Report("x", "y"), [contestant("a"), contestant("b")], 3)
        assert turns == ["a", "b"] * 3

    def test_what_is_missing_is_skipped_with_its_sentence(self) -> None:
        """The others are measured all the same."""

        def run() -> Sample:
            raise Missing("there is no such thing here")

        report = measure(Report("x", "y"), [Contestant("absent", run), fixed(1, 2)], 2)
        assert [row.name for row in report.rows] == ["ours"]
        assert report.skipped == ["absent: there is no such thing here"]

    def test_a_missing_package_is_named_with_what_to_install(self) -> None:
        """The sentence can be followed."""
        with pytest.raises(Missing, match=r"^no_such_package cannot be imported .*pip install '\.\[bench\]'$"):
            optional("no_such_package")


class TestFigures:
    """Medians, ratios, percentiles and slopes."""

    def test_the_figure_is_the_median_of_the_rounds(self) -> None:
        """One bad round changes nothing."""
        (row,) = measure(Report("x", "y"), [fixed(10, 1, 12)], 3).rows
        assert row.median("per s") == 10
        assert row.median("of something else") is None

    def test_a_ratio_is_taken_within_each_round(self) -> None:
        """When the machine is half as fast for a round, the ratio of that round is the same."""
        floor = iter((100.0, 50.0, 100.0))
        contestants = [Contestant("floor", lambda: {"per s": next(floor)}, "floor"), fixed(20, 10, 40)]
        report = measure(Report("x", "y"), contestants, 3)
        assert report.ratio(report.rows[1]) == pytest.approx(0.2)

    def test_without_a_floor_there_is_no_ratio(self) -> None:
        """Nothing is compared with nothing."""
        report = measure(Report("x", "y"), [fixed(1)], 1)
        assert report.ratio(report.rows[0]) is None

    def test_percentiles_of_one_to_a_hundred(self) -> None:
        """The nearest rank is one of the values."""
        values = [float(number) for number in range(100, 0, -1)]
        assert [percentile(values, percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]

    @given(FIGURES, st.integers(1, 100))
    def test_a_percentile_is_the_smallest_that_enough_values_do_not_exceed(
        self, values: list[float], percent: int
    ) -> None:
        """By definition, for any values."""
        found = percentile(values, percent)
        enough = len(values) * percent / 100
        assert sum(value <= found for value in values) >= enough
        assert sum(value < found for value in values) < enough

    def test_a_tail_has_three_percentiles(self) -> None:
        """Of the values in any order; as columns they have the name of what was waited for, and its unit."""
        found = tail([number / 1000 for number in range(1000, 0, -1)])
        assert found == {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
        assert in_ms("answer", found, 1000) == {"answer p50 ms": 500, "answer p99 ms": 990, "answer p99.9 ms": 999}

    def test_no_values_have_no_percentile(self) -> None:
        """It is refused, not guessed."""
        with pytest.raises(ValueError, match="no values"):
            percentile([], 50)

    @given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3), st.integers(2, 30))
    def test_the_slope_of_a_line_is_its_own(self, rise: float, start: float, count: int) -> None:
        """Least squares finds an exact line."""
        points = [(float(x), start + rise * x) for x in range(count)]
        assert math.isclose(slope(points), rise, abs_tol=1e-6)

    def test_one_moment_has_no_slope(self) -> None:
        """Nothing has grown."""
        assert slope([(1.0, 5.0)]) == slope([(1.0, 5.0), (1.0, 9.0)]) == 0.0


class TestCosts:
    """What a message costs each process."""

    def test_the_time_of_a_process_is_that_of_its_clock(self) -> None:
        """It is exact, and counts what the process has started as long as that runs."""
        begin = cpu_seconds(os.getpid())
        own = process_time()
        while process_time() < own + 0.01:
            pass
        assert cpu_seconds(os.getpid()) - begin >= 0.01

    def test_a_meter_divides_by_messages(self) -> None:
        """The receiver tells its own time and count, and a sender that is another process its time."""
        found = Meter(os.getpid()).found(10, {"cpu": 0.5, "count": 100.0}, 0.2)
        assert found["receiver CPU µs"] == 5_000
        assert found["sender CPU µs"] == 20_000
        assert found["server CPU µs"] > 0
        assert "receiver CPU µs" not in Meter(os.getpid()).found(1, None)
