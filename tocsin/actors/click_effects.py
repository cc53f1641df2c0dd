"""What clicks ask for, performed at the end of the batch of the shell: by the store first, then by sessions, then by the launcher."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from tocsin.actors.sessions import Sessions
from tocsin.mailbox import Mailbox
from tocsin.persistence.shell_store import ClickStore
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.toasts.activation_life import Click, Phase

OpenLink = Callable[[int, str, bytes], None]
"""Has the desktop open a link, given its number, the link, and the command of its app, packed or empty; it never waits."""


@frozen
class _HandOut:
    """A click on its way to its session, or to what opens links, as it was when that was decided."""

    click: Click
    attempt: int
    command: bytes
    """What starts its app, packed; empty where nothing can."""

    @property
    def is_current(self) -> bool:
        """Whether nothing has happened to it since."""
        return self.click.attempt == self.attempt and self.click.phase in {Phase.OFFERED, Phase.OPENING}


class ClickEffects:
    """The changes of the store, the messages and the orders that wait for the end of the batch.

    :param launcher: where processes are ordered; None where this platform starts none.
    """

    def __init__(
        self, store: ClickStore, sessions: Sessions, launcher: Mailbox | None, open_link: OpenLink | None
    ) -> None:
        self._store, self._sessions, self._launcher, self._open_link = store, sessions, launcher, open_link
        self._commands: dict[str, bytes] = {}
        self._attempts: dict[int, int] = {}
        self._ended: list[int] = []
        self._replies: list[tuple[str, m.Message]] = []
        self._hand_outs: list[_HandOut] = []
        self._orders: list[m.Launch | m.StopLaunch] = []

    def keep_command(self, app: str, command: bytes) -> None:
        """Keep what starts an app; an empty one removes it."""
        self._commands[app] = command

    def reply(self, session: str, message: m.Message) -> None:
        """Answer a session, before clicks go to it."""
        self._replies.append((session, message))

    def hand_out(self, click: Click, command: bytes) -> None:
        """Raise the attempt of a click, and hand it to its session, or to what opens links."""
        click.attempt += 1
        self._attempts[click.number] = click.attempt
        self._hand_outs.append(_HandOut(click, click.attempt, command))

    def launch(self, click: Click, command: bytes) -> None:
        """Have a process started for a click."""
        self._orders.append(m.Launch(click.app, click.number, click.attempt + 1, command, LaunchPurpose.TOAST))

    def stop_launch(self, click: Click) -> None:
        """Have it ended."""
        self._orders.append(m.StopLaunch(click.app, click.number, click.attempt + 1, LaunchPurpose.TOAST))

    def end(self, click: Click) -> None:
        """Keep a click no more."""
        self._attempts.pop(click.number, None)
        self._ended.append(click.number)

    async def write(self) -> None:
        """Write what is to be kept: before any other hears of it."""
        for app, command in self._commands.items():
            await self._store.keep_command(app, command)
        if self._attempts:
            await self._store.note_attempts(self._attempts)
        if self._ended:
            await self._store.drop_activations(self._ended)
        for written in (self._commands, self._attempts, self._ended):
            written.clear()

    def send(self) -> list[Click]:
        """Answer, and hand out; return the clicks that no session was there to take."""
        for session, reply in self._replies:
            self._sessions.send(session, reply)
        self._replies.clear()
        hand_outs, self._hand_outs = self._hand_outs, []
        missed = []
        for each in hand_outs:
            if not each.is_current:
                continue
            if each.click.phase is Phase.OPENING:
                assert self._open_link is not None  # noqa: S101  # else no click is of that phase
                self._open_link(each.click.number, each.click.argument, each.command)
            elif not self._sessions.hand_over(each.click.session, encode(_activated(each.click))):
                missed.append(each.click)
        return missed

    def order(self) -> None:
        """Order processes to be started and ended."""
        if self._launcher is not None:
            for order in self._orders:
                self._launcher.send_urgent(order)
        self._orders.clear()


def _activated(click: Click) -> m.ToastActivated:
    return m.ToastActivated(
        click.number,
        click.request,
        click.attempt,
        click.toast,
        click.tag,
        click.group,
        click.kind,
        click.argument,
        click.inputs,
    )
