"""The port of an app whose platform is nothing but a shell, which a test plays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from attrs import Factory, define

from tocsin.api.manager import PushNotificationManager
from tocsin.api.session_lifetime import open_session
from tocsin.mailbox import Mailbox
from tocsin.platform_status import PlatformStatus, StandingRecord
from tocsin.protocol import messages as m

Answers = Callable[[m.Message], m.Message | None]


@define
class ShellPort:
    """Notes what the app asks, and answers as the test says; what ``answers`` returns None for waits."""

    answers: Answers
    name: str = "contoso.mail/1"
    max_subscriptions: int | None = None
    asked: list[m.Message] = Factory(list)
    tell: Mailbox = Factory(lambda: Mailbox("contoso.mail/1"))
    """What the app is told."""

    async def receive(self) -> list[bytes]:
        """Return what the app is told."""
        return await self.tell.batch()

    async def send(self, message: m.Message) -> None:
        """Take a question."""
        self.asked.append(message)
        answer = self.answers(message)
        if answer is not None:
            self.tell.send_urgent(answer)

    def send_nowait(self, message: m.Message) -> None:
        """Take a message, such as a request for a channel."""
        self.asked.append(message)

    def send_urgent(self, message: m.Message) -> None:
        """Take what is owed."""
        self.asked.append(message)

    def follow(self, take: Callable[[list[bytes]], None] | None) -> None:
        """Leave it to :meth:`receive`."""

    def at_once(self, say: Callable[[], None]) -> None:
        """Call what sends messages."""
        say()

    def status(self) -> PlatformStatus:
        """Return that of a platform that has said nothing."""
        return StandingRecord().status(())

    def close(self) -> None:
        """Tell nothing more."""
        self.tell.close()


@asynccontextmanager
async def app_of(answers: Answers) -> AsyncIterator[tuple[PushNotificationManager, ShellPort]]:
    """Open the session of an app over such a port."""
    port = ShellPort(answers)
    async with open_session(port) as session:
        yield PushNotificationManager(session, "contoso.mail", None), port


def done(message: m.Message) -> m.Done:
    """Answer that it is done."""
    number = getattr(message, "request", None)
    assert isinstance(number, int), message
    return m.Done(number)
