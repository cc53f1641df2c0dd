"""The supervisor obeys the table of recipients."""

from __future__ import annotations

from typing import Any

import pytest
import trio.testing
from attrs import evolve

from tests.actors.supervising import activator, at_work, delivery, running
from tocsin.protocol import messages as m
from tocsin.protocol.delivery import recipients
from tocsin.protocol.delivery.recipients import RECIPIENTS, Recipient
from tocsin.protocol.values import DropReason, NotificationType, Outcome


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def toast(sequence: int) -> m.Deliveries:
    """Build a toast on its way."""
    deliveries = delivery(sequence)
    return evolve(deliveries, rows=tuple(row._replace(type=NotificationType.TOAST) for row in deliveries.rows))


def toasts_go_to(monkeypatch: pytest.MonkeyPatch, recipient: Recipient) -> None:
    """Change the row of the table."""
    monkeypatch.setattr(recipients, "RECIPIENTS", {**RECIPIENTS, NotificationType.TOAST: frozenset({recipient})})


async def test_what_is_for_the_background_only_is_not_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler that has subscribed gets the rest, and background work begins at once."""
    toasts_go_to(monkeypatch, Recipient.BACKGROUND)
    async with running() as h:
        h.tell(activator())
        assert isinstance(await h.up(), m.AppReady)
        both = m.Deliveries("mail", toast(1).rows + delivery(2).rows)
        h.tell(both)
        assert await h.down() == delivery(2)
        assert at_work(await h.down()) == 1
        assert await h.up() == m.Parked(1, "c1")


async def test_what_is_for_the_background_only_ends_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """It does not wait for a foreground handler, which would never get it."""
    toasts_go_to(monkeypatch, Recipient.BACKGROUND)
    async with running() as h:
        h.tell(toast(1))
        assert await h.settled() == (1, Outcome.DROPPED, DropReason.NOT_HANDLED, "")


async def test_what_is_for_the_foreground_only_never_waits_for_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a handler has not handled ends, and what finds no handler goes back, though work could be begun."""
    toasts_go_to(monkeypatch, Recipient.FOREGROUND)
    async with running() as h:
        h.tell(activator(), toast(1))
        assert await h.down() == toast(1)
        h.tell(m.OutcomeRow(1, Outcome.NOT_HANDLED, "", 1))
        assert await h.settled() == (1, Outcome.DROPPED, DropReason.NOT_HANDLED, "")
        h.tell(m.Unsubscribe("c1"), toast(2))
        assert await h.settled() == (2, Outcome.GIVEN_BACK, None, "")
