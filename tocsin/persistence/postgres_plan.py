"""How the statements of many callers become few, and where they can be sent at once, with their transaction, to a server."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Sequence
from functools import cache
from typing import Any

from attrs import define

from tocsin.persistence.postgres_statements import ArrayStatement, GuardedSteps, Procedure, Row, Statement, Step


@define(eq=False)
class _Gathered:
    """What one statement is run with of many callers'."""

    sql: str
    rows: list[Row]
    keys: set[Hashable]


def joined(steps: Iterable[Step]) -> list[Step]:
    """Return fewer statements that do the same: one joins an earlier one like it that it need not come behind."""
    plan: list[_Gathered | Statement | Procedure | GuardedSteps] = []
    for step in steps:
        if isinstance(step, ArrayStatement):
            if step.rows:
                _add(step, plan)
        elif isinstance(step, Procedure | GuardedSteps) or step.rows:
            plan.append(step)
    return [
        ArrayStatement(each.sql, each.rows, frozenset(each.keys)) if isinstance(each, _Gathered) else each
        for each in plan
    ]


def _add(step: ArrayStatement, plan: list[_Gathered | Statement | Procedure | GuardedSteps]) -> None:
    for other in reversed(plan):
        if not isinstance(other, _Gathered) or not other.keys.isdisjoint(step.keys):
            break
        if other.sql == step.sql:
            other.rows += step.rows
            other.keys |= step.keys
            return
    plan.append(_Gathered(step.sql, list(step.rows), set(step.keys)))


def at_once(turn: str, parameters: Sequence[Any], plan: Sequence[Step]) -> tuple[str, list[Any]] | None:
    """Return one statement that does all of a plan, and its parameters; None: they are not independent of each other.

    :param turn: what comes first; where it returns no row, nothing else is done. What is returned says how many it returned.
    :param parameters: those of ``turn``.
    """
    values = [*parameters]
    seen: set[Hashable] = set()
    for step in plan:
        if not isinstance(step, ArrayStatement) or not seen.isdisjoint(step.keys):
            return None
        seen |= step.keys
        values += step.columns()
    texts = tuple(step.sql for step in plan if isinstance(step, ArrayStatement))
    return _composed(turn, len(parameters), texts), values


@cache
def _composed(turn: str, count: int, texts: Sequence[str]) -> str:
    """Put statements together; there are as many texts as orders of the few kinds of statements."""
    parts = [f"turn AS ({turn})"]
    for number, text in enumerate(texts):
        ours = re.sub(r"\$(\d+)", lambda found, by=count: f"${int(found[1]) + by}", text)  # type: ignore[misc]
        count += len(set(re.findall(r"\$\d+", text)))
        parts.append(f"part{number} AS ({ours} AND EXISTS (SELECT FROM turn))")
    return f"WITH {', '.join(parts)} SELECT count(*) FROM turn"  # noqa: S608 - of statements that are ours
