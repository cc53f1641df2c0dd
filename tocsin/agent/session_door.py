"""The door of the agent: lets apps in, writes on each of their frames where it came from, and sends them what is theirs.

What comes over a socket waits for room at the actor that it is for, and so holds up its own app only. What goes to an app
waits for none: the windows bound how many payloads an app has out, and an app that does not read loses its session.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
from anyio import EndOfStream
from anyio.abc import SocketAttribute, SocketStream

from tocsin.actors.sessions import Stamp
from tocsin.actors.topology import Platform
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.arguments import check_app_name
from tocsin.protocol.delivery.session_limits import SessionLimits
from tocsin.protocol.errors import Busy, ProtocolViolation, PushError
from tocsin.protocol.messages.agent_versions import as_of, check_version, from_version
from tocsin.protocol.messages.codec import decode, encode
from tocsin.protocol.messages.unpacking import MAX_FRAME
from tocsin.protocol.values import AGENT_VERSION
from tocsin.repeat_log import RepeatLog
from tocsin.tasks import task_group
from tocsin.transport.agent_socket import check_same_user, peer_pid
from tocsin.transport.frame_stream import FrameStream, StreamBroken

MAX_SESSIONS = 512
"""Sessions at a time; one more is refused in words."""

GREETING_TIMEOUT = 5.0
"""Seconds within which an app must say hello, and the agent may take to answer."""

MAX_UNREAD = 16_384
"""Frames that may wait for an app; one that leaves more unread is cut off: payloads alone are never so many."""

RESUMES_SINCE = 4
"""The version from which on a session says when it has told all that another agent must know."""

_RESUMED = encode(m.Resumed())
_PARTING = 1.0  # seconds in which a last word may be sent

logger = logging.getLogger(__name__)

OwnService = Callable[[str, str], Awaitable[m.OwnService | None]]
"""Returns the registration of an app at the agent's own push service; None where there is none."""


class SessionDoor:
    """Serves the sockets of apps; one :meth:`serve` a socket.

    :param met: hears, before the app is welcomed, of each session that was let in, of its app, and of the number of its process; 0
        where the system does not tell.
    :param left: hears of its end.
    """

    def __init__(
        self,
        platform: Platform,
        own_service: OwnService,
        log: RepeatLog,
        met: Callable[[str, str, int], Awaitable[None]],
        left: Callable[[str], None],
    ) -> None:
        self._platform = platform
        self._own_service = own_service
        self._log = log
        self._met, self._left = met, left
        self._open = 0
        self._is_closed = False

    def close(self) -> None:
        """Greet no app any more; those that are in stay."""
        self._is_closed = True

    async def serve(self, stream: SocketStream) -> None:
        """Greet an app, and carry its frames until it leaves."""
        frames = FrameStream(stream, MAX_FRAME)
        try:
            connected = stream.extra(SocketAttribute.raw_socket)  # noqa: S610  # no database is near
            check_same_user(connected, "the app")
            with self._platform.sessions.greeting(), anyio.fail_after(GREETING_TIMEOUT):
                hello, early = await self._hear(frames)
            if not self._is_closed:  # else without a word, as if there were no agent: the app looks for the next one
                await self._carry(frames, hello, early, peer_pid(connected))
        except TimeoutError:
            self._tell_log("a peer", TimeoutError, f"it did not say hello within {GREETING_TIMEOUT:g} s")
        except StreamBroken:
            pass  # it connected and left, as a look whether there is an agent does
        except PushError as refused:
            self._tell_log("a peer", type(refused), str(refused))
            await _refuse(frames, refused)

    async def _hear(self, frames: FrameStream) -> tuple[m.SessionHello, list[bytes]]:
        """Return what an app says of itself, and the frames that came right behind."""
        if self._open >= MAX_SESSIONS:
            raise Busy(f"the agent has {MAX_SESSIONS} sessions, and takes no more")
        first, *early = await frames.receive()
        hello = decode(first)
        if not isinstance(hello, m.SessionHello):
            raise ProtocolViolation(f"{type(hello).__name__} instead of a hello")
        check_version(hello.version)
        check_app_name(hello.app)
        if hello.family:
            check_app_name(hello.family, "a package family name")
        return hello, early

    async def _carry(self, frames: FrameStream, hello: m.SessionHello, early: list[bytes], pid: int | None) -> None:
        """Let an app in, and carry its frames both ways; at the end all that it has comes back."""
        app = hello.app
        stamp = Stamp(self._platform.sessions.new_name(app), app)
        self._open += 1
        try:
            with Mailbox(stamp.session, MAX_UNREAD) as mailbox:
                self._platform.let_in(app, mailbox)  # before the welcome, which is of a session that there is
                try:
                    await self._met(stamp.session, app, pid or 0)
                    await self._welcome(frames, stamp, hello)
                    await self._carry_both_ways(frames, stamp, mailbox, hello.version, early)
                except PushError as violation:
                    self._tell_log(app, type(violation), str(violation))
                    await _refuse(frames, violation)
                finally:
                    with anyio.CancelScope(shield=True):  # bounded: an actor's mailbox is always read
                        self._left(stamp.session)
                        await self._platform.let_go(stamp)
        finally:
            self._open -= 1

    async def _carry_both_ways(
        self, frames: FrameStream, stamp: Stamp, mailbox: Mailbox, version: int, early: list[bytes]
    ) -> None:
        """Carry frames until the app leaves.

        :raises PushError: the app does not keep the rules.
        """
        violation = None
        async with task_group() as tasks:
            tasks.start_soon(self._write, frames, mailbox, version, tasks.cancel_scope)
            try:
                await self._read(frames, stamp, mailbox, version, early)
            except StreamBroken:
                pass
            except PushError as found:
                violation = found  # raised behind the group: an end of the agent in this moment would make it one error of several
            tasks.cancel_scope.cancel()
        if violation is not None:
            raise violation

    async def _welcome(self, frames: FrameStream, stamp: Stamp, hello: m.SessionHello) -> None:
        registration = await self._own_service(stamp.app, hello.family)
        own_service = b"" if registration is None else encode(registration)
        standing = as_of(hello.version, encode(self._platform.standing())) or b""
        welcome = m.SessionWelcome(hello.version, stamp.session, own_service, standing)
        await frames.send(_as_of(hello.version, [encode(welcome)]))

    async def _read(
        self, frames: FrameStream, stamp: Stamp, mailbox: Mailbox, version: int, early: list[bytes]
    ) -> None:
        """Check each frame of the app, and take it to the actor that it is for.

        :raises ProtocolViolation: it is none that an app may send, or more than it may, or the app does not read what it is sent.
        """
        batch, limits, resumes_silently = early, SessionLimits(), version < RESUMES_SINCE
        while True:
            for frame in batch if version == AGENT_VERSION else (from_version(version, each) for each in batch):
                message = decode(frame)
                limits.note(message)
                if mailbox.depth >= MAX_UNREAD:
                    raise ProtocolViolation(f"the app leaves {MAX_UNREAD} frames unread")
                await self._platform.send(stamp, message, frame)
            if batch and resumes_silently:  # an older app tells all at once
                resumes_silently = False
                await self._platform.send(stamp, m.Resumed(), _RESUMED)
            batch = await frames.receive()

    async def _write(self, frames: FrameStream, mailbox: Mailbox, version: int, session: anyio.CancelScope) -> None:
        with suppress(EndOfStream, StreamBroken):
            while True:
                batch = await mailbox.batch()
                await frames.send(batch if version == AGENT_VERSION else _as_of(version, batch))
        session.cancel()

    def _tell_log(self, who: str, kind: type[Exception], why: str) -> None:
        """Say it once for each kind: what a peer makes up gives as many sentences as it likes."""
        self._log.log(logger, logging.WARNING, (who, kind), "the agent has cut off %s: %s", who, why)


def _as_of(version: int, frames: list[bytes]) -> list[bytes]:
    """Return frames as an older app has them, without those that it does not know."""
    return [older for each in frames if (older := as_of(version, each)) is not None]


async def _refuse(frames: FrameStream, refused: PushError) -> None:
    """Say why, if the peer still reads."""
    word = encode(m.SessionRefused(type(refused).__name__, str(refused), refused.hresult))
    with suppress(StreamBroken), anyio.move_on_after(_PARTING):
        await frames.send([word])
