"""Which test bears which number of the conformance list."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, TypeVar

Test = TypeVar("Test", bound=Callable[..., Any])

MODULES = ("test_spec_api", "test_ga_api", "test_derived", "test_derived_retry", "test_agent_cases")
"""Where the tests with numbers are."""

_TESTS: dict[str, dict[str, bool]] = {}


def case(number: int | str) -> Callable[[Test], Test]:
    """Give a test its number in the list; several tests may share one. Stands above all marks."""

    def register(test: Test) -> Test:
        name = f"{test.__module__.rpartition('.')[2]}.py::{test.__name__}"
        marks = getattr(test, "pytestmark", [])
        _TESTS.setdefault(str(number), {})[name] = all(mark.name != "xfail" for mark in marks)
        return test

    return register


def numbered_tests() -> dict[str, dict[str, bool]]:
    """Load all tests, and return their names by number, each with whether it is expected to pass."""
    for module in MODULES:
        import_module(f"tests.conformance.{module}")
    return _TESTS
