"""A value that the code of a block finds without being given it, and the tasks that are started in the block with it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def scoped(variable: ContextVar[T], value: T) -> Iterator[None]:
    """Let a variable have a value in a block; after it, it has the value of before."""
    token = variable.set(value)
    try:
        yield
    finally:
        with suppress(ValueError):  # the block is left in another context than it was entered in, as by a generator
            variable.reset(token)
