"""Clicks on toasts, as the app has them: a handler, or the reason why its process was started."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
import trio.testing
from anyio import wait_all_tasks_blocked
from attrs import Factory, define, evolve

from tocsin.api import session as session_module
from tocsin.api.activated import LAUNCHED, ExtendedActivationKind, LaunchedFor, get_activated_event_args
from tocsin.api.session import Session
from tocsin.api.session_lifetime import open_session
from tocsin.api.toast_activated import CLICK_TIMEOUT, REMEMBERED, ToastNotificationActivatedEventArgs
from tocsin.mailbox import Mailbox
from tocsin.platform_status import PlatformStatus, StandingRecord
from tocsin.protocol import messages as m
from tocsin.protocol.errors import IllegalCall, InvalidArgument, NotSupported, TimedOut
from tocsin.protocol.hresult import HResult
from tocsin.protocol.kernel.scoped import scoped
from tocsin.protocol.platform.launches import CLAIM_ARGUMENTS, LaunchPurpose

FOREGROUND, PROTOCOL = m.ToastActivationType.FOREGROUND, m.ToastActivationType.PROTOCOL
Args = ToastNotificationActivatedEventArgs


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def click(
    number: int = 1, request: int = 0, attempt: int = 1, kind: m.ToastActivationType = FOREGROUND
) -> m.ToastActivated:
    """Make a click as the shell sends it."""
    return m.ToastActivated(
        number, request, attempt, 7, "t", "g", kind, f"a{number}", (m.TextPair("reply", "hi"), m.TextPair("to", "b"))
    )


@define
class FakeShell:
    """The port of an app whose platform is a shell that the test plays: it agrees to all, and hands out no click by itself."""

    name: str = "mail"
    max_subscriptions: int | None = None
    down: Mailbox = Factory(lambda: Mailbox("mail"))
    heard: list[m.Message] = Factory(list)
    agrees: bool = True
    claimed: m.ToastActivated | None = None
    """What a claim is answered with; its request is that of the claim."""

    async def receive(self) -> list[bytes]:
        """Wait for what the app is told."""
        return await self.down.batch()

    async def send(self, message: m.Message) -> None:
        """Take a question, and answer it."""
        self.heard.append(message)
        match message:
            case m.TakeActivations(request=request) if self.agrees:
                self.tell(m.Done(request))
            case m.TakeActivations(request=request):
                self.tell(m.Failed(request, "NotSupported", "no toasts here", HResult.ERROR_NOT_SUPPORTED))
            case m.ClaimPayload(request=request) if self.claimed is not None:
                self.tell(click(self.claimed.number, request, self.claimed.attempt, self.claimed.kind))

    def send_nowait(self, message: m.Message) -> None:
        """Take a message."""
        self.heard.append(message)

    def send_urgent(self, message: m.Message) -> None:
        """Take what is owed."""
        self.heard.append(message)

    def tell(self, *messages: m.Message) -> None:
        """Tell the app."""
        for message in messages:
            self.down.send_urgent(message)

    def ends(self) -> list[m.ActivationDone]:
        """Return the ends of clicks that it has heard of, and forget them."""
        found = [each for each in self.heard if isinstance(each, m.ActivationDone)]
        self.heard = [each for each in self.heard if not isinstance(each, m.ActivationDone)]
        return found

    def follow(self, take: Callable[[list[bytes]], None] | None) -> None:
        """Leave it to :meth:`receive`."""

    def at_once(self, say: Callable[[], None]) -> None:
        """Call what sends messages."""
        say()

    def status(self) -> PlatformStatus:
        """Return that of a platform of which nothing is known."""
        return StandingRecord().status(())

    def close(self) -> None:
        """Tell nothing more."""
        self.down.close()


@asynccontextmanager
async def app(shell: FakeShell, claim: str | None = None) -> AsyncIterator[Session]:
    """Open the session of an app."""
    with shell.down:
        async with open_session(shell, click=claim) as session:
            with scoped(LAUNCHED, LaunchedFor(clicks=session.toast_clicks if claim else None)):
                yield session


class TestHandler:
    """A handler that is registered."""

    async def test_it_gets_what_was_clicked(self) -> None:
        """With what its user has typed; the click is done when it has ended."""
        shell, found = FakeShell(), list[Args]()
        async with app(shell) as session:
            await session.toast_clicks.register(found.append, b"c")
            assert shell.heard == [m.TakeActivations(1, b"c")]
            shell.tell(click())
            await wait_all_tasks_blocked()
            assert shell.ends() == [m.ActivationDone(1, 1, "")]
        (args,) = found
        assert (args.argument, dict(args.user_input)) == ("a1", {"reply": "hi", "to": "b"})
        assert (args.activation_type, args.tag, args.group, args.id, args.attempt) == (FOREGROUND, "t", "g", 7, 1)
        assert "hi" not in repr(args)

    async def test_its_arguments_are_read_when_they_are_asked_for(self) -> None:
        """As the builder has written them; what is none of that is a name without a value."""
        shell, found = FakeShell(), list[Args]()
        async with app(shell) as session:
            await session.toast_clicks.register(found.append)
            shell.tell(evolve(click(1), argument="action=view%3B;id=5"), click(2))
            await wait_all_tasks_blocked()
        written, plain = sorted(found, key=lambda args: args.argument, reverse=True)
        assert (written.arguments.get_text("action"), written.arguments.get_int("id")) == ("view;", 5)
        assert dict(plain.arguments) == {"a2": None}

    async def test_an_async_one_has_as_long_as_it_likes_and_keeps_no_other_click_waiting(self) -> None:
        """There is no budget."""
        shell, begun, go_on = FakeShell(), list[int](), anyio.Event()

        async def handler(args: Args) -> None:
            begun.append(args.id)
            await go_on.wait()

        async with app(shell) as session:
            await session.toast_clicks.register(handler)
            shell.tell(click(1), click(2))
            await anyio.sleep(3600)
            assert (len(begun), shell.ends()) == (2, [])
            go_on.set()
            await wait_all_tasks_blocked()
            assert len(shell.ends()) == 2

    @pytest.mark.parametrize("is_async", [False, True])
    async def test_what_it_raises_is_said_and_ends_nothing_else(
        self, is_async: bool, caplog: pytest.LogCaptureFixture
    ) -> None:
        """In the log once, and to the platform."""

        def fails(_: Args) -> None:
            raise ValueError("no such mail")

        async def fails_later(args: Args) -> None:
            await anyio.sleep(1)
            fails(args)

        shell = FakeShell()
        async with app(shell) as session:
            await session.toast_clicks.register(fails_later if is_async else fails)
            shell.tell(click(1), click(2))
            await anyio.sleep(2)
            assert {each.failure for each in shell.ends()} == {"ValueError: no such mail"}
        assert sum("a handler of clicks on toasts failed" in each.message for each in caplog.records) == 2

    async def test_it_gets_what_came_while_there_was_none(self) -> None:
        """And the next one gets the next; one that cannot be registered leaves the one before."""
        shell, first, second = FakeShell(), list[Args](), list[Args]()
        async with app(shell) as session:
            await session.toast_clicks.register(first.append)
            session.toast_clicks.unregister()
            session.toast_clicks.unregister()
            assert shell.heard.count(m.LeaveActivations()) == 1
            shell.tell(click(1))
            await wait_all_tasks_blocked()
            assert (first, shell.ends()) == ([], [])
            await session.toast_clicks.register(second.append)
            await wait_all_tasks_blocked()
            shell.agrees = False
            with pytest.raises(NotSupported, match="no toasts here"):
                await session.toast_clicks.register(first.append)
            with pytest.raises(InvalidArgument):
                await session.toast_clicks.register("no handler")  # type: ignore[arg-type]
            shell.tell(click(2))
            await wait_all_tasks_blocked()
        assert (len(first), len(second)) == (0, 2)

    async def test_a_click_that_is_known_is_not_handled_again(self) -> None:
        """One that is over is said to be; one that runs is said to be over in its newest attempt."""
        shell, found, go_on = FakeShell(), list[Args](), anyio.Event()

        async def handler(args: Args) -> None:
            found.append(args)
            await go_on.wait()

        async with app(shell) as session:
            await session.toast_clicks.register(handler)
            shell.tell(click(1))
            await wait_all_tasks_blocked()
            shell.tell(click(1, attempt=2))
            await wait_all_tasks_blocked()
            go_on.set()
            await wait_all_tasks_blocked()
            assert shell.ends() == [m.ActivationDone(1, 2, "")]
            shell.tell(click(1, attempt=3))
            await wait_all_tasks_blocked()
            assert shell.ends() == [m.ActivationDone(1, 3, "")]
        assert len(found) == 1

    async def test_only_so_many_are_known_again(self) -> None:
        """The newest."""
        shell, found = FakeShell(), list[Args]()
        async with app(shell) as session:
            await session.toast_clicks.register(found.append)
            shell.tell(click(0))
            await wait_all_tasks_blocked()
            shell.tell(*(click(number) for number in range(1, REMEMBERED + 1)))
            await wait_all_tasks_blocked()
            shell.tell(click(REMEMBERED), click(1))
            await wait_all_tasks_blocked()
            assert len(found) == REMEMBERED + 1
            shell.tell(click(0))
            await wait_all_tasks_blocked()
            assert len(session.toast_clicks._clicks) == REMEMBERED
        assert found[-1].argument == "a0"

    @pytest.mark.parametrize("news", [m.ActorRestarted("shell"), m.SessionRestored()])
    async def test_a_shell_that_begins_anew_is_told_again(self, news: m.Message) -> None:
        """As another agent is; where there is no handler, nothing."""
        shell = FakeShell()
        async with app(shell) as session:
            shell.tell(news)
            await wait_all_tasks_blocked()
            assert not [each for each in shell.heard if isinstance(each, m.TakeActivations)]
            await session.toast_clicks.register(print, b"c")
            shell.tell(news, m.ActorRestarted("supervisor"))
            await wait_all_tasks_blocked()
            told = [each.command for each in shell.heard if isinstance(each, m.TakeActivations)]
            assert told == [b"c", b"c"]
            # Another agent hears when it has been told all.
            assert isinstance(shell.heard[-1], m.Resumed) == isinstance(news, m.SessionRestored)


class TestLeaving:
    """The end of the session."""

    async def test_what_a_handler_has_begun_with_is_done(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is cut off after a moment; no other process is started because the app was left."""
        monkeypatch.setattr(session_module, "CLOSE_GRACE", 0.5)
        shell, cut_off = FakeShell(), list[int]()

        async def handler(args: Args) -> None:
            try:
                await anyio.sleep(3600 if args.argument == "a1" else 0.2)
            except anyio.get_cancelled_exc_class():
                cut_off.append(args.id)
                raise

        async with app(shell) as session:
            await session.toast_clicks.register(handler)
            shell.tell(click(1), click(2))
            await wait_all_tasks_blocked()
        assert shell.ends() == [
            m.ActivationDone(2, 1, ""),
            m.ActivationDone(1, 1, "the app has left while its handler was running"),
        ]
        assert len(cut_off) == 1

    async def test_of_what_no_handler_has_nothing_is_said(self) -> None:
        """It is handed out again."""
        shell = FakeShell()
        async with app(shell):
            shell.tell(click(1))
            await wait_all_tasks_blocked()
        assert shell.ends() == []


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> str:
    """Let this process be one that a click has launched."""
    monkeypatch.setattr(sys, "argv", ["app", CLAIM_ARGUMENTS[LaunchPurpose.TOAST] + "secret"])
    return "secret"


class TestLaunched:
    """A process that was started for a click."""

    async def test_the_program_gets_it_each_time_and_is_done_with_it(self, launched: str) -> None:
        """It is claimed once, and done with the first answer; a handler that comes later does not get it."""
        shell, found = FakeShell(claimed=click(3, attempt=2)), list[Args]()
        async with app(shell, launched) as session:
            first = await get_activated_event_args()
            assert shell.ends() == [m.ActivationDone(3, 2, "")]
            await session.toast_clicks.register(found.append)
            second = await get_activated_event_args()
            assert (first.kind, first.data) == (second.kind, second.data)
            assert first.kind is ExtendedActivationKind.TOAST_NOTIFICATION
            assert isinstance(first.data, ToastNotificationActivatedEventArgs)
            assert (first.data.argument, first.data.attempt) == ("a3", 2)
            shell.tell(click(4))
            await wait_all_tasks_blocked()
            assert [each.argument for each in found] == ["a4"]
        assert sum(isinstance(each, m.ClaimPayload) for each in shell.heard) == 1

    async def test_two_that_ask_at_once_get_the_same(self, launched: str) -> None:
        """One claim is made."""
        shell, found = FakeShell(claimed=click(3)), list[object]()

        async def ask() -> None:
            found.append((await get_activated_event_args()).data)

        async with app(shell, launched), anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            tasks.start_soon(ask)
        assert found[0] == found[1]
        assert len(shell.ends()) == 1

    async def test_a_link_is_an_activation_by_protocol(self, launched: str) -> None:
        """It comes with the claim, and not on a command line."""
        async with app(FakeShell(claimed=click(3, kind=PROTOCOL)), launched):
            args = await get_activated_event_args()
        assert (args.kind, args.data) == (ExtendedActivationKind.PROTOCOL, ("a3",))

    async def test_a_handler_gets_it_where_the_program_does_not_ask(self, launched: str) -> None:
        """The program may still see it, and then it is the handler that is done with it."""
        shell, found, go_on = FakeShell(), list[Args](), anyio.Event()

        async def handler(args: Args) -> None:
            found.append(args)
            await go_on.wait()

        async with app(shell, launched) as session:
            await session.toast_clicks.register(handler)
            shell.tell(click(3))
            await wait_all_tasks_blocked()
            assert (await get_activated_event_args()).data == found[0]
            assert shell.ends() == []
            go_on.set()
            await wait_all_tasks_blocked()
            assert shell.ends() == [m.ActivationDone(3, 1, "")]

    async def test_a_handler_has_it_while_the_claim_is_on_its_way(self, launched: str) -> None:
        """Both crossed: the program sees what waits for it, and does not fail over its claim."""
        shell, found = FakeShell(), list[Args]()
        async with app(shell, launched) as session:
            await session.toast_clicks.register(found.append)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(get_activated_event_args)
                await wait_all_tasks_blocked()
                (claim,) = [each for each in shell.heard if isinstance(each, m.ClaimPayload)]
                refused = m.Failed(claim.request, "TimedOut", "another has it", HResult.ERROR_TIMEOUT)
                shell.tell(click(3), refused)
            assert shell.ends() == [m.ActivationDone(3, 1, "")]
        assert found == []

    async def test_one_that_does_not_come_in_time_is_said(self, launched: str) -> None:
        """After two seconds; one that comes later is there for the next question."""
        shell = FakeShell()
        async with app(shell, launched):
            before = anyio.current_time()
            with pytest.raises(TimedOut, match="no click came within 2 s"):
                await get_activated_event_args()
            assert anyio.current_time() - before == pytest.approx(CLICK_TIMEOUT)
            shell.tell(click(3, request=1))
            await wait_all_tasks_blocked()
            assert shell.ends() == []
            assert (await get_activated_event_args()).kind is ExtendedActivationKind.TOAST_NOTIFICATION
            assert shell.ends() == [m.ActivationDone(3, 1, "")]

    async def test_one_that_another_process_has_is_said_in_the_words_of_the_platform(self, launched: str) -> None:
        """At once."""
        shell = FakeShell()
        async with app(shell, launched), anyio.create_task_group() as tasks:

            async def ask() -> None:
                with pytest.raises(TimedOut, match="another has it"):
                    await get_activated_event_args()

            tasks.start_soon(ask)
            await wait_all_tasks_blocked()
            (claim,) = [each for each in shell.heard if isinstance(each, m.ClaimPayload)]
            shell.tell(m.Failed(claim.request, "TimedOut", "another has it", HResult.ERROR_TIMEOUT))

    async def test_outside_of_a_block_it_is_said_what_is_missing(self, launched: str) -> None:
        """The click comes through the session."""
        assert launched
        with pytest.raises(IllegalCall, match=r"a click on a toast has launched this process: enter tocsin.connect"):
            await get_activated_event_args()

    async def test_no_claim_is_logged(self, launched: str, caplog: pytest.LogCaptureFixture) -> None:
        """Nor what was clicked."""
        caplog.set_level(logging.DEBUG)
        async with app(FakeShell(claimed=click(3)), launched):
            await get_activated_event_args()
        assert [each for each in caplog.records if each.name.startswith("tocsin")] == []
