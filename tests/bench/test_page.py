"""The bench of the page, in a small way."""

from __future__ import annotations

import shutil

import pytest

from bench import page
from bench.framework import Row
from tests.bench.small import found, told

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def test_a_page_that_is_looked_at_is_measured_beside_a_closed_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what the service needs to show it, and how late its rows are."""
    monkeypatch.setattr(page, "WATCHERS", page.WATCHERS[:1])
    closed, read, again = found(capsys, "page")
    for row in (closed, read, again):
        assert next(iter(row["medians"])) == page.COST
        told(row["medians"], "answer", "delivery")
    assert closed["role"] == "floor"
    _looked_at(read["medians"])


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: Debian's package is chromium")
def test_a_browser_is_measured_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Its share of a core is told."""
    monkeypatch.setattr(page, "WATCHERS", page.WATCHERS[1:])
    _, browsed, _ = found(capsys, "page")
    _looked_at(browsed["medians"])
    assert browsed["medians"]["browser of a core"] > 0


def test_a_verdict_is_about_the_same_round() -> None:
    """What a push costs beside a page that is closed."""
    figures = {page.COST: 1.0, "answer p50 ms": 2.0, "answer p99 ms": 4.0}
    closed = Row("page closed", "floor", "", [figures])
    read = Row("page read", "product", "", [{name: figure * 1.5 for name, figure in figures.items()}])
    assert page.verdicts([closed, read]) == [
        "Page read: 1.500 of the service's CPU a push (goal: 1.05 at most), 1.50 of the p50 and 1.50 of the p99 of its answers."
    ]


def _looked_at(medians: dict[str, float]) -> None:
    assert medians["rows"] > 0
    assert 0 <= medians["row p50 ms"] <= medians["row p99 ms"]
    assert medians["page ms, at rest"] > 0
    assert medians["page ms, under load"] > 0
