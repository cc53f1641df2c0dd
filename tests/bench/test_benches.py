"""Every bench runs, in a small way, and says what it found."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import bench.__main__
from bench.__main__ import NAMES, main


def found(capsys: pytest.CaptureFixture[str], name: str, *options: str) -> dict[str, Any]:
    """Run a bench with tiny rounds and return the object that it prints."""
    assert main([name, "--quick", "--json", "--loop", "asyncio", *options]) == 0
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    return report


@pytest.mark.parametrize("name", ["inprocess", "durable", "startup", "looking_in"])
def test_it_runs(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """There is a floor, the product beside it, and a figure above zero for each."""
    report = found(capsys, name)
    assert report["bench"] == name
    assert [row["role"] for row in report["rows"]].count("floor") == 1
    ours = [row for row in report["rows"] if row["role"] == "product"]
    assert ours
    for row in ours:
        # A difference between two processes may be anything in one round on a busy machine.
        assert all(figure > 0 for name, figure in row["medians"].items() if " over " not in name), row
        assert row["of_floor"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="wake-ups are counted in /proc")
def test_an_idle_agent_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    """It runs a service and an agent, and prints both figures with their goals."""
    report = found(capsys, "idle")
    (agent,) = [row["medians"] for row in report["rows"] if row["role"] == "product"]
    assert 10 < agent["RSS MiB"] < 60
    assert agent["wake-ups/s"] < 1000
    assert [remark.split(":")[0] for remark in report["remarks"][:2]] == ["Memory", "Wake-ups"]


def test_a_soak_watches_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    """Every resource has its row, and payloads went through."""
    rows = {row["name"]: row["medians"] for row in found(capsys, "soak", "--rate", "1000")["rows"]}
    assert rows.keys() >= {"RSS MiB", "descriptors", "tasks", "WAL MiB", "payloads handled"}
    assert rows["payloads handled"]["at the end"] > 0
    assert rows["RSS MiB"]["at most"] > 1


def test_in_ci_every_bench_is_quick(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One round, unless told otherwise."""
    monkeypatch.setenv("CI", "true")
    assert main(["durable", "--json", "--loop", "asyncio"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert {len(row["rounds"]) for row in rows} == {1}


def test_an_unknown_bench_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The names are listed."""
    with pytest.raises(SystemExit):
        main(["everything"])
    assert NAMES[0] in capsys.readouterr().err


def test_all_makes_pages_with_pictures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where matplotlib is not installed, a sentence says so before anything is measured."""
    monkeypatch.setattr(bench.__main__, "NAMES", ("inprocess", "soak"))
    monkeypatch.setattr(bench.__main__, "RESULTS", tmp_path / "results")
    code = main(["all", "--quick", "--loop", "asyncio", "--rate", "1000"])
    printed = capsys.readouterr()
    if code:
        assert code == 2
        assert printed.err.startswith("bench: matplotlib cannot be imported")
    else:
        for name in ("inprocess", "soak"):
            text = (tmp_path / "results" / f"{name}.md").read_text(encoding="utf-8")
            assert text.startswith(f"# {name}\n")
            assert f"Made by `python -m bench {name} --keep --rounds 1`" in text
            assert (tmp_path / "results" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
