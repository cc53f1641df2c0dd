"""The calls of a desktop, in real time: pictures are looked at in threads."""

from __future__ import annotations

import threading

import anyio

from tests.actors.shelling import PlayedDesktop
from tocsin.actors.desktop_calls import CallEnd, DesktopCalls
from tocsin.protocol.toasts.popup import Handle, Popup
from tocsin.shell.desktop import Closed, ClosedBy, DaemonChanged, DesktopEvent


async def test_the_policy_is_asked_for_the_picture_in_a_thread() -> None:
    """What it does not allow is left out, and the toast is shown."""
    asked: list[str] = []

    def policy(source: str) -> str:
        assert threading.current_thread() is not threading.main_thread()
        asked.append(source)
        return "" if source.startswith("http:") else f"/safe/{source}"

    desktop, stirred = PlayedDesktop(), anyio.Event()
    calls = DesktopCalls(desktop, stirred.set, policy)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(calls.run)
            ends: list[CallEnd | DesktopEvent] = []
            for toast, image in enumerate(("a.png", "http://127.0.0.1:1/a.png", "")):
                calls.show(toast, Popup("mail", "t", "b", image=image), None)
                while not (found := calls.take()):  # noqa: ASYNC110  # a thread is waited for
                    await anyio.sleep(0.001)
                ends += found
            tasks.cancel_scope.cancel()
    assert [end.handle for end in ends if isinstance(end, CallEnd)] == [Handle("d1", number) for number in (1, 2, 3)]
    assert [popup.image for popup, _ in desktop.asked] == ["/safe/a.png", "", ""]
    assert asked == ["a.png", "http://127.0.0.1:1/a.png"]


async def test_what_happens_is_told_in_its_order() -> None:
    """A popup of the next daemon comes behind the word that the first has gone, which would take it along."""
    desktop, stirred = PlayedDesktop(), anyio.Event()
    calls = DesktopCalls(desktop, stirred.set)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(calls.run)
            desktop.change("d2")
            await anyio.wait_all_tasks_blocked()
            calls.show(1, Popup("mail", "t", "b"), None)
            await anyio.wait_all_tasks_blocked()
            desktop.say(Closed(Handle("d2", 1), ClosedBy.USER))
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    handle = Handle("d2", 1)
    assert calls.take() == [DaemonChanged("d2"), CallEnd(1, handle, None), Closed(handle, ClosedBy.USER)]
    assert calls.take() == []


async def test_a_popup_that_no_shell_has_taken_is_closed_for_the_next() -> None:
    """The shell that asked for it has failed with the answer in its hands; what the desktop said stays."""
    desktop, stirred = PlayedDesktop(), anyio.Event()
    calls = DesktopCalls(desktop, stirred.set)
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(calls.run)
            calls.show(1, Popup("mail", "t", "b"), None)
            await anyio.wait_all_tasks_blocked()
            calls.begin_anew()
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
    assert (desktop.closed, desktop.popups) == ([1], {})
    assert calls.take() == [Closed(Handle("d1", 1), ClosedBy.CALLER)]
