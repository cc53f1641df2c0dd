"""The desktop in a terminal: toasts as framed text, with buttons that are pressed by typing their number."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Awaitable, Callable
from itertools import count

import anyio
from attrs import evolve

from tocsin.protocol.text import harmless
from tocsin.protocol.toasts.popup import DEFAULT_KEY, Handle, Popup, PopupInput
from tocsin.shell.desktop import Closed, ClosedBy, DesktopAbsent, DesktopEvent, DesktopFull, DesktopStanding, Pressed
from tocsin.shell.text_frame import MAX_WIDTH, framed, said_of

MAX_OPEN = 100
"""Toasts that are not taken down yet at most."""

MAX_SHORT = 60
"""Characters of a title in a line about its toast at most."""

HELP = "type the number of a button, 'NUMBER text' for an input, o to open, d to dismiss; '#3 d' is of toast 3"


class ConsoleDesktop:
    """Shows toasts as text, and takes what is typed for clicks.

    Each toast has a number. What is typed is for the newest one that is there, or for the one whose number stands before
    it, as in ``#3 1``: the number of a button, that of an input with a text (``2 On my way``), ``o`` for a click on the
    toast itself, ``d`` or ``0`` to dismiss it.

    :param write: shows lines at once, such as :func:`print`; an OSError of it is DesktopAbsent to the caller.
    :param read_line: waits for a line that was typed, and returns None at the end of the input; None where nothing is read.
    :param width: returns how many columns the terminal has.
    """

    def __init__(
        self,
        write: Callable[[str], None],
        read_line: Callable[[], Awaitable[str | None]] | None = None,
        *,
        width: Callable[[], int] | None = None,
    ) -> None:
        self._write = write
        self._read_line = read_line
        self._width = width or _terminal_width
        self._daemon = f"console-{secrets.token_hex(8)}"
        self._numbers = count(1)
        self._open: dict[int, Popup] = {}
        self._events: list[DesktopEvent] = []
        self._there = anyio.Event()

    @property
    def standing(self) -> DesktopStanding:
        """What is known of it: it is always there, and has buttons as long as something reads what is typed."""
        reads = self._read_line is not None
        return DesktopStanding("terminal", daemon=self._daemon, actions=reads, keeps=reads)

    async def run(self) -> None:
        """Read what is typed until this is cancelled; where the input ends before, toasts are shown without numbers."""
        while self._read_line is not None:
            line = await self._read_line()
            if line is None:
                self._read_line = None
            else:
                self._take(line)
        await anyio.sleep_forever()

    async def show(self, popup: Popup, replaces: Handle | None = None) -> Handle:
        """Print a toast; one that takes another's place has its number.

        :raises DesktopAbsent: the terminal cannot be written.
        :raises DesktopFull: ``MAX_OPEN`` toasts are there.
        """
        replaced = replaces is not None and replaces.daemon == self._daemon and replaces.number in self._open
        if not replaced and len(self._open) >= MAX_OPEN:
            raise DesktopFull(f"the terminal shows {MAX_OPEN} toasts, and may have no more")
        number = replaces.number if replaces is not None and replaced else next(self._numbers)
        self._say(framed(popup, number, self._width(), pressable=self._read_line is not None, replaced=replaced))
        self._open.pop(number, None)  # so that it is the newest
        self._open[number] = popup
        return Handle(self._daemon, number)

    async def close(self, handle: Handle) -> None:
        """Print that a toast is taken down; one that has gone already is no error."""
        popup = self._open.pop(handle.number, None) if handle.daemon == self._daemon else None
        if popup is not None:
            self._say(f"{_name(handle.number, popup)} is taken down")

    async def events(self) -> list[DesktopEvent]:
        """Wait for clicks, and return those that are there."""
        while not self._events:
            await self._there.wait()
        events, self._events = self._events, []
        self._there = anyio.Event()
        return events

    def _take(self, line: str) -> None:
        """Do what a line says that was typed, or print why it cannot be done."""
        words = line.strip()
        if not words:
            return
        number = next(reversed(self._open), 0)
        if words.startswith("#"):
            named, _, words = words[1:].partition(" ")
            number = _number(named)
        popup = self._open.get(number)
        if popup is None:
            self._tell("there is no such toast" if self._open else "no toast is shown just now")
            return
        verb, _, text = words.strip().partition(" ")
        if verb in {"d", "0"}:
            self._end(number)
        elif verb == "o":
            self._press(number, popup, DEFAULT_KEY)
        else:
            self._use(number, popup, _number(verb), text.strip())

    def _use(self, number: int, popup: Popup, place: int, text: str) -> None:
        """Fill in an input, or press a button, by their common count from 1."""
        fields = len(popup.inputs)
        if 1 <= place <= fields:
            self._fill(number, popup, popup.inputs[place - 1], text)
        elif fields < place <= fields + len(popup.buttons):
            if text:
                self._tell(f"a button takes no text: give that to an input first, or type {place} only")
            else:
                self._press(number, popup, popup.buttons[place - fields - 1].key)
        else:
            self._tell(HELP)

    def _fill(self, number: int, popup: Popup, field: PopupInput, text: str) -> None:
        value = text
        if field.choices:
            chosen = [id for id, label in field.choices if text.casefold() in {id.casefold(), label.casefold()}]  # noqa: A001  # what it is
            if not chosen:
                self._tell(f"no such choice; {said_of(field, field.default)}")
                return
            value = chosen[0]
        filled = evolve(field, default=value)
        inputs = tuple(filled if each is field else each for each in popup.inputs)
        self._open[number] = evolve(popup, inputs=inputs)
        self._tell(f"#{number}  {said_of(filled, value)}")

    def _press(self, number: int, popup: Popup, key: str) -> None:
        inputs = tuple((field.id, field.default) for field in popup.inputs)
        self._note(Pressed(Handle(self._daemon, number), key, inputs))
        self._end(number)

    def _end(self, number: int) -> None:
        """The user is through with a toast."""
        del self._open[number]
        self._note(Closed(Handle(self._daemon, number), ClosedBy.USER))

    def _note(self, event: DesktopEvent) -> None:
        self._events.append(event)
        self._there.set()

    def _tell(self, line: str) -> None:
        """Print an answer to what was typed, where that can be done; if not, the next toast tells its caller."""
        try:
            self._say(line)
        except DesktopAbsent:
            self._read_line = None

    def _say(self, lines: str) -> None:
        try:
            self._write(lines)
        except OSError as failure:
            raise DesktopAbsent(f"the terminal cannot be written: {failure.strerror or failure}") from failure


def _name(number: int, popup: Popup) -> str:
    return f"#{number}  {harmless(popup.app, MAX_WIDTH)}: {harmless(popup.title, MAX_SHORT)}"


def _number(text: str) -> int:
    """Return a number that was typed; 0, which nothing has, where it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else 0


def _terminal_width() -> int:
    return shutil.get_terminal_size().columns
