"""The supervisor in the background, on virtual time: turns, conditions, and the twelve reasons to cancel."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest
import trio.testing

from tests.actors.supervising import REASONS, VIRTUAL, activator, at_work, delivery, running
from tests.helpers import next_messages
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.delivery import background_queue
from tocsin.protocol.platform.activation import CancellationReason, SystemConditionType
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.values import DropReason, Outcome


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class TestBackground:
    """Payloads that an app's background work takes."""

    async def test_an_unhandled_payload_wakes_the_background(self) -> None:
        """What the foreground refused is done in the background, and ends as handled."""
        async with running() as h:
            await h.begin_background()
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 1))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")

    async def test_one_at_a_time_per_app(self) -> None:
        """The next payload's turn comes when the one before has ended, in order; other apps do not wait."""
        async with running(subscriber=False) as h:
            h.tell(activator(), activator(app="chat"))
            for sequence in (1, 2, 3):
                h.tell(delivery(sequence))
            h.tell(delivery(4, "c9", app="chat"))
            assert [at_work(await h.down()), at_work(await h.down())] == [1, 4]
            for sequence in (1, 2):
                h.tell(m.OutcomeRow(sequence, Outcome.HANDLED, "", 1))
                assert at_work(await h.down()) == sequence + 1

    async def test_conditions_latch_and_release(self) -> None:
        """Unmet conditions keep a payload waiting, and it begins when all of them hold."""
        async with running(subscriber=False) as h:
            both = (SystemConditionType.INTERNET_AVAILABLE, SystemConditionType.USER_PRESENT)
            h.tell(m.HostChanged(HostState(user_present=False, internet_available=False)))
            h.tell(activator(*both), delivery(1))
            h.tell(m.HostChanged(HostState(user_present=False)))
            with anyio.move_on_after(1000):
                await h.down()
            h.tell(m.HostChanged(HostState()))
            assert at_work(await h.down()) == 1

    @pytest.mark.parametrize(
        ("closed", "opened", "reason"),
        [
            (m.HostChanged(HostState(energy_saver=True)), m.HostChanged(HostState()), CancellationReason.ENERGY_SAVER),
            (
                m.HostChanged(HostState(cloud_notifications=False)),
                m.HostChanged(HostState()),
                CancellationReason.SYSTEM_POLICY,
            ),
            (
                m.AppSettingsChanged("mail", AppSettings(notifications=False)),
                m.AppSettingsChanged("mail", AppSettings()),
                CancellationReason.SYSTEM_POLICY,
            ),
            (
                m.AppSettingsChanged("mail", AppSettings(within_budget=False)),
                m.AppSettingsChanged("mail", AppSettings()),
                None,
            ),
        ],
    )
    async def test_what_waits_does_not_begin_behind_a_closed_gate(
        self, closed: m.Message, opened: m.Message, reason: CancellationReason | None
    ) -> None:
        """Though it has passed while that was open: it begins when it opens again, in order. Data that is used up cancels nothing."""
        async with running(subscriber=False) as h:
            h.tell(activator(), *map(delivery, (1, 2, 3)))
            assert at_work(await h.down()) == 1
            h.tell(closed)
            if reason is not None:
                assert await h.down() == m.CancelDelivery(1, reason)
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 1))
            await h.stay_silent(h.session)
            h.tell(opened)
            assert at_work(await h.down()) == 2
            h.tell(m.OutcomeRow(2, Outcome.HANDLED, "", 1))
            assert at_work(await h.down()) == 3

    async def test_an_app_that_is_exempt_no_more_stops(self) -> None:
        """While energy is saved; one that is begins."""
        exempt = m.AppSettingsChanged("mail", AppSettings(exempt_from_energy_saver=True))
        async with running(subscriber=False) as h:
            h.tell(exempt, m.HostChanged(HostState(energy_saver=True)), activator(), delivery(1), delivery(2))
            assert at_work(await h.down()) == 1
            h.tell(m.AppSettingsChanged("mail", AppSettings()))
            assert await h.down() == m.CancelDelivery(1, CancellationReason.ENERGY_SAVER)
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 1), exempt)
            assert at_work(await h.down()) == 2

    async def test_what_is_latched_runs_in_order_but_for_what_expires(self) -> None:
        """TTLs go on while a condition keeps payloads waiting; when it returns, the others begin one after the other."""
        async with running(subscriber=False) as h:
            h.tell(m.HostChanged(HostState(user_present=False)), activator(SystemConditionType.USER_PRESENT))
            for sequence, lifetime in ((1, 4000), (2, 50), (3, None), (4, 50), (5, 4000)):
                h.tell(delivery(sequence, expires=None if lifetime is None else time.time() + lifetime))
            await h.stay_silent(h.session)
            h.at_service.hear(m.ConnectionUp(1024, time.time() + 100))
            h.tell(m.HostChanged(HostState()))
            for sequence in (1, 3, 5):
                assert at_work(await h.down()) == sequence
                h.tell(m.OutcomeRow(sequence, Outcome.HANDLED, "", 1))
            ends = [await h.settled() for _ in range(5)]
            assert [end[0] for end in ends if end[2] == DropReason.EXPIRED] == [2, 4]

    async def test_a_latched_payload_expires(self) -> None:
        """A payload whose time has passed while it waited ends as expired."""
        async with running(subscriber=False) as h:
            h.tell(m.HostChanged(HostState(user_present=False)))
            h.tell(activator(SystemConditionType.USER_PRESENT), delivery(1, expires=1.0))
            h.tell(m.HostChanged(HostState()))
            assert await h.settled() == (1, Outcome.DROPPED, DropReason.EXPIRED, "")

    async def test_the_queue_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A payload for which there is no place ends with its reason."""
        monkeypatch.setattr(background_queue, "QUEUE_DEPTH", 2)
        async with running(subscriber=False) as h:
            h.tell(m.HostChanged(HostState(user_present=False)))
            h.tell(activator(SystemConditionType.USER_PRESENT))
            for sequence in (1, 2, 3):
                h.tell(delivery(sequence))
            assert await h.settled() == (3, Outcome.DROPPED, DropReason.QUEUE_FULL, "")

    async def test_background_that_the_user_denies(self) -> None:
        """What the foreground refused is dropped with that reason; a payload that no handler saw waits in the inbox."""
        async with running() as h:
            h.tell(activator(), m.AppSettingsChanged("mail", AppSettings(background=False)))
            h.tell(delivery(1), m.OutcomeRow(1, Outcome.NOT_HANDLED, "", 1), m.Unsubscribe("c1"), delivery(2))
            assert await h.settled() == (1, Outcome.DROPPED, DropReason.BACKGROUND_DENIED, "")
            assert await h.settled() == (2, Outcome.GIVEN_BACK, None, "")

    async def test_unregistering_returns_what_waits(self) -> None:
        """Without its activator a payload goes back to the inbox."""
        async with running() as h:
            h.tell(activator(session=""), delivery(1), m.OutcomeRow(1, Outcome.NOT_HANDLED, "", 1))
            assert await h.up() == m.AppReady("mail", ready=False)
            assert await h.up() == m.Parked(1, "c1")
            h.tell(activator(session="", triggered=False))
            assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")

    async def test_failed_work_is_dropped_with_what_failed(self) -> None:
        """A background handler that raises ends its payload, and the next one's turn comes."""
        async with running() as h:
            await h.begin_background()
            h.tell(m.OutcomeRow(1, Outcome.HANDLER_FAILED, "ValueError: no", 1))
            assert await h.settled() == (1, Outcome.DROPPED, DropReason.HANDLER_FAILED, "ValueError: no")


class TestCancellation:
    """All twelve reasons have a cause."""

    @pytest.mark.parametrize("reason", REASONS)
    async def test_the_machine_may_cancel_for_any_reason(self, reason: CancellationReason) -> None:
        """What the machine says reaches the work, and if it does not end, the payload has the reason's name."""
        async with running() as h:
            await h.begin_background()
            h.tell(m.CancelWork(reason), m.CancelWork(reason), m.CancelWork(reason))
            assert await h.down() == m.CancelDelivery(1, reason)
            assert await h.down() == m.AbortDelivery(1)
            h.tell(m.OutcomeRow(1, Outcome.NOT_HANDLED, "", 1))
            assert (await h.settled())[2] == DropReason[reason.name]

    @pytest.mark.parametrize("app", ["mail", ""])
    async def test_the_agent_may_stop_all_work_of_an_app_or_of_all(self, app: str) -> None:
        """What runs in the background and with handlers is cancelled, what waits is given back, and none begins any more."""
        async with running() as h:
            await h.begin_background()
            h.tell(delivery(2), m.OutcomeRow(2, Outcome.NOT_HANDLED, "", 1), delivery(3, "c2"), delivery(4, "c2"))
            assert [await h.down(), await h.down(), await h.down()] == [
                delivery(2),
                delivery(3, "c2"),
                delivery(4, "c2"),
            ]
            h.tell(m.StopWork(app, CancellationReason.UNINSTALL, 1, every=True))
            stopped = [m.CancelDelivery(number, CancellationReason.UNINSTALL) for number in (3, 1)]
            assert [await h.down(), await h.down()] == stopped
            assert await h.settled() == (2, Outcome.GIVEN_BACK, None, "")
            for number in (3, 1):
                h.tell(m.OutcomeRow(number, Outcome.NOT_HANDLED, "", 1))
                assert (await h.settled())[2] == DropReason.UNINSTALL
            with anyio.fail_after(1):
                await h.sessions.work.has_stopped(1, app)
            await h.stay_silent(h.session)

    async def test_the_agent_may_stop_the_work_of_one_session(self) -> None:
        """Of another app, or another session, it does not; that session gets no more, and what waits goes to the next."""
        async with running() as h:
            await h.begin_background()
            h.tell(delivery(2), m.OutcomeRow(2, Outcome.NOT_HANDLED, "", 1))
            assert await h.down() == delivery(2)
            revoked = CancellationReason.RESOURCE_REVOCATION
            for app, session in (("chat", ""), ("mail", "t")):
                h.tell(m.StopWork(app, revoked, 1, every=False, session=session))
            await h.stay_silent(h.session)
            h.tell(m.StopWork("mail", revoked, 2, every=False, session="s"))
            assert await h.down() == m.CancelDelivery(1, revoked)
            h.tell(m.OutcomeRow(1, Outcome.HANDLER_FAILED, "no", 1))
            assert await h.settled() == (1, Outcome.DROPPED, DropReason.RESOURCE_REVOCATION, "no")
            h.tell(activator())
            await h.stay_silent(h.session)
            with Mailbox("t") as other:
                h.sessions.add("mail", other)
                h.tell(activator(session="t"))
                assert at_work((await next_messages(other, VIRTUAL))[0]) == 2

    async def test_whether_work_has_stopped_is_known_when_the_order_was_taken(self) -> None:
        """And when each payload that was told to stop has come to its end."""
        async with running() as h:
            await h.begin_background()
            assert h.sessions.work.running == {"mail": "s"}
            start = anyio.current_time()
            h.tell(m.StopWork("", CancellationReason.LOGGING_OFF, 1, every=True))
            await h.sessions.work.has_stopped(1, "")
            assert anyio.current_time() - start == pytest.approx(10)
            assert h.sessions.work.running == {}

    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"cloud_notifications": False}, CancellationReason.SYSTEM_POLICY),
            ({"session_connected": False}, CancellationReason.LOGGING_OFF),
            ({"energy_saver": True}, CancellationReason.ENERGY_SAVER),
            ({"quiet_hours": True}, CancellationReason.QUIET_HOURS_ENTERED),
            ({"user_present": False}, CancellationReason.CONDITION_LOSS),
        ],
    )
    async def test_a_change_of_state_cancels(self, change: dict[str, bool], reason: CancellationReason) -> None:
        """Policy, log-off, energy saver, quiet hours and the loss of a condition each interrupt running work."""
        async with running() as h:
            needs = activator(SystemConditionType.USER_PRESENT, cancel_on_condition_loss=True)
            await h.begin_background(activation=needs)
            h.tell(m.HostChanged(HostState(**change)))
            assert await h.down() == m.CancelDelivery(1, reason)

    async def test_a_lost_condition_does_not_cancel_unless_asked_to(self) -> None:
        """By default work that has begun goes on to its end."""
        async with running() as h:
            await h.begin_background(activation=activator(SystemConditionType.USER_PRESENT))
            h.tell(m.HostChanged(HostState(user_present=False)))
            start = anyio.current_time()
            assert await h.down() == m.CancelDelivery(1, CancellationReason.EXECUTION_TIME_EXCEEDED)
            assert anyio.current_time() - start == pytest.approx(30)

    async def test_unregistering_aborts(self) -> None:
        """The app's own unregistering cancels its running work."""
        async with running() as h:
            await h.begin_background()
            h.tell(activator(session="", triggered=False, aborted=True))
            assert await h.down() == m.CancelDelivery(1, CancellationReason.ABORT)

    async def test_denied_access_cancels(self) -> None:
        """A user who switches background work off stops what runs."""
        async with running() as h:
            await h.begin_background()
            h.tell(m.AppSettingsChanged("mail", AppSettings(background=False)))
            assert await h.down() == m.CancelDelivery(1, CancellationReason.SYSTEM_POLICY)

    async def test_work_is_cancelled_once(self) -> None:
        """The first reason counts; later ones neither repeat it nor prolong the grace."""
        async with running() as h:
            await h.begin_background()
            start = anyio.current_time()
            h.tell(m.CancelWork(CancellationReason.UNINSTALL))
            await anyio.sleep(3)
            h.tell(m.CancelWork(CancellationReason.IDLE_TASK))
            assert await h.down() == m.CancelDelivery(1, CancellationReason.UNINSTALL)
            assert await h.down() == m.AbortDelivery(1)
            assert anyio.current_time() - start == pytest.approx(5)
