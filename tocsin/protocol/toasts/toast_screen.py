"""The screen: which toasts are on it, which wait for their turn, and which have to go for another."""

from __future__ import annotations

from collections import OrderedDict, deque

from attrs import Factory, define

from tocsin.protocol.kernel.throttle import Throttle
from tocsin.protocol.toasts.shell_toast import ShellToast
from tocsin.protocol.toasts.toast_life import IN_FLIGHT, MAX_WAITING, ON_SCREEN_AT_ONCE, SHOWN_A_SECOND, Phase


@define
class ToastTurns:
    """The toasts that wait for their turn: urgent ones first, and each kind in its order."""

    _urgent: deque[ShellToast] = Factory(deque)
    _ordinary: deque[ShellToast] = Factory(deque)
    _waiting: set[ShellToast] = Factory(set)

    def is_full(self, *, urgent: bool) -> bool:
        """Tell whether no more may wait of those that are urgent, or of the others: neither keeps the other out."""
        return len(self._urgent if urgent else self._ordinary) >= MAX_WAITING

    def add(self, toast: ShellToast) -> None:
        """Let a toast wait; one that waits already keeps its place."""
        if toast not in self._waiting:
            self._waiting.add(toast)
            (self._urgent if toast.is_urgent else self._ordinary).append(toast)

    def next(self) -> ShellToast | None:
        """Return the toast whose turn it is, and keep it there; what no longer waits is let go on the way."""
        for queue in (self._urgent, self._ordinary):
            while queue:
                if queue[0].phase is Phase.WAITING:
                    return queue[0]
                self._waiting.discard(queue.popleft())
        return None

    def take(self, toast: ShellToast) -> None:
        """Let the toast go whose turn it is."""
        (self._urgent if toast.is_urgent else self._ordinary).popleft()
        self._waiting.discard(toast)


@define
class ToastScreen:
    """What is on the screen, the oldest first, and how many popups the desktop was asked for and has not answered."""

    turns: ToastTurns = Factory(ToastTurns)
    in_flight: int = 0
    _throttle: Throttle = Factory(lambda: Throttle(SHOWN_A_SECOND, ON_SCREEN_AT_ONCE))
    _next_turn: float | None = None
    """When the first that waits may be asked for, where it is too soon."""
    _shown: OrderedDict[int, ShellToast] = Factory(OrderedDict)

    @property
    def is_busy(self) -> bool:
        """Whether the desktop is asked for as many as it may be."""
        return self.in_flight >= IN_FLIGHT

    def put(self, toast: ShellToast) -> None:
        """Note that a toast is on the screen."""
        self._shown[toast.slot] = toast

    def take_off(self, toast: ShellToast) -> None:
        """Note that it is there no more."""
        self._shown.pop(toast.slot, None)

    def overdue(self, now: float) -> list[ShellToast]:
        """Return those whose time is over, on the loop's clock."""
        return [each for each in self._shown.values() if each.deadline is not None and now >= each.deadline]

    def next_deadline(self) -> float | None:
        """Return when the next one's time is over, or when the next one has its turn."""
        deadlines = [*(each.deadline for each in self._shown.values()), self._next_turn]
        return min((each for each in deadlines if each is not None), default=None)

    def oldest(self) -> list[ShellToast]:
        """Return the one that goes first where there is no room: the oldest that is not urgent, if there is one."""
        return [each for each in self._shown.values() if not each.is_urgent][:1]

    def room_for(self, toast: ShellToast, now: float, *, one_at_a_time: bool) -> list[ShellToast] | None:
        """Return those that have to go first so that a toast can be shown, now, on the loop's clock; None where it has to wait.

        An urgent one never waits. Where the desktop shows one at a time it would stand behind the others, which go; and
        ordinary ones wait for each other there.
        """
        self._next_turn = None
        others = self._room_for(toast, one_at_a_time=one_at_a_time)
        if others is None or toast.is_urgent:
            return others
        wait = self._throttle.spend("" if toast.handle is None else str(toast.slot), now)
        if wait:
            self._next_turn = now + wait
            return None
        return others

    def _room_for(self, toast: ShellToast, *, one_at_a_time: bool) -> list[ShellToast] | None:
        ordinary = [each for each in self._shown.values() if not each.is_urgent]
        if toast.is_urgent:
            return ordinary if one_at_a_time else []
        if one_at_a_time:
            return None if self._shown or self.in_flight else []
        if len(ordinary) + self.in_flight < ON_SCREEN_AT_ONCE:
            return []
        return self.oldest() or None
