"""The supervisor obeys the table of recipients."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
import trio.testing
from attrs import evolve

from tests.actors.supervising import VIRTUAL, Harness, activator, at_work, delivery, running, toast
from tests.helpers import next_messages
from tocsin.protocol import messages as m
from tocsin.protocol.delivery import recipients
from tocsin.protocol.delivery.recipients import RECIPIENTS, Recipient
from tocsin.protocol.platform.activation import BUDGET, GRACE
from tocsin.protocol.toast_label import LabelText
from tocsin.protocol.values import DropReason, NotificationType, Outcome


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


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


async def shown(h: Harness) -> m.Deliveries:
    """Wait for what goes to the shell next."""
    (message,) = await next_messages(h.shell, VIRTUAL)
    assert isinstance(message, m.Deliveries)
    return message


def said(sequence: int, outcome: Outcome, reason: DropReason | None = None, attempt: int = 1) -> m.ShellOutcomes:
    """Build what the shell says of a payload."""
    return m.ShellOutcomes((m.ShellOutcomeRow(sequence, attempt, outcome, reason, "why" if reason else ""),))


async def test_a_toast_goes_to_the_shell_without_an_app() -> None:
    """And never to background work, which is ready here; what the shell says is its end."""
    async with running(subscriber=False, shows=True) as h:
        h.tell(activator(), toast(1))
        assert await shown(h) == toast(1)
        h.tell(said(1, Outcome.SHOWN, attempt=7))  # of an attempt that is over
        h.tell(said(1, Outcome.SUPPRESSED, DropReason.NO_DESKTOP))
        assert await h.settled() == (1, Outcome.SUPPRESSED, DropReason.NO_DESKTOP, "why")
        h.tell(toast(2))
        assert await shown(h) == toast(2)
        h.tell(said(2, Outcome.DROPPED, DropReason.UNREADABLE))
        assert await h.settled() == (2, Outcome.DROPPED, DropReason.UNREADABLE, "why")


async def test_a_foreground_handler_sees_a_toast_first() -> None:
    """What it has handled goes no further; what it has not is shown, and may yet be handled late."""
    async with running(shows=True) as h:
        h.tell(toast(1))
        assert await h.down() == toast(1)
        h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 1))
        assert await h.settled() == (1, Outcome.HANDLED, None, "")
        h.tell(toast(2), m.OutcomeRow(2, Outcome.HANDLER_FAILED, "broken", 1))
        assert await h.down() == toast(2)
        assert await shown(h) == toast(2)
        h.tell(said(2, Outcome.SHOWN))
        assert await h.settled() == (2, Outcome.SHOWN, None, "")
        h.tell(toast(3), m.OutcomeRow(3, Outcome.NOT_HANDLED, "", 1))
        assert await shown(h) == toast(3)
        h.tell(m.OutcomeRow(3, Outcome.HANDLED, "", 1))
        assert await h.settled() == (3, Outcome.HANDLED, None, "")


async def test_a_handler_that_hangs_keeps_no_toast_from_the_user() -> None:
    """When its time is up and its grace over, the toast is shown."""
    async with running(shows=True) as h:
        h.tell(toast(1))
        assert await h.down() == toast(1)
        assert await shown(h) == toast(1)
        assert anyio.current_time() == pytest.approx(BUDGET + 2 * GRACE, abs=0.1)


def labelled(sequence: int, label: str) -> m.Deliveries:
    """Build a toast with a label on its way."""
    deliveries = toast(sequence)
    return evolve(deliveries, rows=tuple(row._replace(label=LabelText(label)) for row in deliveries.rows))


async def test_the_word_that_toasts_were_deleted_follows_those_that_came_before() -> None:
    """So the shell knows of them; what comes behind it is another toast, although it has the same tag."""
    withdrawn = m.ToastsWithdrawn("mail", "t", None)
    async with running(subscriber=False, shows=True) as h:
        h.tell(labelled(1, "t"))
        assert await shown(h) == labelled(1, "t")
        h.tell(withdrawn, labelled(2, "t"))
        assert await next_messages(h.shell, VIRTUAL) == [withdrawn, labelled(2, "t")]


async def test_a_toast_that_was_deleted_on_its_way_is_not_shown() -> None:
    """A handler that has it goes on with it; the shell never gets it, and it is no dead letter."""
    async with running(shows=True) as h:
        every = [labelled(1, "t/g"), labelled(2, "t"), labelled(3, "x/g"), delivery(4)]
        h.tell(*every)
        assert [await h.down() for _ in every] == every
        h.tell(m.ToastsWithdrawn("chat", None, None), m.ToastsWithdrawn("mail", "t", "g"))
        h.tell(*(m.OutcomeRow(number, Outcome.NOT_HANDLED, "", 1) for number in (1, 2, 3)))
        assert await h.settled() == (1, Outcome.SUPPRESSED, DropReason.WITHDRAWN, "")
        assert (await next_messages(h.shell, VIRTUAL))[-1] == m.Deliveries("mail", every[1].rows + every[2].rows)


async def test_without_a_shell_the_word_is_passed_over() -> None:
    """Toasts of apps without a handler go where they went before."""
    async with running(subscriber=False) as h:
        h.tell(m.ToastsWithdrawn("mail", None, None), toast(1))
        assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")


async def test_a_shell_that_begins_anew_gets_it_again() -> None:
    """What it had goes back to the inbox."""
    async with running(subscriber=False, shows=True) as h:
        h.tell(toast(1))
        assert await shown(h) == toast(1)
        h.tell(m.ActorRestarted("shell"))
        assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")


async def test_a_shell_that_does_not_read_gets_no_more_than_it_has_room_for() -> None:
    """The rest dies with a reason: its payloads hold up no other."""
    async with running(subscriber=False, shows=True) as h:
        room = h.shell.statistics().capacity
        for sequence in range(1, room + 2):
            h.tell(toast(sequence))
            await anyio.sleep(0.001)
        full = "the shell has no room for more"
        assert await h.settled() == (room + 1, Outcome.DROPPED, DropReason.SHELL_FULL, full)
