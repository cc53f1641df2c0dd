"""An app's end of the socket of its user's agent: greets, carries frames, and connects again when the agent was away."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import anyio
from anyio import EndOfStream, aclose_forcefully
from anyio.abc import SocketAttribute, SocketStream

from tocsin.mailbox import Mailbox
from tocsin.platform_status import PlatformStatus, StandingRecord
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.session_limits import MAX_SUBSCRIPTIONS
from tocsin.protocol.errors import FrameError, PlatformUnavailable, ProtocolViolation, PushError, error_of
from tocsin.protocol.messages.codec import decode_own, encode
from tocsin.protocol.messages.unpacking import MAX_OWN_FRAME
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.platform.service_connection import ReconnectPolicy
from tocsin.protocol.text import harmless
from tocsin.protocol.values import AGENT_VERSION
from tocsin.tasks import task_group
from tocsin.transport.agent_socket import check_same_user
from tocsin.transport.frame_stream import FrameStream, StreamBroken

RECONNECT: Final = ReconnectPolicy(first=0.05, longest=1.0)
"""Seconds until the next attempt, while the agent is away."""

LASTING: Final = 1.0
"""Seconds after which a session is taken for a good one; an agent that cuts this app off sooner is asked less and less often."""

GREETING_TIMEOUT = 10.0
"""Seconds within which the agent must answer a hello."""

_DISMISSED = encode(m.SessionDismissed("", "", 0))[:2]
_STANDING = encode(m.PlatformStanding(None, connected=False, cause=None, text="", since=0.0, due=0.0))[:2]

_REFUSED = encode(m.SessionRefused("", "", 0))[:2]

_QUESTIONS: Final = frozenset(
    {
        m.CreateChannel,
        m.CloseChannel,
        m.RegisterActivator,
        m.UnregisterActivators,
        m.ChangeHost,
        m.ChangeAppSettings,
        m.ClaimPayload,
        m.ShowToast,
        m.UpdateToast,
        m.RemoveToasts,
        m.ListToasts,
        m.TakeActivations,
        m.SetBadge,
        m.SetTile,
        m.AskTiles,
        m.ReportUsage,
        m.AskUsage,
    }
)
"""What has an answer: the next agent would give it to none, and is asked again for what is to be."""

logger = logging.getLogger(__name__)


class _CutOff(StreamBroken):
    """The agent has gone before it said a word."""


class AgentPort:
    """The port of one session over the agent's socket; :func:`tocsin.connect` makes one.

    What is sent while the agent is away waits for the next one: a question as long as its caller does, and outcomes for as long
    as the port is open. A question that the agent was asked and has not answered when it goes is forgotten, and the session
    is told so.
    """

    def __init__(
        self,
        path: Path,
        app: str,
        family: str = "",
        fraction: Callable[[], float] = random.random,
        dial: Callable[[Path], Awaitable[SocketStream]] = anyio.connect_unix,
    ) -> None:
        self.name = app
        self.max_subscriptions: int | None = MAX_SUBSCRIPTIONS
        self.own_service: m.OwnService | None = None
        """The registration of the app at the agent's own push service; None where it uses another."""
        self._path = path
        self._hello = m.SessionHello(AGENT_VERSION, app, family)
        self._fraction = fraction
        self._dial = dial
        self._out = Mailbox(f"{app} to the agent")
        self._in = Mailbox(f"the agent to {app}")
        self._unsent: list[bytes] = []
        self._there = anyio.Event()
        """Set while an agent is there; each has its own."""
        self._is_closed = False
        self._sent = anyio.Event()
        self._standing = StandingRecord()
        self._dismissed: PushError | None = None

    async def receive(self) -> list[bytes]:
        """Wait for frames from the agent, and return those that are there.

        :raises EndOfStream: the port was closed.
        """
        return await self._in.batch()

    async def send(self, message: m.Message) -> None:
        """Send a message, waiting for an agent, and for room.

        :raises PlatformUnavailable: the port was closed, or the agent has gone while this waited for room.
        """
        while not self._there.is_set():
            await self._there.wait()
        self._check()
        there = self._there
        await self._out.send(message)
        if there is not self._there:
            raise PlatformUnavailable("the agent has gone: whether it was done is not known")

    def send_nowait(self, message: m.Message) -> None:
        """Send a message.

        :raises Busy: there is no room.
        """
        self._check()
        self._out.send_nowait(message)

    def send_urgent(self, message: m.Message) -> None:
        """Send what is owed."""
        self._out.send_urgent(message)

    def follow(self, take: Callable[[list[bytes]], None] | None) -> None:
        """Leave it to :meth:`receive`: no actor is in this process."""

    def at_once(self, say: Callable[[], None]) -> None:
        """Call what sends messages."""
        say()

    def _check(self) -> None:
        if self._dismissed is not None:
            raise self._dismissed

    def status(self) -> PlatformStatus:
        """Return how the agent said that the platform stands, or that there is no agent."""
        return self._standing.status((self._out.statistics(), self._in.statistics()))

    def close(self) -> None:
        """Receive nothing more than what is there; what is to be sent still is, while the agent is there."""
        self._is_closed = True
        self._in.close()
        self._out.close()
        self._there.set()  # what waits for an agent hears that the port is closed

    async def finish(self, seconds: float) -> None:
        """Send what is to be sent, for that long at most."""
        self.close()
        with anyio.move_on_after(seconds, shield=True):
            await self._sent.wait()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[FrameStream, list[bytes]]]:
        """Connect and greet; hold the stream, with the frames that came right behind the welcome.

        :raises StreamBroken: no agent listens there, or it does not answer.
        :raises PushError: the agent does not let this app in, and says why.
        """
        try:
            socket, frames, early = await self._greet()
        except _CutOff:  # by an agent that ended itself just then; who listens for the next one keeps an app waiting
            socket, frames, early = await self._greet()
        async with socket:
            yield frames, early

    async def _greet(self) -> tuple[SocketStream, FrameStream, list[bytes]]:
        try:
            socket = await self._dial(self._path)
        except (OSError, AttributeError) as failure:
            why = getattr(failure, "strerror", None) or failure
            raise StreamBroken(f"no agent listens on {self._path} ({why})") from failure
        try:
            check_same_user(socket.extra(SocketAttribute.raw_socket), f"the process that listens on {self._path}")  # noqa: S610
            frames = FrameStream(socket, MAX_OWN_FRAME)
            return socket, frames, await self._hear_welcome(frames)
        except BaseException:
            await aclose_forcefully(socket)
            raise

    async def _hear_welcome(self, frames: FrameStream) -> list[bytes]:
        """Say hello, and return what came right behind the welcome."""
        try:
            await frames.send([encode(self._hello)])
            with anyio.fail_after(GREETING_TIMEOUT):
                first, *early = await frames.receive()
        except TimeoutError:
            raise StreamBroken(f"the agent on {self._path} did not greet within {GREETING_TIMEOUT:g} s") from None
        except StreamBroken as broken:
            raise _CutOff(f"the agent on {self._path} has gone: {broken}") from broken
        welcome = decode_own(first)
        if isinstance(welcome, m.SessionRefused):
            raise error_of(welcome.error, welcome.text, welcome.hresult)
        if not isinstance(welcome, m.SessionWelcome):
            raise ProtocolViolation(f"{type(welcome).__name__} instead of a welcome")
        service = decode_own(welcome.own_service) if welcome.own_service else None
        self.own_service = service if isinstance(service, m.OwnService) else None
        self._note(welcome.standing)
        return early

    async def carry(self, frames: FrameStream, early: list[bytes]) -> None:
        """Carry frames both ways, and connect again whenever the agent was away, until the port is closed and all is sent."""
        try:
            self._there.set()
            await self._carry(frames, early)
            failures = 0
            while not self._out.is_drained and self._dismissed is None:
                failures += 1
                await anyio.sleep(RECONNECT.wait(failures, self._fraction()))
                try:
                    async with self.connected() as (other_frames, begun):
                        welcomed = anyio.current_time()
                        self._begin_anew()
                        await self._carry(other_frames, begun)
                        if anyio.current_time() - welcomed >= LASTING:
                            failures = 0
                except StreamBroken as away:
                    self._note_away(str(away))
                except PushError as refused:
                    self._note_away(f"the agent does not let this app in again: {refused}")
        finally:
            self._in.close()
            self._sent.set()

    async def _carry(self, frames: FrameStream, early: list[bytes]) -> None:
        """Carry frames both ways over one stream, until it breaks or everything was sent."""
        lost = ""
        async with task_group() as tasks:
            tasks.start_soon(self._write, frames, tasks.cancel_scope)
            try:
                await self._take_in(early)
                while True:
                    await self._take_in(await frames.receive())
            except (StreamBroken, FrameError) as broken:
                lost = str(broken)
                tasks.cancel_scope.cancel()
        if lost:
            self._lose_agent()
            self._note_away(f"the agent has gone: {lost}")

    async def _take_in(self, frames: list[bytes]) -> None:
        for frame in frames:
            if frame.startswith(_DISMISSED):
                word = decode_own(frame)
                assert isinstance(word, m.SessionDismissed)  # noqa: S101  # the tag says so
                self._dismiss(word)
                return
            if frame.startswith(_STANDING):
                self._note(frame)
            elif frame.startswith(_REFUSED):
                refused = decode_own(frame)
                assert isinstance(refused, m.SessionRefused)  # noqa: S101  # the tag says so
                raise StreamBroken(f"it has cut off this app: {refused.text}")
            with suppress(PlatformUnavailable):  # the session is closing: it takes nothing more
                await self._in.send_frame(frame)

    def _note(self, frame: bytes) -> None:
        standing = decode_own(frame)
        if not isinstance(standing, m.PlatformStanding):
            raise ProtocolViolation(f"{type(standing).__name__} does not say how the platform stands")
        self._standing.note(standing)

    async def _write(self, frames: FrameStream, both: anyio.CancelScope) -> None:
        """Send what is to be sent; what could not be sent is kept for the next agent."""
        try:
            while True:
                if not self._unsent:
                    self._unsent = await self._out.batch()
                await frames.send(self._unsent)
                self._unsent = []
        except EndOfStream:
            both.cancel()
        except StreamBroken:
            pass  # the reader notices, too, and says so

    def _dismiss(self, word: m.SessionDismissed) -> None:
        """Take the agent's last word: this session does not come back, and what it asks from now on fails."""
        self._dismissed = error_of(word.error, word.text, word.hresult)
        logger.error("%s", harmless(word.text))
        self._standing.note(_away(word.text))
        self._in.send_urgent(word)
        self.close()

    def _lose_agent(self) -> None:
        """Forget what the agent that has gone was asked, and let the session know."""
        if not self._is_closed:
            self._there = anyio.Event()
        self._out.drop_frames()
        self._unsent = [frame for frame in self._unsent if type(decode_own(frame)) not in _QUESTIONS]
        self._in.send_urgent(m.SessionLost())

    def _begin_anew(self) -> None:
        """Let the session tell another agent what it must know; channel requests of the time between are among it."""
        self._out.drop_frames()
        self._there.set()
        self._in.send_urgent(m.SessionRestored())
        self._in.send_state(self._standing.last)  # in the place of that there is none, if the session has not read that

    def _note_away(self, text: str) -> None:
        """Tell the session, and once the log, that there is no agent."""
        before = self._standing.last
        away = _away(text)
        if before.cause is not ConnectionCause.NO_AGENT:
            words = "%s: %s; what is being handled goes on, and the connection is made again"
            logger.warning(words, harmless(self._hello.app), text)
            self._standing.note(away)
            self._in.send_state(away)


def _away(text: str) -> m.PlatformStanding:
    return m.PlatformStanding(None, connected=False, cause=ConnectionCause.NO_AGENT, text=text, since=0.0, due=0.0)
