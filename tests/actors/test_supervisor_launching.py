"""The supervisor and the launcher, on virtual time: who is launched for, who claims, and what becomes of the rest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anyio
import pytest
import trio.testing

from tests.actors.supervising import VIRTUAL, Harness, activator, at_work, delivery, running
from tests.helpers import next_messages
from tocsin.actors.returning_processes import ReturningProcesses
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.life_events import MAX_FOREGROUND_CRASHES
from tocsin.protocol.hresult import HResult
from tocsin.protocol.platform.activation import GRACE, LAST_WORD, CancellationReason, SystemConditionType
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.platform.reunion import SessionProcess
from tocsin.protocol.values import DropReason, Outcome

STOP = m.StopLaunch("mail", 1, 1)
BEFORE = SessionProcess("mail", 7)
"""A process of before; there is no such process."""

CLAIM = m.Claimed("t", "mail", 7, 1, 1)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def launched() -> Iterator[Mailbox]:
    """Return the mailbox of the session ``t``, which a launched process has."""
    with Mailbox("t") as mailbox:
        yield mailbox


async def claimed(h: Harness, launched: Mailbox, sequence: int = 1, attempt: int = 1) -> None:
    """Let the launched process claim its payload, and get it."""
    h.sessions.add("mail", launched)
    h.tell(m.Claimed("t", "mail", 7, sequence, attempt))
    (activation,) = await next_messages(launched, VIRTUAL)
    assert isinstance(activation, m.Activation)
    assert activation.request == 7
    assert at_work(activation) == sequence


async def refused(mailbox: Mailbox) -> None:
    """Wait until a claim is answered with no payload, in words."""
    (failed,) = await next_messages(mailbox, VIRTUAL)
    assert isinstance(failed, m.Failed)
    assert (failed.request, failed.error, failed.hresult) == (7, "TimedOut", HResult.ERROR_TIMEOUT)
    assert "no longer waiting" in failed.text


class TestClaims:
    """A process is launched, and claims its payload."""

    async def test_the_process_gets_its_payload_and_completes_it(self, launched: Mailbox) -> None:
        """The claim is answered with the payload, and what that process says of it counts."""
        async with running(subscriber=False) as h:
            await h.launch_first()
            await claimed(h, launched)
            h.tell_from("t", "mail", m.Handled((1,), (1,)))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")
            await h.stay_silent(h.session, launched)

    async def test_an_app_with_a_command_is_ready(self) -> None:
        """The router hands payloads on, since a process can be started for them."""
        async with running(subscriber=False) as h:
            h.tell(activator(session="", command=b"c"))
            assert await h.up() == m.AppReady("mail", ready=True)

    async def test_a_session_that_serves_is_preferred(self) -> None:
        """No process is launched where one is there to do the work."""
        async with running(subscriber=False) as h:
            h.tell(activator(command=b"c"), delivery(1))
            assert at_work(await h.down()) == 1
            await h.stay_silent(h.session)

    async def test_without_a_launcher_a_command_counts_for_nothing(self) -> None:
        """The app is not ready, and its payloads wait for a session."""
        async with running(subscriber=False, launches=False) as h:
            h.tell(activator(session="", command=b"c"))
            assert await h.up() == m.AppReady("mail", ready=False)
            h.tell(delivery(1))
            assert await h.up() == m.Parked(1, "c1")
            h.tell(activator(command=b"c"))
            assert at_work(await h.down()) == 1

    async def test_unmet_conditions_launch_nothing(self) -> None:
        """The process is started when the conditions hold."""
        async with running(subscriber=False) as h:
            h.tell(m.HostChanged(HostState(user_present=False)))
            h.tell(activator(SystemConditionType.USER_PRESENT, session="", command=b"c"), delivery(1))
            await h.stay_silent()
            h.tell(m.HostChanged(HostState()))
            assert await h.ordered() == m.Launch("mail", 1, 1, b"c")

    async def test_one_at_a_time_per_app(self, launched: Mailbox) -> None:
        """The next process is launched when the payload before has ended; other apps do not wait."""
        async with running(subscriber=False) as h:
            await h.launch_first()
            h.tell(delivery(2), activator(app="chat", session="", command=b"d"), delivery(3, "c9", app="chat"))
            assert await h.ordered() == m.Launch("chat", 3, 1, b"d")
            await h.stay_silent()
            await claimed(h, launched)
            await h.stay_silent(launched)
            h.tell_from("t", "mail", m.Outcomes((m.OutcomeRow(1, Outcome.NOT_HANDLED, "", 1),)))
            assert await h.ordered() == m.Launch("mail", 2, 1, b"c")
            assert await h.settled() == (1, Outcome.HANDLED, None, "")

    async def test_the_budget_of_the_work_begins_with_the_claim(self, launched: Mailbox) -> None:
        """How long the process took to start is not counted against its work."""
        async with running(subscriber=False) as h:
            await h.launch_first()
            await anyio.sleep(25)
            await claimed(h, launched)
            start = anyio.current_time()
            (cancel,) = await next_messages(launched, VIRTUAL)
            assert isinstance(cancel, m.CancelDelivery)
            assert anyio.current_time() - start == pytest.approx(30)

    async def test_a_session_that_has_gone_by_then_gets_nothing(self) -> None:
        """A process that has claimed and died at once leaves its payload to the next."""
        async with running(subscriber=False) as h:
            await h.launch_first()
            h.tell(CLAIM)
            assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")

    async def test_what_a_session_holds_already_needs_no_process(self, launched: Mailbox) -> None:
        """A session that is at work on it since before the agent was away has it again, and the launch is stopped."""
        async with running(subscriber=False) as h:
            await h.launch_first()
            h.sessions.add("mail", launched)
            h.tell_from("t", "mail", m.Holding((1,)))
            assert await h.ordered() == STOP
            (activation,) = await next_messages(launched, VIRTUAL)
            assert isinstance(activation, m.Activation)
            assert (at_work(activation), activation.request) == (1, 0)

    async def test_nothing_begins_while_a_process_of_before_is_to_come(self, launched: Mailbox) -> None:
        """The router keeps what comes; what was handed on already waits, and is the holder's when that has told all."""
        async with running(subscriber=False, returning=ReturningProcesses([BEFORE])) as h:
            h.tell(activator(session="", command=b"c"), delivery(1))
            assert await h.up() == m.AppReady("mail", ready=False)
            assert await h.up() == m.Parked(1, "c1")
            await h.stay_silent(h.session, launched, h.router)
            h.sessions.add("mail", launched)
            h.returning.met("t", "mail", BEFORE.pid)
            h.tell_from("t", "mail", m.Holding((1,)), m.Resumed())
            assert await h.up() == m.AppReady("mail", ready=True)
            (activation,) = await next_messages(launched, VIRTUAL)
            assert at_work(activation) == 1
            await h.stay_silent(h.session)

    async def test_what_a_process_reports_before_its_end_is_launched_for_no_more(self, launched: Mailbox) -> None:
        """It had done its work while no agent was there; what else waits is launched for then."""
        async with running(subscriber=False, returning=ReturningProcesses([BEFORE])) as h:
            h.tell(activator(session="", command=b"c"), delivery(1), delivery(2))
            h.sessions.add("mail", launched)
            h.returning.met("t", "mail", BEFORE.pid)
            h.returning._ended.add(BEFORE.pid)
            h.tell_from("t", "mail", m.Handled((1,), (0,)))
            h.returning.left("t")
            h.tell(m.SessionEnded("t"))
            assert await h.ordered() == m.Launch("mail", 2, 1, b"c")
            assert await h.settled() == (1, Outcome.HANDLED, None, "")

    async def test_another_app_cannot_hold_it(self) -> None:
        """What a session says it holds counts for payloads of its own app only, whether it says so before or meanwhile."""
        async with running(subscriber=False) as h:
            with Mailbox("x") as other:
                h.sessions.add("chat", other)
                h.tell_from("x", "chat", m.Holding((1, 2)))
                await h.launch_first()
                h.tell_from("x", "chat", m.Holding((1, 2)))
                h.tell(delivery(2), m.LaunchEnded("mail", 1, 1, "no"))
                assert await h.ordered() == m.Launch("mail", 2, 1, b"c")
                await h.stay_silent(h.session, other)

    async def test_a_process_that_ends_after_a_handler_has_taken_its_payload_has_not_failed(
        self, launched: Mailbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        """It never claims; nothing is logged, and the work goes on."""
        async with running(subscriber=False) as h:
            h.sessions.add("mail", launched)
            await h.launch_first()
            h.tell(activator(session="t", command=b"c"))
            assert at_work((await next_messages(launched, VIRTUAL))[0]) == 1
            h.tell(m.LaunchEnded("mail", 1, 1, "ended with exit status 0 before it claimed the payload"))
            h.tell_from("t", "mail", m.Handled((1,), (1,)))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")
        assert caplog.records == []

    async def test_another_app_takes_it_from_no_holder(self, launched: Mailbox) -> None:
        """What a session holds stays with it, though one of another app says that it holds the same."""
        async with running(subscriber=False) as h:
            with Mailbox("x") as other:
                h.sessions.add("chat", other)
                h.sessions.add("mail", launched)
                h.tell_from("t", "mail", m.Holding((2,)))
                h.tell_from("x", "chat", m.Holding((2,)))
                await h.launch_first()
                h.tell(delivery(2), m.LaunchEnded("mail", 1, 1, "no"))
                (activation,) = await next_messages(launched, VIRTUAL)
                assert isinstance(activation, m.Activation)
                assert at_work(activation) == 2
                await h.stay_silent(h.session, other)


class TestFailures:
    """A process that is launched does not take its payload."""

    async def test_a_launch_that_has_failed_is_a_dead_letter(self, caplog: pytest.LogCaptureFixture) -> None:
        """It says why, and so does the log, once; the next payload's process is launched."""
        async with running(subscriber=False) as h:
            await h.launch_first()
            h.tell(delivery(2), m.LaunchEnded("mail", 1, 1, "no such file: /opt/app"))
            assert await h.settled() == (1, Outcome.DROPPED, DropReason.LAUNCH_FAILED, "no such file: /opt/app")
            assert [record.getMessage() for record in caplog.records] == ["mail was not woken: no such file: /opt/app"]
            assert await h.ordered() == m.Launch("mail", 2, 1, b"c")

    async def test_what_a_killed_process_has_not_asked_for_comes_again(self, caplog: pytest.LogCaptureFixture) -> None:
        """Nothing is said of it until the third has died."""
        async with running(subscriber=False) as h:
            await h.launch_first()
            for attempt in (1, 2):
                h.tell(m.LaunchEnded("mail", 1, attempt, "was ended by signal SIGKILL", was_killed=True))
                assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")
                assert isinstance(await h.ordered(), m.StopLaunch)  # of what has ended: nothing
                h.tell(delivery(1, attempt=attempt + 1))
                assert await h.ordered() == m.Launch("mail", 1, attempt + 1, b"c")
            assert caplog.records == []
            h.tell(m.LaunchEnded("mail", 1, 3, "was ended by signal SIGKILL", was_killed=True))
            assert await h.settled() == (1, Outcome.DROPPED, DropReason.LAUNCH_FAILED, "was ended by signal SIGKILL")
        assert [record.getMessage() for record in caplog.records] == ["mail was not woken: was ended by signal SIGKILL"]

    async def test_a_process_that_does_not_ask_in_time_is_stopped(self) -> None:
        """When the budget is over the payload is a dead letter with a sentence, and the next is launched for."""
        async with running(subscriber=False) as h:
            await h.launch_first()
            h.tell(delivery(2))
            start = anyio.current_time()
            assert await h.ordered() == STOP
            assert anyio.current_time() - start == pytest.approx(30)
            detail = "the process that was launched has not asked for it in time"
            assert await h.settled() == (1, Outcome.DROPPED, DropReason.EXECUTION_TIME_EXCEEDED, detail)
            assert await h.ordered() == m.Launch("mail", 2, 1, b"c")

    async def test_a_process_that_ends_after_its_claim_is_no_failed_launch(self, launched: Mailbox) -> None:
        """What was claimed is with its session, and ends with that."""
        async with running(subscriber=False) as h:
            await h.launch_first()
            await claimed(h, launched)
            h.tell(m.LaunchEnded("mail", 1, 1, "it ended with 1"))
            h.tell_from("t", "mail", m.Handled((1,), (1,)))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")


class TestOutlived:
    """The process of a payload outlives the grace of its cancelled work."""

    async def work(self, h: Harness, launched: Mailbox, sequence: int = 1) -> None:
        """Bring a launched process to where it works on a payload, and say that it serves the next ones too."""
        await h.launch_first()
        await claimed(h, launched)
        h.sessions.note_launched("t", "/bin/app x")
        h.tell(activator(session="t", command=b"c"))
        for number in range(1, sequence):
            h.tell_from("t", "mail", m.Handled((number,), (1,)))
            assert await h.settled() == (number, Outcome.HANDLED, None, "")
            h.tell(delivery(number + 1))
            (activation,) = await next_messages(launched, VIRTUAL)
            assert at_work(activation) == number + 1

    @pytest.mark.parametrize("sequence", [1, 2, 5])
    async def test_it_is_told_at_30_seconds_and_ended_at_35(self, launched: Mailbox, sequence: int) -> None:
        """Whichever of its payloads it is, counted from when it was handed over; the dead letter names command and deferral."""
        async with running(subscriber=False) as h:
            await anyio.sleep(7)
            await self.work(h, launched, sequence)
            start = anyio.current_time()
            over = CancellationReason.EXECUTION_TIME_EXCEEDED
            assert await next_messages(launched, VIRTUAL) == [m.CancelDelivery(sequence, over)]
            assert anyio.current_time() - start == pytest.approx(30)
            assert await next_messages(launched, VIRTUAL) == [m.AbortDelivery(sequence)]
            assert anyio.current_time() - start == pytest.approx(35)
            left = "a deferral taken by f (app.py:3) was never completed"
            h.tell_from("t", "mail", m.Outcomes((m.OutcomeRow(sequence, Outcome.NOT_HANDLED, left, 1),)))
            assert await h.ordered() == m.EndProcess("t")
            assert anyio.current_time() - start == pytest.approx(35)
            detail = f"the process of /bin/app x was ended: {left}"
            assert await h.settled() == (sequence, Outcome.DROPPED, DropReason.EXECUTION_TIME_EXCEEDED, detail)

    async def test_one_that_does_not_answer_is_ended_all_the_same(self, launched: Mailbox) -> None:
        """A moment later; the next payload is launched for, and not given to what is being ended."""
        async with running(subscriber=False) as h:
            await self.work(h, launched)
            start = anyio.current_time()
            h.tell(delivery(2))
            assert await h.ordered() == m.EndProcess("t")
            assert anyio.current_time() - start == pytest.approx(35 + LAST_WORD)
            assert await h.ordered() == m.Launch("mail", 2, 1, b"c")
            sequence, _, reason, detail = await h.settled()
            assert (sequence, reason) == (1, DropReason.EXECUTION_TIME_EXCEEDED)
            assert detail == "the process of /bin/app x was ended: the handler was running, and did not answer"
            h.tell(activator(session="t", command=b"c"))
            await h.stay_silent()
            assert [type(each) for each in await next_messages(launched, VIRTUAL)] == [
                m.CancelDelivery,
                m.AbortDelivery,
            ]

    async def test_one_that_has_handled_it_meanwhile_lives_on(self, launched: Mailbox) -> None:
        """Its answer and the end of its grace have crossed."""
        async with running(subscriber=False) as h:
            await self.work(h, launched)
            await anyio.sleep(35.05)
            h.tell_from("t", "mail", m.Handled((1,), (1,)))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")
            await anyio.sleep(10)
            await h.stay_silent()

    @pytest.mark.parametrize("seconds", [1, 31, 35.05])
    async def test_one_that_hangs_is_ended_though_an_earlier_attempt_has_handled_its_payload(
        self, launched: Mailbox, seconds: float
    ) -> None:
        """When the grace is over that it has from then on: at work, cancelled, or cut off; the next is launched for."""
        async with running(subscriber=False) as h:
            await self.work(h, launched)
            h.tell(delivery(2))
            await anyio.sleep(seconds)
            begun = anyio.current_time()
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 0))
            assert await h.ordered() == m.EndProcess("t")
            assert anyio.current_time() - begun == pytest.approx(GRACE)
            assert await h.ordered() == m.Launch("mail", 2, 1, b"c")
            assert await h.settled() == (1, Outcome.HANDLED, None, "")

    async def test_what_was_not_launched_is_never_ended(self, launched: Mailbox) -> None:
        """It has 5 s more to answer."""
        async with running(subscriber=False) as h:
            h.sessions.add("mail", launched)
            h.tell(activator(session="t", command=b"c"), delivery(1))
            await anyio.sleep(39.9)
            await h.stay_silent()
            assert await h.settled() == (1, Outcome.DROPPED, DropReason.EXECUTION_TIME_EXCEEDED, "")

    async def test_one_whose_connection_is_lost_then_is_ended_as_well(self, launched: Mailbox) -> None:
        """Cancelled work is not repeated by itself: the process may go on without a connection."""
        async with running(subscriber=False) as h:
            await self.work(h, launched)
            await anyio.sleep(35.05)
            h.sessions.remove("t")
            h.tell(m.SessionEnded("t"))
            assert await h.ordered() == m.EndProcess("t")
            _, _, reason, detail = await h.settled()
            assert (reason, detail.partition(" was ended")[0]) == (
                DropReason.EXECUTION_TIME_EXCEEDED,
                "the process of /bin/app x",
            )
            assert not h.sessions.is_retired("t")

    async def test_its_end_is_not_held_against_its_other_payloads(self) -> None:
        """However often it comes to that: they were with it, and have not killed it."""
        async with running(subscriber=False) as h:
            h.tell(activator(session="", command=b"c"))
            for attempt in range(1, MAX_FOREGROUND_CRASHES + 2):
                with Mailbox(f"mail/{attempt}") as session:
                    h.sessions.add("mail", session)
                    h.sessions.note_launched(session.name, "/bin/app x")
                    h.tell(activator(session=session.name), delivery(100 + attempt))
                    h.tell_from(session.name, "mail", m.Subscribe("c2"))
                    await anyio.sleep(20)
                    h.tell(delivery(1, "c2", attempt=attempt))
                    assert await h.ordered() == m.EndProcess(session.name)
                    h.sessions.remove(session.name)
                    h.tell(m.SessionEnded(session.name))
                    assert (await h.settled())[2] == DropReason.EXECUTION_TIME_EXCEEDED
                    assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")


class TestMeanwhile:
    """Something else happens while the process is being launched."""

    async def test_a_session_with_a_handler_gets_the_payload(self, launched: Mailbox) -> None:
        """A process that comes too late is told so, and starts nothing twice."""
        async with running(subscriber=False) as h:
            await h.launch_first()
            h.tell(activator(command=b"c"))
            activation = await h.down()
            assert isinstance(activation, m.Activation)
            assert (at_work(activation), activation.request) == (1, 0)
            assert await h.ordered() == m.CallOffLaunch("mail", 1, 1)
            h.sessions.add("mail", launched)
            h.tell(CLAIM)
            await refused(launched)
            await h.stay_silent(h.session)
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 1))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")

    @pytest.mark.parametrize(
        "change",
        [
            m.HostChanged(HostState(user_present=False)),
            m.HostChanged(HostState(cloud_notifications=False)),
            m.AppSettingsChanged("mail", AppSettings(background=False)),
            activator(session="", triggered=False, aborted=True),
        ],
        ids=["condition", "policy", "settings", "unregistered"],
    )
    async def test_work_that_may_not_begin_any_more_is_given_back(self, change: m.Message, launched: Mailbox) -> None:
        """The launch is stopped, the payload waits for its next time, and a claim comes too late."""
        async with running(subscriber=False) as h:
            needs = (SystemConditionType.USER_PRESENT,)
            h.tell(activator(*needs, session="", command=b"c", cancel_on_condition_loss=True), delivery(1))
            assert await h.ordered() == m.Launch("mail", 1, 1, b"c")
            h.tell(change)
            assert await h.ordered() == STOP
            assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")
            h.sessions.add("mail", launched)
            h.tell(CLAIM)
            await refused(launched)

    async def test_a_lost_condition_stops_nothing_unless_asked_to(self) -> None:
        """By default a launch goes on."""
        async with running(subscriber=False) as h:
            h.tell(activator(SystemConditionType.USER_PRESENT, session="", command=b"c"), delivery(1))
            assert await h.ordered() == m.Launch("mail", 1, 1, b"c")
            h.tell(m.HostChanged(HostState(user_present=False)))
            await h.stay_silent()

    async def test_handled_late_stops_the_launch(self) -> None:
        """The handler that did not handle it in time has handled it after all."""
        async with running() as h:
            h.tell(activator(session="", command=b"c"), delivery(1))
            assert await h.down() == delivery(1)
            h.tell(m.OutcomeRow(1, Outcome.NOT_HANDLED, "", 1))
            assert await h.ordered() == m.Launch("mail", 1, 1, b"c")
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 1))
            assert await h.ordered() == STOP
            assert await h.settled() == (1, Outcome.HANDLED, None, "")

    async def test_a_fence_stops_the_launch(self, launched: Mailbox) -> None:
        """A router that begins anew hands the payload on again, and a process is launched for that attempt."""
        async with running(subscriber=False) as h:
            await h.launch_first()
            h.tell(m.Fence())
            assert await h.ordered() == STOP
            h.sessions.add("mail", launched)
            h.tell(CLAIM)
            await refused(launched)
            h.tell(delivery(1, attempt=2))
            assert await h.ordered() == m.Launch("mail", 1, 2, b"c")

    async def test_what_an_earlier_launch_says_does_not_count_for_a_later_one(self, launched: Mailbox) -> None:
        """A payload that is handed on again has a launch of its own: only that process can claim it, or fail."""
        async with running(subscriber=False) as h:
            await h.launch_first()
            h.tell(delivery(1, attempt=2))
            assert await h.ordered() == STOP
            assert await h.ordered() == m.Launch("mail", 1, 2, b"c")
            with Mailbox("u") as earlier:
                h.sessions.add("mail", earlier)
                h.tell(m.LaunchEnded("mail", 1, 1, "stopped"), m.Claimed("u", "mail", 7, 1, 1))
                await refused(earlier)
            await claimed(h, launched, attempt=2)

    async def test_a_claim_of_another_app_gets_nothing(self, launched: Mailbox) -> None:
        """The payload stays for the process of its own app."""
        async with running(subscriber=False) as h:
            await h.launch_first()
            with Mailbox("x") as other:
                h.sessions.add("chat", other)
                h.tell(m.Claimed("x", "chat", 7, 1, 1))
                await refused(other)
            await claimed(h, launched)
