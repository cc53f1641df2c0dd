"""Statements of many callers are few, and do what they would have done one by one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.persistence.postgres_plan import at_once, joined
from tocsin.persistence.postgres_statements import ArrayStatement, GuardedSteps, Link, Procedure, Statement, Step

ADD, ERASE, CLEAR = "INSERT", "DELETE", "DELETE all"
TURN = "UPDATE"


class Taken(Exception):
    """A number is there already."""


def apply(steps: Sequence[Step], numbers: set[int]) -> set[int] | None:
    """Run statements on a set of numbers; None: one was refused, and so were all."""
    left = set(numbers)
    try:
        for step in steps:
            assert not isinstance(step, Procedure | GuardedSteps)
            for (number,) in step.rows:
                if step.sql == ADD:
                    if number in left:
                        raise Taken  # noqa: TRY301  # the end of all of them
                    left.add(number)
                elif step.sql == ERASE:
                    left.discard(number)
                else:
                    left.clear()
    except Taken:
        return None
    return left


def arrays(sql: str, numbers: Sequence[int]) -> ArrayStatement:
    """Make a statement that touches these numbers."""
    return ArrayStatement(sql, [(number,) for number in numbers], frozenset(numbers))


NUMBERS = st.lists(st.integers(1, 3), max_size=2, unique=True)
STEPS = st.lists(
    st.builds(arrays, st.sampled_from([ADD, ERASE]), NUMBERS) | st.just(Statement(CLEAR, [(0,)])), max_size=12
)


@example([arrays(ADD, [1]), arrays(ERASE, [1]), arrays(ADD, [1])], set())
@example([arrays(ERASE, [1]), arrays(ADD, [1]), arrays(ERASE, [1])], {1})
@given(STEPS, st.sets(st.integers(1, 3)))
def test_joined_statements_do_what_all_of_them_do(steps: list[Step], numbers: set[int]) -> None:
    """Also where one erases what another one has added, and where one is refused."""
    plan = joined(steps)
    assert len(plan) <= len(steps)
    assert apply(plan, numbers) == apply(steps, numbers)


@given(STEPS)
def test_what_is_sent_at_once_is_independent(steps: list[Step]) -> None:
    """No number is touched twice: the order does not matter."""
    plan = joined(steps)
    found = at_once(TURN, [], plan)
    touched = [row for step in plan if isinstance(step, ArrayStatement) for row in step.rows]
    assert (found is not None) == (all(isinstance(step, ArrayStatement) for step in plan) and _differ(plan))
    assert found is None or sorted(row for column in found[1] for row in column) == sorted(row for (row,) in touched)


def _differ(plan: Sequence[Step]) -> bool:
    keys = [key for step in plan if isinstance(step, ArrayStatement) for key in step.keys]
    return len(keys) == len(set(keys))


def test_many_that_add_and_erase_are_two() -> None:
    """However they came: those that touch other rows change places."""
    steps = [step for number in range(0, 100, 2) for step in (arrays(ADD, [number]), arrays(ERASE, [number + 1]))]
    assert [(step.sql, len(step.rows)) for step in joined(steps) if not isinstance(step, Procedure | GuardedSteps)] == [
        (ADD, 50),
        (ERASE, 50),
    ]


def test_parameters_are_numbered_through() -> None:
    """And each part is done only where the first one has found its row."""
    plan: list[Step] = [ArrayStatement("A $1 $2 WHERE a", [(1, "a")], frozenset("a")), arrays("B $1 WHERE b", [2])]
    text = (
        "WITH turn AS (T $1 $2), part0 AS (A $3 $4 WHERE a AND EXISTS (SELECT FROM turn)),"
        " part1 AS (B $5 WHERE b AND EXISTS (SELECT FROM turn)) SELECT count(*) FROM turn"
    )
    assert at_once("T $1 $2", ["w", 7], plan) == (text, ["w", 7, [1], ["a"], [2]])


async def _nothing(_: Link) -> None:
    """Do nothing; as a condition, it does not hold."""


@pytest.mark.parametrize("other", [Statement(CLEAR, [(0,)]), Procedure(_nothing), GuardedSteps(_nothing, [])])
def test_what_is_no_array_comes_in_its_place(other: Step) -> None:
    """Nothing changes places with it."""
    plan = joined([arrays(ADD, [1]), other, arrays(ADD, [2])])
    assert plan[1] is other
    assert len(plan) == 3
    assert at_once(TURN, [], plan) is None
