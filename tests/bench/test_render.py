"""What the benches print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import machine, plot, render
from bench.framework import Missing, Report, Row, optional

MACHINE: dict[str, Any] = {
    "cpu": "A CPU",
    "cores": 2,
    "load": 0.5,
    "kernel": "6.1",
    "python": "3.11.7",
    "sqlite": "3.40.1",
    "file_system": "ext4",
    "fsync_p50_ms": 0.15,
    "fsync_p99_ms": 0.3,
}


def example() -> Report:
    """Build a report of two rounds."""
    floor = Row("a floor", "floor", "", [{"payloads/s": 100.0}, {"payloads/s": 200.0}])
    ours = Row("tocsin", "product", "", [{"payloads/s": 50.0, "p50 ms": 1.0}, {"payloads/s": 100.0, "p50 ms": 3.0}])
    peer = Row("a peer", "peer", "keeps nothing", [{"payloads/s": 10_000.0}, {"payloads/s": 10_000.0}])
    return Report("example", "what was measured", [floor, ours, peer], ["one is absent"])


def test_the_table_has_median_range_ratio_and_notes() -> None:
    """All that is needed to judge a figure stands beside it."""
    lines = render.to_text(example(), MACHINE).splitlines()
    assert lines[0] == "example: what was measured"
    assert "A CPU, 2 cores" in lines[1]
    assert lines[3].split() == ["payloads/s", "range", "of", "floor", "p50", "ms"]
    assert lines[5].split() == ["tocsin", "75.0", "50.0", "to", "100", "0.5", "2.00"]
    assert "a peer: keeps nothing" in lines
    assert lines[-1] == "skipped: one is absent"


def test_the_object_has_every_round() -> None:
    """Others can do their own statistics."""
    found = json.loads(json.dumps(render.to_json(example(), MACHINE)))
    assert [row["name"] for row in found["rows"]] == ["a floor", "tocsin", "a peer"]
    assert found["rows"][1]["rounds"][1] == {"payloads/s": 100.0, "p50 ms": 3.0}
    assert found["rows"][1]["medians"] == {"payloads/s": 75.0, "p50 ms": 2.0}
    assert found["rows"][2]["does_not_promise"] == "keeps nothing"
    assert found["machine"] == MACHINE


def test_the_page_has_a_table_and_its_picture() -> None:
    """Markdown rows have as many cells as their head."""
    text = render.to_markdown(example(), MACHINE, "`python -m bench example`", "example.png")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert text.startswith("# example\n")
    assert "Made by `python -m bench example`, on " in text
    assert text.endswith("![example](example.png)\n")


@pytest.mark.parametrize(
    ("value", "text"), [(None, ""), (12_345.6, "12,346"), (99.95, "100.0"), (12.34, "12.3"), (0.123, "0.12")]
)
def test_figures_have_the_digits_that_they_deserve(value: float | None, text: str) -> None:
    """Three or so."""
    assert render.number(value) == text


def test_the_machine_is_described(tmp_path: Path) -> None:
    """With the time of its disk, and nothing left behind on it."""
    found = machine.describe(tmp_path, 3)
    assert found.keys() == MACHINE.keys()
    assert 0 < found["fsync_p50_ms"] <= found["fsync_p99_ms"]
    assert machine.sentence(found).startswith(found["cpu"])
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_drawn_or_refused_with_a_sentence(tmp_path: Path) -> None:
    """Where matplotlib is installed there is a picture; elsewhere the sentence names it."""
    path = tmp_path / "example.png"
    try:
        optional("matplotlib")
    except Missing:
        with pytest.raises(Missing, match=r"^matplotlib cannot be imported"):
            plot.draw(example(), path)
    else:
        plot.draw(example(), path)
        assert path.read_bytes().startswith(b"\x89PNG")
