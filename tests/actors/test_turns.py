"""An actor's turns, wherever they take place: in its task, behind the turn of another, or by a callback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.actors.actor import Actor, Wait, receives
from tocsin.actors.actor_runner import ActorRunner, Kernel
from tocsin.mailbox import Mailbox
from tocsin.protocol.messages import AlarmRang, Done, Message, RetryDenied, RetryDue
from tocsin.tasks import Completion, is_in_callback


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run on either event loop."""
    name: str = request.param
    return name


class Clerk(Actor):
    """Writes what it was told into a journal, and passes it on: at once, or when what it waits for has come."""

    name = "clerk"

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk
        self._noted: list[tuple[int, str]] = []

    @receives(Done)
    def note(self, message: Done, _: bytes) -> None:
        """Take what is written at once."""
        self._noted.append((message.request, ""))

    @receives(RetryDue)
    def note_for_callback(self, message: RetryDue, _: bytes) -> None:
        """Take what waits for something that calls back."""
        self._noted.append((message.key, "callback"))

    @receives(RetryDenied)
    def note_for_task(self, message: RetryDenied, _: bytes) -> None:
        """Take what waits for something that is to be awaited."""
        self._noted.append((message.key, "task"))

    @receives(AlarmRang)
    def fail(self, _message: AlarmRang, _: bytes) -> None:
        """Fail."""
        raise OSError("planted")

    def flush(self) -> Iterator[Wait]:
        """Write, waiting first where that was asked for."""
        noted, self._noted = self._noted, []
        for number, how in noted:
            if how == "callback":
                yield self._desk.begin
            elif how == "task":
                yield self._desk.pause
            self._desk.write(number)


class Desk:
    """A clerk, what it waits for, and what it has written."""

    def __init__(self, name: str, kernel: Kernel, behind: Desk | None = None) -> None:
        self.mailbox = Mailbox(name)
        self.journal: list[int] = []
        self.by_callback: list[bool] = []
        self.begun: list[Completion] = []
        self.pauses = 0
        self._behind = behind
        self.runner = ActorRunner(self.mailbox, lambda _: Clerk(self), kernel, lambda _: None)

    def write(self, number: int) -> None:
        """Write a number, and pass it on."""
        self.journal.append(number)
        self.by_callback.append(is_in_callback())
        if self._behind is not None:
            self._behind.mailbox.send_urgent(Done(number))

    def begin(self) -> Completion:
        """Begin something."""
        self.begun.append(Completion())
        return self.begun[-1]

    async def pause(self) -> None:
        """Wait for a while."""
        self.pauses += 1
        await checkpoint()


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Kernel, Desk, Desk]]:
    """Run two clerks, of which the first tells the second all that it has written."""
    kernel = Kernel()
    second = Desk("second", kernel)
    first = Desk("first", kernel, second)
    with first.mailbox, second.mailbox:
        async with anyio.create_task_group() as tasks:
            for desk in (second, first):
                tasks.start_soon(desk.runner.run)
                await desk.runner.started.wait()
            await anyio.wait_all_tasks_blocked()
            yield kernel, first, second
            tasks.cancel_scope.cancel()


async def test_what_an_actor_tells_another_is_done_in_the_same_turn() -> None:
    """When the first has written it, the second has too: no other task had its turn between."""
    async with running() as (_, first, second):
        turns: list[tuple[int, int]] = []

        async def look() -> None:
            while not second.journal:
                turns.append((len(first.journal), len(second.journal)))
                await checkpoint()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(look)
            first.mailbox.send_nowait(Done(1))
        assert set(turns) <= {(0, 0)}  # trio may let the clerks go first
        assert (first.journal, second.journal) == ([1], [1])


async def test_a_turn_that_is_led_from_outside_is_done_when_that_returns() -> None:
    """So a connection takes payloads in the callback in which they come."""
    async with running() as (kernel, first, second):
        kernel.line.lead(lambda: first.mailbox.send_nowait(Done(1)))
        assert (first.journal, second.journal) == ([1], [1])


async def test_a_turn_goes_on_in_the_call_in_which_what_it_waits_for_comes() -> None:
    """What was sent meanwhile has the next turn."""
    async with running() as (kernel, first, second):
        kernel.line.lead(lambda: first.mailbox.send_nowait(RetryDue(1)))
        first.mailbox.send_nowait(Done(2))
        await anyio.wait_all_tasks_blocked()
        assert first.journal == []
        assert first.runner.progress().has_work
        first.begun[0].complete()
        assert (first.journal, second.journal) == ([1], [1])
        await anyio.wait_all_tasks_blocked()
        assert (first.journal, second.journal) == ([1, 2], [1, 2])
        assert not first.runner.progress().has_work


async def test_what_has_come_already_is_not_waited_for() -> None:
    """The turn goes on at once, wherever it takes place."""
    async with running() as (kernel, first, second):
        begin = first.begin

        def begin_what_is_over() -> Completion:
            over = begin()
            over.complete()
            return over

        first.begin = begin_what_is_over  # type: ignore[method-assign]
        kernel.line.lead(lambda: first.mailbox.send_nowait(RetryDue(1)))
        assert second.journal == [1]
        first.mailbox.send_nowait(RetryDue(2))
        await anyio.wait_all_tasks_blocked()
        assert second.journal == [1, 2]


async def test_what_has_to_be_awaited_is_left_to_the_task() -> None:
    """Also where the turn was begun elsewhere; nothing of it is begun before."""
    async with running() as (kernel, first, second):
        kernel.line.lead(lambda: first.mailbox.send_nowait(RetryDenied(1)))
        assert (first.pauses, first.journal) == (0, [])
        await anyio.wait_all_tasks_blocked()
        assert (first.pauses, first.journal, second.journal) == (1, [1], [1])


@pytest.mark.parametrize("fails_in", ["the line", "what it waits for"])
async def test_a_failure_elsewhere_is_one_of_the_actor(fails_in: str) -> None:
    """It begins anew, the message that was to blame dies, and who had led the turn hears of nothing."""
    async with running() as (kernel, first, second):
        if fails_in == "the line":
            kernel.line.lead(lambda: first.mailbox.send_nowait(AlarmRang()))
        else:
            kernel.line.lead(lambda: first.mailbox.send_nowait(RetryDue(1)))
            first.begun[0].complete(OSError("planted"))
        await anyio.wait_all_tasks_blocked()
        assert first.runner.restarts == 1
        assert len(list(kernel.dead_letters)) == 1
        first.mailbox.send_nowait(Done(2))
        await anyio.wait_all_tasks_blocked()
        assert second.journal == [2]


async def test_what_an_actor_waits_for_is_withdrawn_with_it() -> None:
    """A write that has not had its turn is not made for an actor that was cancelled; the word of it changes nothing any more."""
    async with running() as (kernel, first, _):
        kernel.line.lead(lambda: first.mailbox.send_nowait(RetryDue(1)))
    assert first.begun[0].is_over
    first.begun[0].complete()
    assert first.journal == []


async def test_an_actor_whose_mailbox_is_closed_ends_behind_the_turn_that_goes_on() -> None:
    """It is read to its end first."""
    async with running() as (kernel, first, second):
        kernel.line.lead(lambda: first.mailbox.send_nowait(RetryDue(1)))
        first.mailbox.send_nowait(Done(2))
        first.mailbox.close()
        await anyio.wait_all_tasks_blocked()
        assert not first.runner.stopped.is_set()
        first.begun[0].complete()
        await first.runner.stopped.wait()
        assert second.journal == [1, 2]


MESSAGES: dict[str, Callable[[int], Message]] = {"done": Done, "callback": RetryDue, "task": RetryDenied}
ACTS = st.lists(st.sampled_from([*MESSAGES, *(f"led {kind}" for kind in MESSAGES), "complete", "turn"]), max_size=40)


async def _act(acts: list[str]) -> None:
    """Send numbered messages, from within a turn or not, and let time go on between them; all are written once, in order."""
    async with running() as (kernel, first, second):
        sent: list[int] = []
        for act in acts:
            led, _, kind = act.rpartition(" ")
            if act == "turn":
                await asyncio.sleep(0)
            elif act == "complete":
                for each in first.begun:
                    each.complete()
            else:
                sent.append(len(sent))
                message = MESSAGES[kind](sent[-1])
                if led:
                    kernel.line.lead(lambda message=message: first.mailbox.send_nowait(message))  # type: ignore[misc]
                else:
                    first.mailbox.send_nowait(message)
        while len(second.journal) < len(sent):
            for each in first.begun:
                each.complete()
            await asyncio.sleep(0)
        assert first.journal == second.journal == sent
        assert first.runner.restarts == second.runner.restarts == 0
        await anyio.wait_all_tasks_blocked()
        assert not first.runner.progress().has_work
        assert not first.mailbox.depth + second.mailbox.depth


@given(ACTS)
@settings(deadline=None)
def test_wherever_turns_take_place_each_message_is_taken_once_and_in_order(acts: list[str]) -> None:
    """Whatever comes while a turn goes on in the task, in the line, or waits for a callback."""
    anyio.run(_act, acts)
