"""What was counted, as curves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.service.page.plots import plot
from tocsin.service.page.samples import EVERY, SPAN, Curve, Sample, Samples


def test_rates_are_of_what_came_between_two_samples() -> None:
    """The latest is now; before there are two, there is no rate."""
    samples = Samples()
    assert [curve.points for curve in samples.curves()] == [(), (), ()]
    samples.add(Sample(100.0, 0, 0, 2))
    samples.add(Sample(105.0, 50, 5, 3))
    samples.add(Sample(110.0, 60, 5, 1))
    answers, refusals, devices = samples.curves()
    assert answers.points == ((5.0, 10.0), (0.0, 2.0))
    assert refusals.points == ((5.0, 1.0), (0.0, 0.0))
    assert devices.points == ((10.0, 2.0), (5.0, 3.0), (0.0, 1.0))
    assert (answers.latest, answers.highest) == (2.0, 10.0)


def test_no_more_is_kept_than_is_shown() -> None:
    """However long the service runs."""
    samples = Samples()
    for number in range(1_000):
        samples.add(Sample(number * EVERY, number, 0, 0))
    points = samples.curves()[2].points
    assert (points[0][0], len(points)) == (SPAN, SPAN / EVERY + 1)


@given(values=st.lists(st.floats(0, 1e6), max_size=5))
def test_a_plot_says_in_words_what_it_shows(values: list[float]) -> None:
    """For who does not see it; its lines stay within the picture."""
    curve = Curve("Answers a second", tuple((float(ago), value) for ago, value in enumerate(values[::-1]))[::-1])
    written = plot(curve)
    assert 'role="img" aria-label="Answers a second: ' in written
    assert "in the last 15 minutes" in written
    assert "nan" not in written


def test_a_figure_is_short() -> None:
    """Small ones have a figure behind the point, large ones none."""
    for value, text in ((0.0, "0"), (0.44, "0.4"), (3.0, "3"), (1234.5, "1,234")):
        assert f">{text}<" in plot(Curve("x", ((0.0, value),)))
