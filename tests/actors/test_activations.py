"""Clicks reach the app: in the session that takes them, or in a process that is started, and once."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import trio.testing

from tests.actors.clicking import PAST_ARRIVAL, PROTOCOL, Clicking, Row
from tests.helpers import waiting_messages
from tests.protocol.tables import erase
from tocsin.protocol import messages as m
from tocsin.protocol.kernel.machine import IllegalEvent
from tocsin.protocol.toasts.activation_life import LAUNCH_BUDGET, TABLE, WAIT, Effect
from tocsin.protocol.toasts.click_turns import MAX_WAITING, RETURN


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
async def c() -> Clicking:
    """Make a driver with a session of an app that takes no clicks."""
    clicking = Clicking()
    clicking.connect("s")
    return clicking


class TestSessions:
    """A session that runs has the clicks."""

    async def test_it_gets_them_in_order_and_each_leaves_the_store_when_it_is_done(self, c: Clicking) -> None:
        """Its attempt is stored before; several may be with it at once."""
        await c.take("s")
        await c.add(Row(1), Row(2))
        assert c.seen() == [
            "s: 1 done",
            "attempts {1: 1, 2: 1}",
            "s: click 1, attempt 1, request 0",
            "s: click 2, attempt 1, request 0",
        ]
        await c.done(2)
        await c.done(1)
        assert c.seen() == ["dropped [2]", "dropped [1]"]
        assert c.kept.rows == {}

    async def test_it_gets_all_that_the_click_says(self, c: Clicking) -> None:
        """As its user has made it."""
        await c.take("s")
        c.activations.add(Row(5, kind=PROTOCOL, argument="contoso:x"))
        await c.activations.perform()
        inputs = (m.TextPair("reply", "hi"),)
        assert waiting_messages(c.mailboxes["s"]) == [
            m.ToastActivated(5, 0, 1, 7, "t", "g", PROTOCOL, "contoso:x", inputs)
        ]

    async def test_what_waits_goes_to_the_session_that_comes(self, c: Clicking) -> None:
        """Within the hour."""
        await c.add(Row(1))
        await c.wait(WAIT - 1)
        assert c.seen() == []
        await c.take("s")
        assert c.seen() == ["attempts {1: 1}", "s: 1 done", "s: click 1, attempt 1, request 0"]

    async def test_another_app_gets_nothing(self, c: Clicking) -> None:
        """And can end nothing."""
        c.connect("t", "chat")
        await c.take("t", "chat")
        await c.add(Row(1))
        await c.done(1, app="chat")
        assert c.seen() == ["t: 1 done"]
        assert c.kept.rows == {1: 0}

    async def test_one_that_leaves_gets_no_more_and_goes_on_with_what_it_has(self, c: Clicking) -> None:
        """An earlier one has them again."""
        c.connect("newer")
        await c.take("s")
        await c.take("newer")
        await c.add(Row(1))
        c.activations.leave("mail", "newer")
        await c.add(Row(2))
        await c.done(1)
        assert c.seen()[2:] == [
            "attempts {1: 1}",
            "newer: click 1, attempt 1, request 0",
            "attempts {2: 1}",
            "s: click 2, attempt 1, request 0",
            "dropped [1]",
        ]

    async def test_one_that_is_to_have_no_more_work_gets_none(self, c: Clicking) -> None:
        """Its process is about to be ended."""
        await c.take("s")
        c.sessions.retire("s")
        await c.add(Row(1))
        assert c.seen() == ["s: 1 done"]

    async def test_one_that_has_gone_by_then_takes_nothing(self, c: Clicking) -> None:
        """What it said was still on its way."""
        c.sessions.remove("s")
        await c.take("s")
        await c.add(Row(1))
        assert c.seen() == []

    async def test_a_session_that_is_not_there_any_more_gives_way(self, c: Clicking) -> None:
        """Of its end nothing was heard yet: the next one has the click."""
        c.connect("newer")
        await c.take("s")
        await c.take("newer")
        c.sessions.remove("newer")
        c.seen()
        await c.add(Row(1))
        assert c.seen() == ["attempts {1: 1}", "attempts {1: 2}", "s: click 1, attempt 2, request 0"]


class TestDeath:
    """Sessions that end with a click, and drivers that begin anew."""

    async def test_what_a_dead_session_had_comes_to_the_next(self, c: Clicking) -> None:
        """With its attempt raised; the third death is the last, and it is said."""
        await c.take("s")
        await c.add(Row(1))
        for attempt, session in enumerate(("t", "u"), 2):
            c.connect(session)
            await c.take(session)
            await c.end({"t": "s", "u": "t"}[session])
            assert c.seen()[-1] == f"{session}: click 1, attempt {attempt}, request 0"
        await c.end("u")
        assert c.seen() == ["dropped [1]"]

    async def test_a_process_that_claims_and_dies_is_not_started_for_ever(self, c: Clicking) -> None:
        """Also where it has gone before the click reaches it."""
        await c.command()
        await c.add(Row(1))
        for attempt in (1, 2, 3):
            assert c.seen()[-1] == f"launch b'c' of mail for 1, attempt {attempt}"
            await c.claim("gone", 1, attempt)
            await c.wait(PAST_ARRIVAL)
        assert c.seen()[-1] == "dropped [1]"

    async def test_done_counts_whoever_says_it(self, c: Clicking) -> None:
        """As of an attempt before: the app that was not heard in time has done it all the same."""
        await c.take("s")
        await c.add(Row(1))
        await c.end("s")
        await c.done(1)
        await c.done(1)
        assert c.seen()[-1] == "dropped [1]"

    async def test_a_driver_that_begins_anew_hands_it_out_again(self, c: Clicking) -> None:
        """To sessions that come back at once, and to a process a while later."""
        again = Clicking(kept=c.kept)
        again.connect("s")
        again.activations.restore([Row(1, attempt=1), Row(2, app="chat", attempt=0)], {"mail": b"c", "chat": b"d"})
        await again.flush()
        assert again.seen() == []
        await again.take("s")
        assert again.seen() == ["attempts {1: 2}", "s: 1 done", "s: click 1, attempt 2, request 0"]
        await again.wait(RETURN)
        assert again.seen() == ["launch b'd' of chat for 2, attempt 1"]

    async def test_a_click_that_was_made_too_long_ago_is_let_go(
        self, c: Clicking, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Its hour counts from when it was made, and it is said once."""
        c.activations.restore([Row(1, at=1000.0 - WAIT + 60)], {})
        await c.wait(59)
        assert c.seen() == []
        await c.wait(1)
        assert c.seen() == ["dropped [1]"]
        assert "no process of the app was there" in caplog.text
        await c.take("s")
        assert c.seen() == ["s: 1 done"]


class TestLaunching:
    """An app that does not run."""

    async def test_a_process_is_started_and_gets_the_click_by_its_claim(self, c: Clicking) -> None:
        """The command is that which a session has left, and is stored."""
        await c.command()
        assert c.kept.commands == {"mail": b"c"}
        await c.add(Row(1))
        assert c.seen() == ["launch b'c' of mail for 1, attempt 1"]
        c.connect("new", click=1)
        await c.claim("new", 1)
        assert c.seen() == ["attempts {1: 1}", "new: click 1, attempt 1, request 9"]
        await c.done(1)
        assert c.seen() == ["dropped [1]"]

    async def test_a_command_is_stored_once(self, c: Clicking) -> None:
        """And one that a session does not name stays."""
        await c.take("s", command=b"c")
        await c.take("s", command=b"c")
        await c.take("s")
        assert c.seen() == ["command mail b'c'", "s: 1 done", "s: 1 done", "s: 1 done"]

    async def test_further_clicks_wait_for_the_process_that_comes(self, c: Clicking) -> None:
        """It takes them all, if it has a handler."""
        await c.command()
        await c.add(Row(1), Row(2))
        c.connect("new", click=1)
        await c.claim("new", 1)
        await c.done(1)
        assert c.seen()[-1] == "dropped [1]"
        await c.take("new")
        assert c.seen() == ["attempts {2: 1}", "new: 1 done", "new: click 2, attempt 1, request 0"]

    async def test_a_process_without_a_handler_is_waited_for_no_longer_than_a_moment(self, c: Clicking) -> None:
        """The next click starts the next process; if it ends before, at once."""
        await c.command()
        await c.add(Row(1), Row(2), Row(3))
        c.connect("first", click=1)
        await c.claim("first", 1)
        await c.done(1)
        c.seen()
        await c.wait(PAST_ARRIVAL)
        assert c.seen() == ["launch b'c' of mail for 2, attempt 1"]
        c.connect("second", click=2)
        await c.claim("second", 2)
        await c.done(2)
        await c.end("second")
        assert c.seen()[-1] == "launch b'c' of mail for 3, attempt 1"

    async def test_its_handler_may_be_faster_than_its_claim(self, c: Clicking) -> None:
        """It is not stopped then, and the claim is answered that there is nothing more."""
        await c.command()
        await c.add(Row(1))
        c.connect("new", click=1)
        c.seen()
        await c.take("new")
        assert c.seen() == ["attempts {1: 1}", "new: 1 done", "new: click 1, attempt 1, request 0"]
        await c.claim("new", 1)
        assert c.seen() == ["new: 9 failed: TimedOut"]

    async def test_where_another_session_comes_the_process_is_not_needed(self, c: Clicking) -> None:
        """Such as one that the user has started, or that comes back to a new agent."""
        await c.command()
        await c.add(Row(1))
        c.seen()
        await c.take("s")
        assert c.seen() == [
            "attempts {1: 1}",
            "s: 1 done",
            "s: click 1, attempt 1, request 0",
            "stop the launch of mail for 1, attempt 1",
        ]

    async def test_one_that_cannot_be_started_is_said_and_the_next_has_its_turn(
        self, c: Clicking, caplog: pytest.LogCaptureFixture
    ) -> None:
        """With the reason, once."""
        await c.command()
        await c.add(Row(1), Row(2))
        c.seen()
        await c.fail_launch(1)
        assert c.seen() == ["dropped [1]", "launch b'c' of mail for 2, attempt 1"]
        assert [each.message for each in caplog.records if each.levelno == logging.WARNING] == [
            "a click on a toast of mail has come to nothing: no such file"
        ]

    async def test_one_that_is_killed_on_its_way_is_started_again(
        self, c: Clicking, caplog: pytest.LogCaptureFixture
    ) -> None:
        """At once, and as the same attempt, for the app has seen nothing of it; the third death is one too many."""
        await c.command()
        await c.add(Row(1), Row(2))
        c.seen()
        for _ in range(2):
            await c.fail_launch(1, was_killed=True)
            assert c.seen() == ["launch b'c' of mail for 1, attempt 1"]
        await c.fail_launch(1, was_killed=True)
        often = "3 processes that had it, or were started for it, have ended without a word"
        assert c.seen() == ["dropped [1]", "launch b'c' of mail for 2, attempt 1"]
        assert [each.message for each in caplog.records if each.levelno == logging.WARNING] == [
            f"a click on a toast of mail has come to nothing: {often}"
        ]

    async def test_one_that_does_not_come_for_it_in_time_is_stopped(
        self, c: Clicking, caplog: pytest.LogCaptureFixture
    ) -> None:
        """After 30 seconds; what it says later counts for nothing."""
        await c.command()
        await c.add(Row(1))
        c.seen()
        await c.wait(LAUNCH_BUDGET - 1)
        assert c.seen() == []
        await c.wait(1)
        assert c.seen() == ["dropped [1]", "stop the launch of mail for 1, attempt 1"]
        assert "has not asked for it within 30 s" in caplog.text
        await c.claim("s", 1)
        await c.fail_launch(1)
        assert c.seen() == ["s: 9 failed: TimedOut"]

    @pytest.mark.parametrize(("number", "attempt", "app"), [(2, 1, "mail"), (1, 2, "mail"), (1, 1, "chat")])
    async def test_what_is_said_of_another_launch_does_not_count(
        self, c: Clicking, number: int, attempt: int, app: str
    ) -> None:
        """Of another click, another attempt, another app."""
        await c.command()
        await c.add(Row(1))
        c.seen()
        await c.claim("s", number, attempt, app)
        await c.fail_launch(number, attempt, app)
        assert c.seen() == ["s: 9 failed: TimedOut"]

    async def test_without_a_launcher_clicks_wait(self) -> None:
        """A command counts for nothing, and is not stored."""
        c = Clicking(launches=False)
        await c.command()
        await c.add(Row(1))
        await c.wait(60)
        assert c.seen() == []
        assert c.kept.commands == {}

    async def test_only_so_many_wait(self, c: Clicking, caplog: pytest.LogCaptureFixture) -> None:
        """The oldest goes first, with a word."""
        await c.add(*(Row(number) for number in range(1, MAX_WAITING + 2)))
        assert c.seen() == ["dropped [1]"]
        assert "too many clicks wait" in caplog.text


class TestLinks:
    """Clicks that are links."""

    LINK = Row(1, kind=PROTOCOL, argument="https://contoso.example/")

    async def test_the_desktop_opens_them(self, c: Clicking, caplog: pytest.LogCaptureFixture) -> None:
        """Whether or not the app runs; one that cannot be opened is said."""
        await c.take("s", command=b"c")
        c.seen()
        await c.add(self.LINK, Row(2, kind=PROTOCOL, argument="mailto:a@b.example"))
        assert c.seen() == [
            "attempts {1: 1, 2: 1}",
            "open 1 https://contoso.example/ b'c'",
            "open 2 mailto:a@b.example b'c'",
        ]
        c.activations.opened(m.ActivationDone(1, 1, ""))
        c.activations.opened(m.ActivationDone(2, 1, "nothing opens mail here"))
        c.activations.opened(m.ActivationDone(3, 1, ""))
        await c.flush()
        assert c.seen() == ["dropped [1, 2]"]
        assert "has come to nothing: nothing opens mail here" in caplog.text

    async def test_a_session_cannot_say_that_one_was_opened(self, c: Clicking) -> None:
        """As little as the opener ends what a session has."""
        await c.take("s")
        await c.add(Row(2))
        c.activations.opened(m.ActivationDone(2, 1, ""))
        await c.flush()
        assert c.kept.rows == {2: 1}

    async def test_without_a_desktop_they_activate_the_app(self) -> None:
        """It may know what to do with them."""
        c = Clicking(opens=False)
        c.connect("s")
        await c.take("s")
        await c.add(self.LINK)
        assert c.seen()[-1] == "s: click 1, attempt 1, request 0"


class TestEnd:
    """The end of an app, and of the platform."""

    async def test_of_an_app_that_is_removed_nothing_is_left(self, c: Clicking) -> None:
        """Neither its clicks nor its command, and what is being started for it is stopped."""
        await c.command()
        await c.add(Row(1), Row(2))
        c.activations.forget("mail")
        c.activations.forget("unknown")
        await c.flush()
        assert c.seen()[-1] == "stop the launch of mail for 1, attempt 1"
        assert (c.kept.rows, c.kept.commands["mail"]) == ({}, b"")
        await c.add(Row(3))
        assert c.seen() == []

    async def test_nothing_is_handed_out_or_started_once_the_platform_stops(self, c: Clicking) -> None:
        """What sessions have that end then waits in the store for the next agent."""
        await c.take("s", command=b"c")
        await c.add(Row(1), Row(2))
        await c.done(2)
        c.seen()
        c.activations.quiesce()
        await c.end("s")
        await c.wait(WAIT)
        assert c.seen() == []
        assert c.kept.rows == {1: 1}


async def story() -> list[str]:
    """Let clicks come to each of their ends, and return all that was seen of it."""
    c = Clicking()
    warnings: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: warnings.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("tocsin.actors.activations")
    logger.addHandler(handler)
    try:
        await c.command()
        await c.add(TestLinks.LINK, Row(2), Row(3), Row(4), Row(5))
        c.activations.opened(m.ActivationDone(1, 1, ""))
        c.connect("new", click=2)
        await c.claim("new", 2)
        await c.done(2)
        await c.end("new")
        await c.wait(LAUNCH_BUDGET)
        await c.fail_launch(4)
        c.connect("s")
        await c.take("s")
        await c.done(5)
    finally:
        logger.removeHandler(handler)
    return c.seen() + warnings


@pytest.mark.parametrize("effect", Effect)
async def test_the_driver_does_nothing_that_its_table_does_not_name(
    monkeypatch: pytest.MonkeyPatch, effect: Effect
) -> None:
    """Without any one of its effects the table makes another driver, and that is seen."""
    right = await story()
    erase(monkeypatch, TABLE, effect)
    try:
        seen = await story()
    except IllegalEvent:  # what was not done is missed later
        seen = []
    assert seen != right
