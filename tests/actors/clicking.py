"""Clicks between a store, sessions and a launcher, which a test plays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import anyio
from attrs import Factory, define

from tests.helpers import waiting_messages
from tocsin.actors.activations import Activations
from tocsin.actors.clock import LoopClock
from tocsin.actors.sessions import Sessions
from tocsin.mailbox import Mailbox
from tocsin.persistence.shell_store import StoredActivation
from tocsin.protocol import messages as m
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.toasts.click_turns import ARRIVAL

FOREGROUND, PROTOCOL = m.ToastActivationType.FOREGROUND, m.ToastActivationType.PROTOCOL


Row = partial(
    StoredActivation,
    app="mail",
    toast=7,
    tag="t",
    group="g",
    kind=FOREGROUND,
    argument="open",
    inputs=(("reply", "hi"),),
    at=1000.0,
)
"""Makes a click as the store has it."""


@define
class Kept:
    """A store that holds clicks, and writes down what it is asked for."""

    journal: list[str]
    rows: dict[int, int] = Factory(dict)
    """The attempts of clicks."""
    commands: dict[str, bytes] = Factory(dict)

    async def note_attempts(self, attempts: Mapping[int, int]) -> None:
        """Keep how often clicks were handed out."""
        self.rows.update(attempts)
        self.journal.append(f"attempts {dict(attempts)}")

    async def drop_activations(self, numbers: Sequence[int]) -> None:
        """Keep these clicks no more."""
        for number in numbers:
            self.rows.pop(number, None)
        self.journal.append(f"dropped {list(numbers)}")

    async def keep_command(self, app: str, command: bytes) -> None:
        """Keep what starts an app."""
        self.commands[app] = command
        self.journal.append(f"command {app} {command!r}")


class WallClock(LoopClock):
    """The loop's time, which began at the second 1000 of the epoch."""

    def wall(self) -> float:
        """Return seconds since the epoch."""
        return 1000.0 + self.monotonic() - self.began

    def __init__(self) -> None:
        super().__init__(seed=1)
        self.began = self.monotonic()


class Clicking:
    """A driver of clicks with what is around it; each thing that happens is a batch."""

    def __init__(self, *, launches: bool = True, opens: bool = True, kept: Kept | None = None) -> None:
        self.journal: list[str] = []
        self.kept = kept or Kept(self.journal)
        self.kept.journal = self.journal
        self.sessions = Sessions()
        self.mailboxes: dict[str, Mailbox] = {}
        self.launcher = Mailbox("launcher")
        self.activations = Activations(
            WallClock(),
            self.kept,
            self.sessions,
            self.launcher if launches else None,
            (lambda number, link, command: self.journal.append(f"open {number} {link} {command!r}")) if opens else None,
        )

    def connect(self, session: str, app: str = "mail", click: int | None = None) -> None:
        """Let a session in; ``click`` is what its process was launched for, None where it was not launched."""
        self.mailboxes[session] = Mailbox(session)
        self.sessions.add(app, self.mailboxes[session])
        if click is not None:
            self.sessions.note_launched(session, "app", click)

    async def add(self, *rows: StoredActivation) -> None:
        """Let toasts be clicked; the shell has stored it."""
        for row in rows:
            self.kept.rows[row.number] = row.attempt
            self.activations.add(row)
        await self.flush()

    async def take(self, session: str, app: str = "mail", command: bytes = b"") -> None:
        """Let a session take the clicks of its app."""
        self.activations.take(app, session, m.TakeActivations(1, command))
        await self.flush()

    async def command(self, app: str = "mail") -> None:
        """Let a session of an app that has gone have left its command."""
        self.connect("passing", app)
        await self.take("passing", app, b"c")
        await self.end("passing")
        self.seen()

    async def end(self, session: str) -> None:
        """Let a session end."""
        self.sessions.remove(session)
        self.activations.session_ended(session)
        await self.flush()

    async def done(self, number: int, attempt: int = 1, failure: str = "", app: str = "mail") -> None:
        """Let an app be through with a click."""
        self.activations.done(app, m.ActivationDone(number, attempt, failure))
        await self.flush()

    async def claim(self, session: str, number: int, attempt: int = 1, app: str = "mail") -> None:
        """Let a launched process claim its click."""
        self.activations.claimed(m.Claimed(session, app, 9, number, attempt))
        await self.flush()

    async def fail_launch(self, number: int, attempt: int = 1, app: str = "mail", *, was_killed: bool = False) -> None:
        """Let a launch come to nothing."""
        self.activations.launch_ended(m.LaunchEnded(app, number, attempt, "no such file", was_killed))
        await self.flush()

    async def wait(self, seconds: float) -> None:
        """Let time go by, and the alarm ring when it is to."""
        until = anyio.current_time() + seconds
        while (moment := self.activations.next_deadline()) is not None and moment <= until:
            await anyio.sleep_until(moment)
            self.activations.ring()
            await self.flush()
        await anyio.sleep_until(until)

    async def flush(self) -> None:
        """End the batch, and note what has come of it."""
        await self.activations.perform()
        for name, mailbox in self.mailboxes.items():
            for message in waiting_messages(mailbox):
                self.journal.append(f"{name}: {_words(message)}")
        self.journal += map(_words, waiting_messages(self.launcher))

    def seen(self) -> list[str]:
        """Return what was seen since the last look."""
        found, self.journal[:] = list(self.journal), []
        return found


def _words(message: m.Message) -> str:
    match message:
        case m.ToastActivated(number=number, request=request, attempt=attempt):
            return f"click {number}, attempt {attempt}, request {request}"
        case m.Launch(app, sequence, attempt, command, purpose):
            assert purpose is LaunchPurpose.TOAST
            return f"launch {command!r} of {app} for {sequence}, attempt {attempt}"
        case m.StopLaunch(app, sequence, attempt, purpose):
            assert purpose is LaunchPurpose.TOAST
            return f"stop the launch of {app} for {sequence}, attempt {attempt}"
        case m.Failed(request=request, error=error):
            return f"{request} failed: {error}"
        case m.Done(request):
            return f"{request} done"
        case _:
            return repr(message)


PAST_ARRIVAL = ARRIVAL + 1
