"""What runs have done and seen, added up, as text or as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from attrs import Factory, define

from tests.simulation.seeds import Outcome

HOUR = 3600.0


@define
class Summary:
    """Many runs together."""

    runs: int = 0
    virtual: float = 0.0
    """Virtual seconds."""
    real: float = 0.0
    """Real seconds."""
    steps: int = 0
    counts: Counter[str] = Factory(Counter)
    faults: Counter[str] = Factory(Counter)
    checks: Counter[str] = Factory(Counter)
    digests: dict[int, str] = Factory(dict)
    violations: dict[int, str] = Factory(dict)
    """By the seed."""

    def add(self, outcome: Outcome) -> None:
        """Add a run."""
        seed = outcome.script.seed
        self.runs += 1
        self.virtual += outcome.virtual
        self.steps += outcome.steps
        self.counts += outcome.counts
        self.faults += outcome.faults
        self.checks += outcome.checks
        self.digests[seed] = outcome.digest
        if outcome.violation is not None:
            self.violations[seed] = str(outcome.violation)

    def merge(self, other: Summary) -> None:
        """Add what another process has run; the real seconds are this one's affair."""
        self.runs += other.runs
        self.virtual += other.virtual
        self.steps += other.steps
        self.counts += other.counts
        self.faults += other.faults
        self.checks += other.checks
        self.digests |= other.digests
        self.violations |= other.violations

    def digest(self) -> str:
        """Return what two summaries have in common only if all their runs saw the same."""
        lines = (f"{seed} {digest}" for seed, digest in sorted(self.digests.items()))
        return sha256("\n".join(lines).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "seeds": self.runs,
            "simulated_hours": round(self.virtual / HOUR, 1),
            "acts": self.counts["acts"],
            "task_steps": self.steps,
            "acknowledged": self.counts["acknowledged"],
            "handler_calls": self.counts["handler calls"],
            "store_calls": self.counts["store calls"],
            "faults": dict(sorted(self.faults.items())),
            "checks": dict(sorted(self.checks.items())),
            "violations": {str(seed): text for seed, text in sorted(self.violations.items())},
            "digest": self.digest(),
            "real_seconds": round(self.real, 1),
        }

    def as_text(self) -> str:
        """Return it for a person."""
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"{self.runs:,} seeds, {self.virtual / HOUR:,.1f} simulated hours in {self.real:.1f} s"
        yield f"{self.counts['acts']:,} acts, {self.steps:,} steps of tasks, {self.counts['store calls']:,} store calls"
        yield f"{self.counts['acknowledged']:,} payloads acknowledged, {self.counts['handler calls']:,} handler calls"
        yield f"{self.faults.total():,} faults: " + _listed(self.faults)
        yield f"{self.checks.total():,} checks of {len(self.checks)} invariants: " + _listed(self.checks)
        yield f"{len(self.violations)} violations"


def saw(outcome: Outcome) -> str:
    """Return what one run saw, for a person."""
    lines = [f"{outcome.virtual / HOUR:,.2f} simulated hours, {outcome.steps:,} steps of tasks"]
    lines += [f"  {name:28} {count:6,}" for name, count in sorted(outcome.counts.items())]
    lines += [f"  fault: {name:21} {count:6,}" for name, count in sorted(outcome.faults.items())]
    lines.append(f"  checks of invariants         {outcome.checks.total():6,}")
    lines.append(f"  digest of the trace          {outcome.digest}")
    return "\n".join(lines)


def _listed(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counter.most_common()) or "none"
