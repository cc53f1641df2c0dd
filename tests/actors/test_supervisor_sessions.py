"""The supervisor and several sessions, on virtual time: each has what is its own, and is believed for that only."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
import trio.testing

from tests.actors.supervising import VIRTUAL, Harness, activator, at_work, delivery, running
from tests.helpers import next_messages
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.life_events import MAX_CRASHES, MAX_FOREGROUND_CRASHES
from tocsin.protocol.platform.activation import BUDGET, GRACE, CancellationReason, SystemConditionType
from tocsin.protocol.platform.conditions import HostState
from tocsin.protocol.values import DropReason, Outcome

LOGGER = "tocsin.actors.supervisor"
OVER = CancellationReason.EXECUTION_TIME_EXCEEDED


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def second() -> Iterator[Mailbox]:
    """Return the mailbox of another session, ``t``."""
    with Mailbox("t") as mailbox:
        yield mailbox


async def subscribe(h: Harness, mailbox: Mailbox, channel: str, app: str = "mail") -> None:
    """Let another session in, and let it take the payloads of a channel."""
    h.sessions.add(app, mailbox)
    h.tell_from(mailbox.name, app, m.Subscribe(channel))
    assert await h.up() == m.ChannelSubscribed(app, channel)


def end(h: Harness, mailbox: Mailbox) -> None:
    """Let a session end, as the door does."""
    h.sessions.remove(mailbox.name)
    h.tell(m.SessionEnded(mailbox.name))


def not_handled(sequence: int, attempt: int = 1) -> m.Outcomes:
    """Build what a session says of a payload that it has not handled."""
    return m.Outcomes((m.OutcomeRow(sequence, Outcome.NOT_HANDLED, "", attempt),))


class TestEnds:
    """A session comes to its end."""

    async def test_what_it_has_is_given_back_and_nothing_of_others(self, second: Mailbox) -> None:
        """The other session goes on with its own payloads, and can still report on them."""
        async with running() as h:
            await subscribe(h, second, "c2")
            h.tell(delivery(1, "c1"), delivery(2, "c2"), delivery(3, "c2"))
            assert await h.down() == delivery(1, "c1")
            assert await next_messages(second, VIRTUAL) == [delivery(2, "c2"), delivery(3, "c2")]
            end(h, second)
            assert await h.settled() == (2, Outcome.GIVEN_BACK, None, "")
            assert await h.settled() == (3, Outcome.GIVEN_BACK, None, "")
            await h.stay_silent(h.session, h.router)
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 1))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")

    async def test_each_session_of_a_channel_has_its_own_head(self, second: Mailbox) -> None:
        """One that takes a channel over begins at once, and its budget does not wait for the work of the one before."""
        async with running() as h:
            h.tell(delivery(1))
            assert await h.down() == delivery(1)
            await subscribe(h, second, "c1")
            h.tell(delivery(2))
            assert await next_messages(second, VIRTUAL) == [delivery(2)]
            start = anyio.current_time()
            assert await h.down() == m.CancelDelivery(1, OVER)
            assert await next_messages(second, VIRTUAL) == [m.CancelDelivery(2, OVER)]
            assert anyio.current_time() - start == pytest.approx(BUDGET, abs=1)

    @pytest.mark.parametrize("works", [True, False], ids=["at work", "cancelled"])
    async def test_background_work_is_given_back(self, second: Mailbox, works: bool) -> None:
        """Work that was being cancelled is given back as work that went on is."""
        async with running(subscriber=False) as h:
            h.sessions.add("mail", second)
            h.tell(activator(session="t"), delivery(1))
            assert at_work((await next_messages(second, VIRTUAL))[0]) == 1
            if not works:
                assert await next_messages(second, VIRTUAL) == [m.CancelDelivery(1, OVER)]
            end(h, second)
            assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")

    async def test_work_with_which_sessions_die_again_and_again_is_a_dead_letter(self) -> None:
        """It is tried as often as is allowed, and then its detail says how many have died."""
        async with running(subscriber=False) as h:
            for attempt in range(1, MAX_CRASHES + 1):
                with Mailbox(f"mail/{attempt}") as session:
                    h.sessions.add("mail", session)
                    h.tell(activator(session=session.name), delivery(1, attempt=attempt))
                    assert at_work((await next_messages(session, VIRTUAL))[0]) == 1
                    end(h, session)
                    if attempt < MAX_CRASHES:
                        assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")
            detail = f"{MAX_CRASHES} processes have died with it"
            assert await h.settled() == (1, Outcome.DROPPED, DropReason.CRASH_LOOP, detail)

    async def test_deaths_are_counted_for_each_payload(self) -> None:
        """Other payloads that have died with their sessions bring none nearer to its end."""
        async with running(subscriber=False) as h:
            for sequence in range(1, 2 * MAX_CRASHES):
                with Mailbox(f"mail/{sequence}") as session:
                    h.sessions.add("mail", session)
                    h.tell(activator(session=session.name), delivery(sequence))
                    assert at_work((await next_messages(session, VIRTUAL))[0]) == sequence
                    end(h, session)
                    assert await h.settled() == (sequence, Outcome.GIVEN_BACK, None, "")

    async def test_a_session_that_gives_back_and_ends_has_not_crashed(self) -> None:
        """However often a payload comes back in order, it is no dead letter."""
        async with running(subscriber=False) as h:
            for attempt in range(1, 2 * MAX_CRASHES):
                with Mailbox(f"mail/{attempt}") as session:
                    h.sessions.add("mail", session)
                    h.tell(activator(session=session.name), delivery(1, attempt=attempt))
                    assert at_work((await next_messages(session, VIRTUAL))[0]) == 1
                    back = m.Outcomes((m.OutcomeRow(1, Outcome.GIVEN_BACK, "", attempt),))
                    h.tell_from(session.name, "mail", m.LeaveSession(), back)
                    end(h, session)
                    assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")

    async def test_only_the_payload_at_work_counts_a_death_in_the_foreground(self, second: Mailbox) -> None:
        """After ten sessions it is a dead letter; what waited behind it has nothing to do with that."""
        async with running(subscriber=False) as h:
            for attempt in range(1, MAX_FOREGROUND_CRASHES + 1):
                await subscribe(h, second, "c1")
                h.tell(delivery(1, attempt=attempt), delivery(2, attempt=attempt))
                await next_messages(second, VIRTUAL)
                end(h, second)
                if attempt < MAX_FOREGROUND_CRASHES:
                    assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")
                    assert await h.settled() == (2, Outcome.GIVEN_BACK, None, "")
            detail = f"{MAX_FOREGROUND_CRASHES} processes have died with it"
            assert await h.settled() == (1, Outcome.DROPPED, DropReason.CRASH_LOOP, detail)
            assert await h.settled() == (2, Outcome.GIVEN_BACK, None, "")

    async def test_a_death_in_the_foreground_counts_for_the_work(self, second: Mailbox) -> None:
        """A payload with which enough have died gets no process of its own to try once more."""
        async with running(subscriber=False) as h:
            for attempt in range(1, MAX_CRASHES):
                await subscribe(h, second, "c1")
                h.tell(delivery(1, attempt=attempt))
                await next_messages(second, VIRTUAL)
                end(h, second)
                assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")
            h.sessions.add("mail", second)
            h.tell(activator(session="t"), delivery(1, attempt=MAX_CRASHES))
            assert at_work((await next_messages(second, VIRTUAL))[0]) == 1
            end(h, second)
            detail = f"{MAX_CRASHES} processes have died with it"
            assert await h.settled() == (1, Outcome.DROPPED, DropReason.CRASH_LOOP, detail)

    @pytest.mark.parametrize("many", [False, True], ids=["alone", "in one go"])
    async def test_what_was_handled_after_all_has_no_count(self, second: Mailbox, many: bool) -> None:
        """In whichever way its end was reported: the same number would begin anew."""
        async with running(subscriber=False) as h:
            for attempt in range(1, MAX_CRASHES):
                await subscribe(h, second, "c1")
                h.tell(delivery(1, attempt=attempt))
                await next_messages(second, VIRTUAL)
                end(h, second)
                assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")
            await subscribe(h, second, "c1")
            h.tell(delivery(1, attempt=MAX_CRASHES), *([delivery(2)] if many else []))
            await next_messages(second, VIRTUAL)
            h.tell_from("t", "mail", m.Handled((1, 2), (MAX_CRASHES, 1)) if many else m.Handled((1,), (MAX_CRASHES,)))
            await h.up()
            h.tell(activator(session="t"), m.Unsubscribe("c1"))
            h.tell_from("t", "mail", m.Unsubscribe("c1"))
            await h.up()
            h.tell(delivery(1))
            assert at_work((await next_messages(second, VIRTUAL))[0]) == 1
            end(h, second)
            assert await h.settled() == (1, Outcome.GIVEN_BACK, None, "")


class TestBelief:
    """A session is believed for what is its own."""

    async def test_a_channel_of_another_app_gives_nothing(self, second: Mailbox) -> None:
        """A session that subscribes to a name gets what its own app has under it, also where no other session is there."""
        async with running() as h:
            await subscribe(h, second, "c1", app="chat")
            h.tell(delivery(1))
            assert await h.down() == delivery(1)
            h.tell(m.Unsubscribe("c1"), m.OutcomeRow(1, Outcome.HANDLED, "", 1), delivery(2))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")
            assert await h.settled() == (2, Outcome.GIVEN_BACK, None, "")
            await h.stay_silent(second)
            h.tell(delivery(3, "c1", app="chat"))
            assert await next_messages(second, VIRTUAL) == [delivery(3, "c1", app="chat")]

    async def test_it_cannot_unsubscribe_another(self, second: Mailbox) -> None:
        """Neither a session of the same app nor one of another app ends what others take."""
        async with running() as h:
            h.sessions.add("mail", second)
            h.tell_from("t", "mail", m.Unsubscribe("c1"))
            h.tell_from("s", "chat", m.Unsubscribe("c1"))
            h.tell(delivery(1))
            assert await h.down() == delivery(1)

    @pytest.mark.parametrize("app", ["mail", "chat"])
    @pytest.mark.parametrize("background", [False, True])
    async def test_what_it_does_not_have_it_does_not_settle(
        self,
        second: Mailbox,
        caplog: pytest.LogCaptureFixture,
        app: str,
        background: bool,
    ) -> None:
        """Its outcomes are ignored, the log hears of each such session once, and the one that has the payload goes on."""
        async with running() as h:
            h.sessions.add(app, second)
            if background:
                await h.begin_background()
            else:
                h.tell(delivery(1))
                assert await h.down() == delivery(1)
            for _ in range(3):
                h.tell_from("t", app, m.Handled((1,), (1,)), not_handled(1))
            await h.stay_silent(h.session, h.router, second)
            said = [record.message for record in caplog.records if record.name == LOGGER]
            assert said == ["the session t reports on payloads that it does not have; that is ignored"]
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 1))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")

    async def test_another_app_cannot_say_that_an_earlier_attempt_was_handled(self, second: Mailbox) -> None:
        """An app's own sessions can; from another it changes nothing, whichever attempt it names."""
        async with running() as h:
            h.sessions.add("chat", second)
            h.tell(delivery(1, attempt=2))
            assert await h.down() == delivery(1, attempt=2)
            for attempt in range(4):
                h.tell_from("t", "chat", m.Handled((1,), (attempt,)))
            await h.stay_silent(h.session, h.router)
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 2))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")

    async def test_the_log_hears_of_each_such_session(self, caplog: pytest.LogCaptureFixture) -> None:
        """One that has begun does not hide the next, nor one of the same name after it has ended."""
        async with running() as h:
            h.tell(delivery(1))
            h.tell_from("x", "chat", not_handled(1))
            h.tell_from("y", "chat", not_handled(1))
            h.tell(m.SessionEnded("x"))
            h.tell_from("x", "chat", not_handled(1))
            await h.stay_silent()
            said = [record.args for record in caplog.records if record.name == LOGGER]
            assert said == [("x",), ("y",), ("x",)]
            assert caplog.records[-1].levelno == logging.WARNING

    async def test_a_batch_counts_for_what_is_its_own(self, second: Mailbox) -> None:
        """Among several outcomes those of others are left out, and the rest count."""
        async with running() as h:
            await subscribe(h, second, "c2")
            h.tell(delivery(1, "c1"), delivery(2, "c2"), delivery(3, "c2"))
            h.tell_from("t", "mail", m.Handled((1, 2), (1, 1)))
            assert await h.settled() == (2, Outcome.HANDLED, None, "")
            rows = tuple(m.OutcomeRow(each, Outcome.NOT_HANDLED, "", 1) for each in (1, 3))
            h.tell_from("t", "mail", m.Outcomes(rows))
            assert await h.settled() == (3, Outcome.DROPPED, DropReason.NOT_HANDLED, "")
            await h.stay_silent(h.router)

    async def test_the_session_that_had_it_may_still_say_that_it_was_handled(self, second: Mailbox) -> None:
        """While it waits for its turn in another session, the handler that was too late has handled it all the same."""
        async with running() as h:
            h.sessions.add("mail", second)
            h.tell(m.HostChanged(HostState(user_present=False)))
            h.tell(activator(SystemConditionType.USER_PRESENT, session="t"), delivery(1))
            h.tell(m.OutcomeRow(1, Outcome.NOT_HANDLED, "", 1), m.OutcomeRow(1, Outcome.HANDLED, "", 1))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")
            h.tell(m.HostChanged(HostState()))
            await h.stay_silent(second)

    async def test_what_is_not_here_was_handled_late(self, second: Mailbox) -> None:
        """The router hears of it, with the app that says so."""
        async with running() as h:
            h.sessions.add("chat", second)
            h.tell_from("t", "chat", m.Handled((9,), (1,)))
            assert await h.up() == m.HandledLate("chat", (9,))
            await h.stay_silent(h.session, second)


class TestCancel:
    """What is cancelled is cancelled in the session that has it."""

    async def test_a_handler_that_takes_too_long(self, second: Mailbox) -> None:
        """Cancel and abort go to the session with the payload, and to no other of the app."""
        async with running() as h:
            await subscribe(h, second, "c2")
            h.tell(delivery(1, "c2"))
            assert await next_messages(second, VIRTUAL) == [delivery(1, "c2")]
            assert await next_messages(second, VIRTUAL) == [m.CancelDelivery(1, OVER)]
            assert await next_messages(second, VIRTUAL) == [m.AbortDelivery(1)]
            await h.stay_silent(h.session)

    async def test_background_work(self, second: Mailbox) -> None:
        """The session that had it in the foreground hears nothing of the work in another."""
        async with running() as h:
            h.sessions.add("mail", second)
            h.tell(activator(session="t"), delivery(1))
            assert await h.down() == delivery(1)
            h.tell(m.OutcomeRow(1, Outcome.NOT_HANDLED, "", 1))
            assert at_work((await next_messages(second, VIRTUAL))[0]) == 1
            assert await next_messages(second, VIRTUAL) == [m.CancelDelivery(1, OVER)]
            assert await next_messages(second, VIRTUAL) == [m.AbortDelivery(1)]
            await h.stay_silent(h.session)

    async def test_an_app_cancels_no_work_but_its_own(self, second: Mailbox) -> None:
        """What a session of another app would have cancelled goes on."""
        async with running() as h:
            h.sessions.add("chat", second)
            await h.begin_background()
            h.tell_from("t", "chat", m.CancelWork(CancellationReason.UNINSTALL))
            await h.stay_silent(h.session, second)

    async def test_handled_in_an_earlier_attempt(self, second: Mailbox) -> None:
        """The later attempt is cut off in the session that has it, and the payload has ended well."""
        async with running() as h:
            await subscribe(h, second, "c2")
            h.tell(delivery(1, "c2", attempt=2))
            assert await next_messages(second, VIRTUAL) == [delivery(1, "c2", attempt=2)]
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 1))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")
            assert await next_messages(second, VIRTUAL) == [m.AbortDelivery(1)]
            await h.stay_silent(h.session)

    async def test_background_work_that_an_earlier_attempt_has_done(self, second: Mailbox) -> None:
        """What waits behind the later attempt begins when that has been cut off, and not beside it."""
        async with running(subscriber=False) as h:
            h.sessions.add("mail", second)
            h.tell(activator(session="t"), delivery(1, attempt=2), delivery(2))
            assert at_work((await next_messages(second, VIRTUAL))[0]) == 1
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 1), m.OutcomeRow(1, Outcome.HANDLED, "", 1))
            assert await next_messages(second, VIRTUAL) == [m.AbortDelivery(1)]
            await h.stay_silent(second)
            h.tell_from("t", "mail", m.Outcomes((m.OutcomeRow(1, Outcome.NOT_HANDLED, "", 2),)))
            assert await h.settled() == (1, Outcome.HANDLED, None, "")
            assert at_work((await next_messages(second, VIRTUAL))[0]) == 2

    async def test_background_work_that_a_fence_cuts_off(self, second: Mailbox) -> None:
        """It comes again to the session that has it, behind the fence, though another does what comes from now on."""
        async with running(subscriber=False) as h:
            h.sessions.add("mail", second)
            h.tell(activator(session="t"), delivery(1), delivery(2))
            assert at_work((await next_messages(second, VIRTUAL))[0]) == 1
            h.tell(activator(session="s"), m.Fence(), delivery(1, attempt=2), delivery(2, attempt=2))
            fence, activation = await next_messages(second, VIRTUAL)
            assert (fence, at_work(activation)) == (m.Fence(), 1)
            assert await h.down() == m.Fence()
            await h.stay_silent(h.session)
            h.tell_from("t", "mail", m.Handled((1,), (2,)))
            assert at_work(await h.down()) == 2

    async def test_background_work_that_is_cut_off_and_does_not_answer(self, second: Mailbox) -> None:
        """It keeps the next one waiting for the time of grace at most."""
        async with running(subscriber=False) as h:
            h.sessions.add("mail", second)
            h.tell(activator(session="t"), delivery(1, attempt=2), delivery(2))
            assert at_work((await next_messages(second, VIRTUAL))[0]) == 1
            begun = anyio.current_time()
            h.tell(m.OutcomeRow(1, Outcome.HANDLED, "", 1))
            assert await next_messages(second, VIRTUAL) == [m.AbortDelivery(1)]
            assert at_work((await next_messages(second, VIRTUAL))[0]) == 2
            assert anyio.current_time() - begun == pytest.approx(GRACE)
            assert await h.settled() == (1, Outcome.HANDLED, None, "")


@pytest.mark.parametrize("leaving", [m.Unsubscribe("c1"), m.LeaveSession(), m.SessionEnded("t")], ids=type)
async def test_the_last_of_two_sessions_on_a_channel_has_it(second: Mailbox, leaving: m.Message) -> None:
    """The first has it again once the last has left, without a word to the router."""
    async with running() as h:
        await subscribe(h, second, "c1")
        h.tell(delivery(1))
        assert await next_messages(second, VIRTUAL) == [delivery(1)]
        h.tell_from("t", "mail", m.Handled((1,), (1,)))
        assert await h.settled() == (1, Outcome.HANDLED, None, "")
        if isinstance(leaving, m.SessionEnded):
            end(h, second)
        else:
            h.tell_from("t", "mail", leaving)
        h.tell(delivery(2))
        assert await h.down() == delivery(2)
        await h.stay_silent(h.router, second)


async def test_a_session_that_subscribes_again_is_the_last() -> None:
    """The channel goes to and fro between two sessions as each says that it takes it."""
    async with running() as h:
        with Mailbox("t") as second:
            await subscribe(h, second, "c1")
            h.tell(m.Subscribe("c1"), delivery(1))
            assert await h.down() == delivery(1)
            await h.stay_silent(second)
