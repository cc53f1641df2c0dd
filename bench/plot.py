"""A report as a picture: bars with their range, or lines over time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.framework import Report, Row, optional

_BESIDE = (" p99 ms", "server CPU µs")
"""Of the columns that end like this, the first is drawn beside the main figure."""
_COLOURS = {"product": "#2a6f97", "floor": "#9aa5b1", "peer": "#d98e04"}


def draw(report: Report, path: Path) -> None:
    """Write the picture, in the format that the file's name ends with.

    :raises Missing: matplotlib is not installed.
    """
    matplotlib = optional("matplotlib")
    matplotlib.use("Agg")
    pyplot = optional("matplotlib.pyplot")
    figure = _lines(pyplot, report) if report.series else _bars(pyplot, report)
    figure.suptitle(f"{report.name}: {report.claim}", fontsize=8, wrap=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)


def _bars(pyplot: Any, report: Report) -> Any:
    """Draw the main figure of every row, and beside it the tail and the cost, where there are such."""
    main, *others = report.columns
    columns = [main, *(found[0] for end in _BESIDE if (found := [each for each in others if each.endswith(end)]))]
    rows = report.rows[::-1]
    size = (5 + 3.5 * len(columns), 0.9 + 0.4 * len(rows))
    figure, panels = pyplot.subplots(1, len(columns), figsize=size, sharey=True, squeeze=False, layout="constrained")
    for axes, column in zip(panels[0], columns, strict=True):
        for place, row in enumerate(rows):
            _bar(axes, place, row, column)
        axes.set_xlabel(column)
    panels[0][0].set_yticks(range(len(rows)), [row.name for row in rows], fontsize=8)
    return figure


def _bar(axes: Any, place: int, row: Row, column: str) -> None:
    """Draw a figure of a row, with the range of its rounds."""
    figures = row.figures(column)
    if figures:
        median = row.median(column) or 0.0
        error = [[median - min(figures)], [max(figures) - median]]
        axes.barh(place, median, xerr=error, color=_COLOURS[row.role], capsize=3)


def _lines(pyplot: Any, report: Report) -> Any:
    """Draw every series over time, each in a panel of its own."""
    figure, panels = pyplot.subplots(
        len(report.series), 1, figsize=(9, 1.6 * len(report.series)), sharex=True, squeeze=False, layout="constrained"
    )
    for axes, (name, points) in zip(panels[:, 0], report.series.items(), strict=True):
        axes.plot([x for x, _ in points], [y for _, y in points], color=_COLOURS["product"])
        axes.set_ylabel(name, fontsize=8)
    panels[-1, 0].set_xlabel("seconds")
    return figure
