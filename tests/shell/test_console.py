"""A desktop in a terminal: what it prints, and what typed lines do."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
import trio.testing
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream
from attrs import evolve, field, frozen

from tocsin.protocol.toasts.popup import DEFAULT_KEY, Handle, Popup, PopupButton, PopupInput
from tocsin.shell.console import HELP, MAX_OPEN, ConsoleDesktop
from tocsin.shell.desktop import Closed, ClosedBy, Desktop, DesktopAbsent, DesktopEvent, DesktopFull, Pressed

CHAT = Popup(
    "contoso.chat",
    "Ann",
    "Lunch?",
    buttons=(PopupButton("b1", "Reply"), PopupButton("b2", "Later")),
    inputs=(
        PopupInput("text", "Answer", "type it here", ""),
        PopupInput("when", "Remind in", "", "15", (("15", "15 minutes"), ("60", "1 hour"))),
    ),
)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Run on a clock that goes on by itself where everything waits."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@frozen
class Terminal:
    """A console that runs, what it has printed, and a keyboard."""

    desktop: ConsoleDesktop
    printed: list[str]
    keyboard: MemoryObjectSendStream[str]
    tasks: TaskGroup = field(repr=False)

    async def type(self, *lines: str) -> list[str]:
        """Type lines, and return what was printed for them."""
        before = len(self.printed)
        for line in lines:
            await self.keyboard.send(line)
        await anyio.wait_all_tasks_blocked()
        return self.printed[before:]


@asynccontextmanager
async def terminal(write: Callable[[str], None] | None = None) -> AsyncIterator[Terminal]:
    """Run a console of 40 columns until the block is left."""
    printed: list[str] = []
    keyboard, typed = anyio.create_memory_object_stream[str](math.inf)

    async def read_line() -> str | None:
        try:
            return await typed.receive()
        except anyio.EndOfStream:
            return None

    desktop = ConsoleDesktop(write or printed.append, read_line, width=lambda: 40)
    async with keyboard, typed, anyio.create_task_group() as tasks:
        tasks.start_soon(desktop.run)
        yield Terminal(desktop, printed, keyboard, tasks)
        tasks.cancel_scope.cancel()


async def pressed(desktop: Desktop) -> list[DesktopEvent]:
    """Return the events that are there."""
    with anyio.move_on_after(1):
        return await desktop.events()
    return []


async def test_a_toast_is_text_in_a_frame_with_numbers_for_what_can_be_used() -> None:
    """Inputs and buttons are counted through, with what is in them; the star is behind what is chosen."""
    async with terminal() as screen:
        await screen.desktop.show(evolve(CHAT, progress=0.4, urgent=True))
    assert screen.printed[0].splitlines() == [
        "+- contoso.chat ---------- urgent, #1 -+",
        "| Ann                                  |",
        "| Lunch?                               |",
        "| [########............] 40%           |",
        "| 1  Answer: (type it here)            |",
        "| 2  Remind in: 15 minutes*, 1 hour    |",
        "| 3  [Reply]                           |",
        "| 4  [Later]                           |",
        "| o  [Open]   d  dismiss               |",
        "+--------------------------------------+",
    ]


async def test_a_button_is_pressed_with_what_the_inputs_hold() -> None:
    """What was typed or chosen comes along, defaults too, and the toast has gone with it."""
    async with terminal() as screen:
        handle = await screen.desktop.show(CHAT)
        told = await screen.type("1 On my way ", "2 1 HOUR", "3")
        assert told == ["#1  Answer: On my way", "#1  Remind in: 15 minutes, 1 hour*"]
        inputs = (("text", "On my way"), ("when", "60"))
        assert await pressed(screen.desktop) == [Pressed(handle, "b1", inputs), Closed(handle, ClosedBy.USER)]
        assert await screen.type("3") == ["no toast is shown just now"]
        assert await pressed(screen.desktop) == []


@pytest.mark.parametrize("line", ["d", "0", "#1 d", "  d  "])
async def test_a_toast_is_dismissed(line: str) -> None:
    """By d or 0, and nothing was pressed."""
    async with terminal() as screen:
        handle = await screen.desktop.show(CHAT)
        await screen.type(line)
        assert await pressed(screen.desktop) == [Closed(handle, ClosedBy.USER)]


async def test_what_is_typed_is_for_the_newest_toast_or_for_the_one_that_is_named() -> None:
    """One that was changed is the newest, too."""
    async with terminal() as screen:
        first = await screen.desktop.show(CHAT)
        second = await screen.desktop.show(evolve(CHAT, inputs=()))
        await screen.type("#1 o", "1")
        assert await pressed(screen.desktop) == [
            Pressed(first, DEFAULT_KEY, (("text", ""), ("when", "15"))),
            Closed(first, ClosedBy.USER),
            Pressed(second, "b1", ()),
            Closed(second, ClosedBy.USER),
        ]
        third, _ = await screen.desktop.show(CHAT), await screen.desktop.show(CHAT)
        await screen.desktop.show(CHAT, third)
        await screen.type("d")
        assert await pressed(screen.desktop) == [Closed(third, ClosedBy.USER)]


async def test_a_replaced_toast_is_printed_anew_and_a_removed_one_leaves_a_line() -> None:
    """The replaced one keeps its number, says that it has changed, and has the buttons of the new one."""
    async with terminal() as screen:
        first = await screen.desktop.show(CHAT)
        second = await screen.desktop.show(evolve(CHAT, body="Now?", inputs=()), first)
        assert second == first
        assert screen.printed[1].startswith("+- contoso.chat --------- changed, #1 -+\n| Ann ")
        await screen.type("2")
        assert (await pressed(screen.desktop))[0] == Pressed(first, "b2", ())
        third = await screen.desktop.show(CHAT)
        await screen.desktop.close(third)
        await screen.desktop.close(third)
        assert screen.printed[3:] == ["#2  contoso.chat: Ann is taken down"]
        assert await screen.type("1 x") == ["no toast is shown just now"]


async def test_handles_of_another_terminal_mean_nothing() -> None:
    """Such a toast is shown as a new one, and closing it takes none down."""
    async with terminal() as screen, terminal() as other:
        handle = await screen.desktop.show(CHAT)
        foreign = await other.desktop.show(CHAT)
        assert foreign.number == handle.number
        await screen.desktop.close(foreign)
        assert (await screen.desktop.show(CHAT, foreign)).number == 2
        assert (await screen.desktop.show(CHAT, Handle(handle.daemon, 77))).number == 3
        assert len(screen.printed) == 3


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("9", HELP),
        ("hello", HELP),
        ("²", HELP),
        ("-1", HELP),
        ("#1", HELP),
        ("9" * 5000, HELP),
        ("#2 1", "there is no such toast"),
        ("3 text", "a button takes no text: give that to an input first, or type 3 only"),
        ("2 never", "no such choice; Remind in: 15 minutes*, 1 hour"),
    ],
)
async def test_what_means_nothing_is_answered(line: str, answer: str) -> None:
    """In a line that says what would be right, and the toast stays."""
    async with terminal() as screen:
        await screen.desktop.show(CHAT)
        assert await screen.type(line) == [answer]
        assert await screen.type("", "  ") == []
        assert await pressed(screen.desktop) == []


async def test_at_the_end_of_the_input_toasts_go_on_without_numbers() -> None:
    """It says so in its standing, and does not end by it."""
    async with terminal() as screen:
        assert screen.desktop.standing.actions
        await screen.keyboard.aclose()
        await anyio.wait_all_tasks_blocked()
        assert not screen.desktop.standing.actions
        await screen.desktop.show(CHAT)
        assert "| [Reply] " in screen.printed[0]
        assert "dismiss" not in screen.printed[0]


async def test_without_a_keyboard_nothing_is_read() -> None:
    """As where the output goes to a file: it runs until it is cancelled, and there are no buttons."""
    printed: list[str] = []
    desktop = ConsoleDesktop(printed.append)
    assert not desktop.standing.actions
    with anyio.move_on_after(1000) as running:
        await desktop.run()
    assert running.cancelled_caught
    await desktop.show(CHAT)
    assert "dismiss" not in printed[0]


async def test_a_terminal_has_no_more_toasts_than_can_be_pressed() -> None:
    """One more is refused, in the place of another it is not."""
    async with terminal() as screen:
        handles = [await screen.desktop.show(CHAT) for _ in range(MAX_OPEN)]
        with pytest.raises(DesktopFull, match=f"{MAX_OPEN} toasts"):
            await screen.desktop.show(CHAT)
        await screen.desktop.show(CHAT, handles[0])
        await screen.desktop.close(handles[1])
        await screen.desktop.show(CHAT)
        assert len(screen.printed) == MAX_OPEN + 3


async def test_a_terminal_that_has_gone_is_no_desktop() -> None:
    """The caller that shows is told; what was typed before is not read any more."""

    def fail(_: str) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    async with terminal(fail) as screen:
        with pytest.raises(DesktopAbsent, match="the terminal cannot be written: Broken pipe"):
            await screen.desktop.show(CHAT)
        await screen.type("1")
        assert not screen.desktop.standing.actions


async def test_several_wait_for_clicks_and_one_gets_them() -> None:
    """The others wait on."""
    async with terminal() as screen:
        handle = await screen.desktop.show(CHAT)
        got: list[DesktopEvent] = []

        async def wait() -> None:
            got.extend(await screen.desktop.events())

        for _ in range(2):
            screen.tasks.start_soon(wait)
        await screen.type("d")
        assert got == [Closed(handle, ClosedBy.USER)]
        again = await screen.desktop.show(CHAT)
        await screen.type("d")
        assert got[1:] == [Closed(again, ClosedBy.USER)]
