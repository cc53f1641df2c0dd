"""The calls of a desktop: the shell orders them and goes on, and is stirred when one has ended or the desktop says something."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

import anyio
import anyio.to_thread
from attrs import evolve, frozen

from tocsin.protocol.text import MAX_DETAIL, harmless
from tocsin.protocol.toasts.popup import Handle, Popup
from tocsin.protocol.toasts.render_popup import no_picture
from tocsin.shell.desktop import Desktop, DesktopError, DesktopEvent, DesktopRefused, DesktopStanding
from tocsin.tasks import Signal, task_group

AT_ONCE = 32
"""Calls that are under way at a time."""

logger = logging.getLogger(__name__)


@frozen
class CallEnd:
    """The end of a call for a toast: the handle of its popup, or why there is none."""

    toast: int
    handle: Handle | None
    failure: DesktopError | None


@frozen
class _Order:
    """A popup that is to be shown, or one that is to be taken down."""

    shell: int
    toast: int
    popup: Popup | None
    handle: Handle | None


class DesktopCalls:
    """Performs the calls in tasks of its own.

    :param stir: called when there is something to take; it must not wait.
    :param picture: returns the path of a picture that may be shown, of its source, or the empty text; called in a thread.
    """

    def __init__(self, desktop: Desktop, stir: Callable[[], None], picture: Callable[[str], str] = no_picture) -> None:
        self._desktop = desktop
        self._picture = picture
        self._stir = stir
        self._orders: deque[_Order] = deque()
        self._ordered = Signal()
        self._places = anyio.Semaphore(AT_ONCE)
        self._happened: list[CallEnd | DesktopEvent] = []
        self._shell = 0

    @property
    def standing(self) -> DesktopStanding:
        """What is known of the desktop."""
        return self._desktop.standing

    def begin_anew(self) -> None:
        """Note that another shell is there: what an earlier one has ordered is taken down when it comes."""
        self._shell += 1
        self._orders = deque(order for order in self._orders if order.popup is None)
        happened, self._happened = self._happened, []
        for each in happened:
            if not isinstance(each, CallEnd):
                self._happened.append(each)
            elif each.handle is not None:
                self.close(each.handle)

    def show(self, toast: int, popup: Popup, replaces: Handle | None) -> None:
        """Order a popup for a toast, in the place of another where that is given; its end comes by :meth:`take`."""
        self._order(_Order(self._shell, toast, popup, replaces))

    def close(self, handle: Handle) -> None:
        """Have a popup taken down."""
        self._order(_Order(self._shell, 0, None, handle))

    def take(self) -> list[CallEnd | DesktopEvent]:
        """Return the calls for popups that have ended since the last time, and what the desktop has said, in their order."""
        happened, self._happened = self._happened, []
        return happened

    async def run(self) -> None:
        """Perform what is ordered, until cancelled."""
        async with task_group() as tasks:
            tasks.start_soon(self._desktop.run, name="desktop")
            tasks.start_soon(self._listen, name="events of the desktop")
            while True:
                await self._ordered.wait()
                while self._orders:
                    await self._places.acquire()
                    tasks.start_soon(self._perform, self._orders.popleft(), name="call of the desktop")

    def _order(self, order: _Order) -> None:
        self._orders.append(order)
        self._ordered.set()

    async def _listen(self) -> None:
        while True:
            events = await self._desktop.events()  # in a statement of its own: the list is another one by now
            self._happened += events
            self._stir()

    async def _perform(self, order: _Order) -> None:
        try:
            if order.popup is None:
                assert order.handle is not None  # noqa: S101  # see close
                await self._close(order.handle)
            else:
                await self._show(order, order.popup)
        finally:
            self._places.release()

    async def _show(self, order: _Order, popup: Popup) -> None:
        handle, failure = None, None
        try:
            if popup.image:
                path = await anyio.to_thread.run_sync(self._picture, popup.image)
                popup = evolve(popup, image=path)
            handle = await self._desktop.show(popup, order.handle)
        except DesktopError as why:
            failure = why
        except Exception as why:  # what a desktop's library raises costs one toast
            logger.exception("a toast could not be shown")
            failure = DesktopRefused(harmless(f"{type(why).__name__}: {why}", MAX_DETAIL))
        if order.shell == self._shell:
            self._happened.append(CallEnd(order.toast, handle, failure))
            self._stir()
        elif handle is not None:
            await self._close(handle)

    async def _close(self, handle: Handle) -> None:
        try:
            await self._desktop.close(handle)
        except Exception:  # as above
            logger.exception("a toast could not be taken down")
