"""The sweep: whichever store call goes wrong, and however, the platform keeps its promises."""

from __future__ import annotations

import pytest

from tests.simulation.__main__ import main
from tests.simulation.faults import StoreFault
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.sweep import sweep

EVERY = 16
"""A test run affords one call in so many; ``python -m tests.simulation --sweep`` takes all."""


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_store_call_that_goes_wrong_breaks_a_promise(scenario: str) -> None:
    """In none of the ways in which it can."""
    (row,) = sweep([scenario], EVERY)
    assert row.violations == []
    assert row.cases == len(StoreFault) * (1 + (row.calls - 1) // EVERY)


def test_the_command_sweeps_through_a_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    """It prints a table."""
    assert main(["--sweep", "request refused for good"]) == 0
    printed = capsys.readouterr().out
    assert "scenario" in printed
    assert "request refused for good" in printed
