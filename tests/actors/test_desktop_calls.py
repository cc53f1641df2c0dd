"""The calls of a desktop, in real time: pictures are looked at in threads."""

from __future__ import annotations

import threading

import anyio

from tests.actors.shelling import PlayedDesktop
from tocsin.actors.desktop_calls import CallEnd, DesktopCalls
from tocsin.protocol.toasts.popup import Handle, Popup


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
            ends: list[CallEnd] = []
            for toast, image in enumerate(("a.png", "http://127.0.0.1:1/a.png", "")):
                calls.show(toast, Popup("mail", "t", "b", image=image), None)
                while not (found := calls.take_ends()):  # noqa: ASYNC110  # a thread is waited for
                    await anyio.sleep(0.001)
                ends += found
            tasks.cancel_scope.cancel()
    assert [end.handle for end in ends] == [Handle("d1", number) for number in (1, 2, 3)]
    assert [popup.image for popup, _ in desktop.asked] == ["/safe/a.png", "", ""]
    assert asked == ["a.png", "http://127.0.0.1:1/a.png"]
