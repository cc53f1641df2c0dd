"""The bar of a long run."""

from __future__ import annotations

import sys
from io import StringIO

import pytest

from tests.progress import progress
from tests.simulation.many import run_seeds


class Screen(StringIO):
    """Standard error that may be a terminal."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        """Tell whether it is one."""
        return self._terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_only_a_terminal_shows_how_far_it_is(monkeypatch: pytest.MonkeyPatch, *, terminal: bool) -> None:
    """A file or a pipe gets nothing; the things are the same either way."""
    monkeypatch.setattr(sys, "stderr", screen := Screen(terminal=terminal))
    assert list(progress(iter("abc"), "letters", 3)) == ["a", "b", "c"]
    assert ("letters:" in screen.getvalue() and " 0/3 " in screen.getvalue()) is terminal
    assert bool(screen.getvalue()) is terminal


def test_the_seeds_of_the_simulation_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """One by one in this process."""
    monkeypatch.setattr(sys, "stderr", screen := Screen(terminal=True))
    assert run_seeds([1]).runs == 1
    assert "seeds:" in screen.getvalue()
