"""Every store call of every scenario goes wrong once in every way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import Any

from attrs import Factory, define, frozen

from tests.progress import progress
from tests.simulation.faults import StoreFault
from tests.simulation.scenarios import SCENARIOS
from tests.simulation.script import Script
from tests.simulation.seeds import Outcome, run

SLOW = 8.0
"""Seconds that a slow call takes."""


@frozen
class Case:
    """A scenario with one store call that goes wrong; calls are counted from 1."""

    scenario: str
    call: int
    fault: StoreFault

    def run(self) -> Outcome:
        """Play it."""
        return run(Script(0, SCENARIOS[self.scenario]), {self.call: (self.fault, SLOW)})


@define
class Row:
    """What a sweep found in one scenario."""

    scenario: str
    calls: int
    cases: int = 0
    checks: int = 0
    violations: list[str] = Factory(list)


def sweep(scenarios: Iterable[str], every: int = 1) -> Iterator[Row]:
    """Sweep through scenarios; ``every`` 1 takes all of the calls, 2 every second, and so on."""
    for scenario in scenarios:
        plain = run(Script(0, SCENARIOS[scenario]))
        row = Row(scenario, plain.calls)
        if plain.violation is not None:
            row.violations.append(f"when nothing goes wrong: {plain.violation}")
        for call in range(1, row.calls + 1, every):
            for fault in StoreFault:
                outcome = Case(scenario, call, fault).run()
                row.cases += 1
                row.checks += outcome.checks.total()
                if outcome.violation is not None:
                    row.violations.append(f"store call {call}, {fault}: {outcome.violation}")
        yield row


@define
class Table:
    """The rows of a sweep, and how long they took in real seconds."""

    rows: list[Row]
    real: float

    @classmethod
    def of(cls, scenarios: Iterable[str]) -> Table:
        """Sweep through scenarios."""
        began = perf_counter()
        rows = list(sweep(progress(list(scenarios), "scenarios")))
        return cls(rows, perf_counter() - began)

    def violations(self) -> int:
        """Count the violations."""
        return sum(len(row.violations) for row in self.rows)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "scenarios": {
                row.scenario: {"store_calls": row.calls, "cases": row.cases, "violations": row.violations}
                for row in self.rows
            },
            "cases": sum(row.cases for row in self.rows),
            "checks": sum(row.checks for row in self.rows),
            "violations": self.violations(),
            "real_seconds": round(self.real, 1),
        }

    def as_text(self) -> str:
        """Return it for a person."""
        lines = [f"{'scenario':42} store calls    cases  violations"]
        for row in self.rows:
            lines.append(f"{row.scenario:42} {row.calls:11,} {row.cases:8,} {len(row.violations):11,}")
            lines += [f"    {violation}" for violation in row.violations]
        calls, cases = sum(row.calls for row in self.rows), sum(row.cases for row in self.rows)
        lines.append(f"{'all':42} {calls:11,} {cases:8,} {self.violations():11,}")
        lines.append(f"{sum(row.checks for row in self.rows):,} checks in {self.real:.1f} s")
        return "\n".join(lines)
