"""The supervisor in the foreground, on virtual time: outcomes, budgets and grace."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
import trio.testing

from tests.actors.supervising import VIRTUAL, Harness, activator, delivery, running, toast
from tests.helpers import next_messages
from tests.protocol.tables import erase
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.payload_life import TABLE, Effect
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.values import DropReason, Outcome


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class TestForeground:
    """Payloads that a foreground handler takes."""

    async def test_a_handled_payload_is_settled(self) -> None:
        """Down goes the router's own frame, up goes the app's."""
        async with running() as h:
            h.tell(delivery(1), m.OutcomeRow(1, Outcome.HANDLED, "", 1))
            assert await h.down() == delivery(1)
            assert await h.settled() == (1, Outcome.HANDLED, None, "")

    @pytest.mark.parametrize(
        ("outcome", "reason"),
        [(Outcome.NOT_HANDLED, DropReason.NOT_HANDLED), (Outcome.HANDLER_FAILED, DropReason.HANDLER_FAILED)],
    )
    async def test_an_unhandled_payload_with_nobody_else_is_dropped(self, outcome: Outcome, reason: DropReason) -> None:
        """Each way not to be handled has its own reason."""
        async with running() as h:
            h.tell(delivery(1), m.OutcomeRow(1, outcome, "why", 1))
            assert await h.settled() == (1, Outcome.DROPPED, reason, "why")

    async def test_a_payload_that_nobody_takes_goes_back(self) -> None:
        """Without a subscriber and without an activator it waits in the inbox."""
        async with running(subscriber=False) as h:
            h.tell(delivery(1))
            assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")

    async def test_the_last_session_that_attaches_takes_the_payloads(self) -> None:
        """One that was taken over detaches nothing, and the channel is closed when its session detaches."""
        async with running(subscriber=False) as h:
            with Mailbox("t") as other:
                h.sessions.add("mail", other)
                h.tell(m.Subscribe("c1"))
                h.tell_from("t", "mail", m.Subscribe("c1"))
                h.tell(m.Unsubscribe("c1"), delivery(1))
                assert await next_messages(other, VIRTUAL) == [delivery(1)]
                h.tell_from("t", "mail", m.Unsubscribe("c1"))
                assert [await h.up() for _ in range(3)] == [
                    *[m.ChannelSubscribed("mail", "c1")] * 2,
                    m.ChannelUnsubscribed("mail", "c1"),
                ]

    async def test_a_session_that_has_left_without_a_word_closes_its_channel(self) -> None:
        """The router hears it before the payload comes back, so that it hands on no other."""
        async with running() as h:
            h.sessions.remove("s")
            h.tell(delivery(1))
            assert await h.up() == m.ChannelUnsubscribed("mail", "c1")
            assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")

    async def test_a_session_that_leaves_takes_nothing_more(self) -> None:
        """Its channels are closed, and its app's background work waits for the next session."""
        async with running() as h:
            h.tell(activator(), m.LeaveSession())
            ups = [await h.up() for _ in range(4)]
            closed = [m.ChannelUnsubscribed("mail", "c1"), m.ChannelUnsubscribed("mail", "c2")]
            assert ups == [m.AppReady("mail", ready=True), *closed, m.AppReady("mail", ready=False)]

    async def test_a_router_that_begins_anew_learns_who_takes_what(self) -> None:
        """It hears of every subscriber, and of every app that has its background work done."""
        async with running() as h:
            h.tell(activator())
            assert await h.up() == m.AppReady("mail", ready=True)
            h.tell(m.ActorRestarted("payload_router"))
            opened = [m.ChannelSubscribed("mail", "c1"), m.ChannelSubscribed("mail", "c2")]
            assert [await h.up() for _ in range(3)] == [*opened, m.AppReady("mail", ready=True)]

    async def test_an_outcome_of_nobody_is_passed_over_unless_handled(self) -> None:
        """The router looks whether one that was given up and then handled is the app's; anything else is stale."""
        async with running() as h:
            h.tell(m.OutcomeRow(7, Outcome.NOT_HANDLED, "", 1), m.OutcomeRow(9, Outcome.HANDLED, "", 1))
            assert await h.up() == m.HandledLate("mail", (9,))


class TestBudget:
    """The 30-second rule."""

    @pytest.mark.parametrize("background", [False, True])
    async def test_work_is_cancelled_at_30_seconds_and_cut_off_at_35(self, background: bool) -> None:
        """The app is told, has its grace, and is cut off; the payload ends with the reason and what was left open."""
        async with running() as h:
            if background:
                await h.begin_background()
            else:
                h.tell(delivery(1))
                await h.down()
            start = anyio.current_time()
            assert await h.down() == m.CancelDelivery(1, CancellationReason.EXECUTION_TIME_EXCEEDED)
            assert anyio.current_time() - start == pytest.approx(30)
            assert await h.down() == m.AbortDelivery(1)
            assert anyio.current_time() - start == pytest.approx(35)
            h.tell(m.OutcomeRow(1, Outcome.NOT_HANDLED, "a deferral", 1))
            assert await h.settled() == (1, Outcome.DROPPED, DropReason.EXECUTION_TIME_EXCEEDED, "a deferral")

    async def test_ending_within_the_grace_is_in_time(self) -> None:
        """Work that ends after it was cancelled, but before it is cut off, counts."""
        async with running() as h:
            h.tell(delivery(1))
            await h.down()
            await h.down()
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 1))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")
            with anyio.move_on_after(100):
                await h.down()
            assert h.session.statistics().depth == 0

    async def test_waiting_in_line_is_not_counted(self) -> None:
        """The budget of the second payload of a channel begins when the first has ended."""
        async with running() as h:
            start = anyio.current_time()
            h.tell(delivery(1), delivery(2))
            await h.down()
            await h.down()
            await anyio.sleep(20)
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 1))
            assert await h.down() == m.CancelDelivery(2, CancellationReason.EXECUTION_TIME_EXCEEDED)
            assert anyio.current_time() - start == pytest.approx(50)

    async def test_channels_have_their_own_lines(self) -> None:
        """Two channels run side by side, each with its own budget."""
        async with running() as h:
            start = anyio.current_time()
            h.tell(delivery(1, "c1"))
            await anyio.sleep(10)
            h.tell(delivery(2, "c2"))
            await h.down()
            await h.down()
            moments = []
            for _ in range(4):
                message = await h.down()
                moments.append((type(message).__name__, round(anyio.current_time() - start)))
            assert moments == [
                ("CancelDelivery", 30),
                ("AbortDelivery", 35),
                ("CancelDelivery", 40),
                ("AbortDelivery", 45),
            ]


async def test_ten_thousand_budgets_cost_one_alarm() -> None:
    """Whatever runs, there is one alarm, and it rings for those that are due."""
    async with running() as h:
        count = 10_000
        batch = 500
        for start in range(0, count, batch):
            for sequence in range(start, start + batch):
                h.mailbox.send_frame_urgent(encode(m.Stamped("s", "mail", encode(m.Subscribe(f"c{sequence}")))))
                h.mailbox.send_frame_nowait(encode(delivery(sequence, f"c{sequence}")))
            for _ in range(batch):
                await h.down()
        first = await h.down()
        assert isinstance(first, m.CancelDelivery)
        for sequence in range(1, count):
            message = await h.down()
            assert isinstance(message, m.CancelDelivery)
            if sequence == count - 1:
                break


class TestFence:
    """What was handed on before a router or a supervisor began anew."""

    async def test_what_comes_before_the_router_has_begun_with_it_is_passed_over(self) -> None:
        """It was meant for an earlier supervisor, and is handed on again behind the fence."""
        harness = Harness()
        with harness.mailbox, harness.router, harness.session:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(harness.runner.run)
                harness.tell(m.Subscribe("c1"), delivery(1), m.Fence(), delivery(2))
                assert [await harness.down(), await harness.down()] == [m.Fence(), delivery(2)]
                tasks.cancel_scope.cancel()

    async def test_a_router_that_begins_anew_takes_everything_back(self) -> None:
        """No deadline of before is left, and an outcome of before ends nothing."""
        async with running() as h:
            h.tell(delivery(1), m.Fence(), m.OutcomeRow(1, Outcome.NOT_HANDLED, "", 1), delivery(2))
            assert [await h.down() for _ in range(3)] == [delivery(1), m.Fence(), delivery(2)]
            assert await h.down() == m.CancelDelivery(2, CancellationReason.EXECUTION_TIME_EXCEEDED)

    async def test_a_later_attempt_is_cut_off_when_an_earlier_one_was_handled(self) -> None:
        """The payload has ended, so its deadline would no longer bound what still runs."""
        async with running() as h:
            h.tell(delivery(1), m.OutcomeRow(1, Outcome.HANDLED, "", 0))
            assert [await h.down(), await h.down()] == [delivery(1), m.AbortDelivery(1)]
            assert await h.settled() == (1, Outcome.HANDLED, None, "")


async def _seen() -> tuple[list[object], list[object], list[object], int]:
    """Bring payloads to every end, and return what went up, down and to launcher and shell, and when."""
    up, down, launched = list[object](), list[object](), list[object]()
    harness = Harness(shows=True)
    start = anyio.current_time()

    async def watch(mailbox: Mailbox, seen: list[object]) -> None:
        while True:
            messages = await next_messages(mailbox, VIRTUAL)
            seen += [(round(anyio.current_time() - start, 1), message) for message in messages]

    with harness.mailbox, harness.router, harness.session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(harness.runner.run)
            tasks.start_soon(watch, harness.router, up)
            tasks.start_soon(watch, harness.session, down)
            tasks.start_soon(watch, harness.launcher, launched)
            tasks.start_soon(watch, harness.shell, launched)
            refused = [m.OutcomeRow(number, Outcome.NOT_HANDLED, "", 1) for number in (1, 2, 3)]
            for message in (
                m.Fence(),
                m.Subscribe("c1"),
                activator(),
                delivery(1),
                refused[0],
                delivery(2),
                refused[1],
                delivery(2),  # once more, while it waits
                refused[2],
                delivery(3),
                refused[2],
            ):
                harness.tell(message)
                await anyio.sleep(0.1)
            await anyio.sleep(300)
            # No session does the work now, and the process that is launched never asks for its payload.
            harness.tell(activator(session="", command=b"command"), delivery(4))
            harness.tell(m.OutcomeRow(4, Outcome.NOT_HANDLED, "", 1))
            await anyio.sleep(300)
            # A handler takes one for which a process is being started.
            harness.tell(delivery(7), m.OutcomeRow(7, Outcome.NOT_HANDLED, "", 1))
            await anyio.sleep(0.1)
            harness.tell(activator())
            await anyio.sleep(300)
            harness.tell(activator(session="", command=b"command"))
            # The session is that of a launched process, and outlives the grace of its work.
            harness.tell(delivery(5))
            await anyio.sleep(0.1)
            harness.sessions.note_launched("s", "command")
            await anyio.sleep(300)
            harness.tell(toast(6), m.OutcomeRow(6, Outcome.NOT_HANDLED, "", 1))
            await anyio.sleep(0.1)
            tasks.cancel_scope.cancel()
    return up, down, launched, harness.runner.restarts


@pytest.mark.parametrize("effect", Effect)
async def test_the_supervisor_does_nothing_that_its_table_does_not_name(
    monkeypatch: pytest.MonkeyPatch, effect: Effect
) -> None:
    """Without any one of its effects the table makes another supervisor, and that is seen above or below."""
    right = await _seen()
    assert right == await _seen()
    erase(monkeypatch, TABLE, effect)
    assert await _seen() != right
