"""What is noted of a run, and waiting for what has to happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import anyio
from attrs import Factory, define

from tests.e2e.crash.victims import PATIENCE, within

KNOCK = 0.005
"""Seconds between two looks, and between two requests of a sender."""


async def wait_until(condition: Callable[[], object], failure: str, seconds: float = PATIENCE) -> None:
    """Look again and again until a condition holds.

    :raises Stuck: it does not in time; ``failure`` says what did not happen.
    """
    with within(seconds, failure):
        while not condition():  # noqa: ASYNC110  # what it is about has no event: it is said by other programs
            await anyio.sleep(KNOCK)


@define
class Sent:
    """A message: whom it is for, and what the hub has answered."""

    number: int
    targets: frozenset[str]
    kind: str
    id: str = ""
    """Its id where it was answered with 201; empty where no answer came."""
    may_be_cancelled: bool = False
    cancelled: bool = False


@define
class HubFigures:
    """What came of it."""

    kills: int = 0
    killed_at_the_start: int = 0
    accepted: Counter[str] = Factory(Counter)
    unanswered: int = 0
    unanswered_kept: int = 0
    """Messages whose answer was lost, though they had been kept: they go to their targets too."""
    cancelled: int = 0
    refused: Counter[str] = Factory(Counter)
    handled: int = 0
    twice_on_the_wire: int = 0
    """Payloads that devices had had already, by their ids."""
    violations: list[str] = Factory(list)
    seconds: float = 0.0
