"""One agent's connection: a WebSocket, over which it asks about calls and is told of them.

The conversation: ``CallHello`` from the agent, ``CallWelcome`` from the service; then questions from the agent, and answers and
reports from the service. Anything else closes the connection. A binary WebSocket message carries one or more frames. A token that
ends, ends the connection, unless the agent has brought another of its user before.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Hashable, Iterator
from typing import Any, Final

import anyio
from attrs import evolve, frozen
from websockets.frames import CloseCode

from tocsin.calling_service.agent_frames import read_hello, read_question
from tocsin.calling_service.agent_outbox import AgentOutbox
from tocsin.calling_service.calling_settings import CallingSettings
from tocsin.calling_service.close_codes import code_of
from tocsin.calling_service.exchange import Exchange
from tocsin.calling_service.users import VerifiedToken
from tocsin.protocol.calling.switchboard import refusal
from tocsin.protocol.calling.switchboard_rows import Endpoint
from tocsin.protocol.errors import (
    Busy,
    FrameError,
    InvalidArgument,
    ProtocolViolation,
    PushError,
    SenderNotAllowed,
)
from tocsin.protocol.kernel.throttle import Throttle
from tocsin.protocol.messages import Message, codec
from tocsin.protocol.messages.calling import (
    CALLING_VERSION,
    CallDone,
    CallGoodbye,
    CallHello,
    CallRefused,
    CallWelcome,
    RenewCallToken,
)
from tocsin.repeat_log import RepeatLog
from tocsin.service.web.queued_websocket import QueuedWebSocket
from tocsin.tasks import task_group

_PATIENCE: Final = 5.0  # seconds for an agent that does not read to take its last frames
_LEAVE: Final = 10.0  # seconds in which the exchange has to take that a connection has ended
logger = logging.getLogger(__name__)


@frozen
class CallingContext:
    """What the connections of all agents share.

    ``verify`` looks at a token and raises :class:`InvalidArgument` where it is not good; ``admit`` takes a connection in that has
    said hello, and raises :class:`Busy` where its user has too many; ``dismiss`` is told of one that has ended.
    """

    exchange: Exchange
    settings: CallingSettings
    verify: Callable[[str], VerifiedToken]
    admit: Callable[[CallingConnection], None]
    dismiss: Callable[[CallingConnection], None]
    messages: Throttle
    now: Callable[[], float]
    recurring: RepeatLog


class CallingConnection:
    """One agent's connection, a line of the exchange.

    One task reads and asks, a second one writes.
    """

    __slots__ = (
        "_around", "_expires", "_farewell", "_is_over", "_last_word", "_outbox", "_scope", "_wire", "endpoint", "shown"
    )  # fmt: skip

    def __init__(self, around: CallingContext, wire: QueuedWebSocket) -> None:
        self.endpoint = Endpoint("", "")
        self.shown = "(unnamed)"
        """What the log calls it: the user, and what tells the user's devices apart."""
        self._around = around
        self._wire = wire
        self._scope = anyio.CancelScope()
        self._outbox = AgentOutbox(around.settings.agent_backlog)
        self._expires = 0.0
        self._is_over = False
        self._farewell: tuple[int, str] | None = None
        self._last_word: CallRefused | None = None

    # What the exchange and the server do with it

    def tell(self, message: Message) -> None:
        """Send a message behind all before; an agent that does not read is cut off."""
        if self._is_over:
            return
        if self._outbox.is_full:
            self.close(CloseCode.POLICY_VIOLATION, "it does not read what it is sent")
        else:
            self._outbox.put(codec.encode(message))

    def part(self, last_word: CallRefused) -> None:
        """Send a last message, and close."""
        if not self._is_over:
            self._last_word = last_word
            self.close(code_of(last_word.error), last_word.text)

    def close(self, code: int, reason: str) -> None:
        """End the connection with this close code and reason, unless it is ending already."""
        if not self._is_over:
            self._is_over = True
            self._farewell = (code, reason)
            self._scope.cancel()

    # The conversation

    async def serve(self) -> None:
        """Greet the agent, serve it until either side ends the connection, and say why if it was this side."""
        with self._scope:
            try:
                await self._converse()
            except ProtocolViolation as violation:
                self.close(CloseCode.PROTOCOL_ERROR, str(violation))
            except PushError as failure:
                self.part(refusal(0, failure))
        await self._say_goodbye()

    async def _converse(self) -> None:
        frames = await self._greet()
        if frames is None:
            return
        hello = self._admit(next(frames, b""))
        try:
            async with task_group() as tasks:
                tasks.start_soon(self._write)
                left = self._expires - self._around.now()
                self.tell(CallWelcome(CALLING_VERSION, self.endpoint.user, left))
                try:
                    await self._around.exchange.connect(self, hello)
                    await self._read(frames)
                finally:
                    await self._leave()
                tasks.cancel_scope.cancel()
        finally:
            self._around.dismiss(self)

    async def _greet(self) -> Iterator[bytes] | None:
        """Return the frames that come first; None where none come."""
        try:
            with anyio.fail_after(self._around.settings.hello_timeout):
                return await self._frames()
        except TimeoutError:
            raise ProtocolViolation(f"no CallHello within {self._around.settings.hello_timeout:g} s") from None

    def _admit(self, frame: bytes) -> CallHello:
        """Look at the first frame, and learn whose connection this is.

        :raises PushError: this agent is not let in.
        """
        hello = read_hello(frame)
        verified = self._verify(hello.token)
        user, self._expires = verified.user, verified.expires
        self.endpoint = Endpoint(user.raw_id, hello.device)
        self.shown = f"{user.raw_id} on {hashlib.sha256(hello.device.encode()).hexdigest()[:8]}"
        self._count()  # one that comes again and again is one that says too much, too
        self._around.admit(self)
        return hello if hello.name else evolve(hello, name=user.display_name)

    def _verify(self, token: str) -> VerifiedToken:
        """Look at a token.

        :raises SenderNotAllowed: it is not good.
        """
        try:
            return self._around.verify(token)
        except InvalidArgument as refused:
            raise SenderNotAllowed(str(refused)) from None

    async def _frames(self) -> Iterator[bytes] | None:
        """Return the frames of the next message, None at the connection's end."""
        message = await self._wire.receive()
        if isinstance(message, str):
            raise FrameError("messages are binary, not text")
        return None if message is None else codec.frames(message)

    async def _read(self, frames: Iterator[bytes] | None) -> None:
        while frames is not None:
            for frame in frames:
                await self._take(read_question(frame))
            frames = await self._frames_in_time()

    async def _frames_in_time(self) -> Iterator[bytes] | None:
        """Wait for the next message for as long as the token is good."""
        with anyio.move_on_after(max(0.0, self._expires - self._around.now())):
            return await self._frames()
        raise self._expired()

    def _expired(self) -> PushError:
        user = self.endpoint.user
        return SenderNotAllowed(f"the token of {user} has expired: connect with another one, or renew it in time")

    async def _take(self, question: Any) -> None:
        if self._expires <= self._around.now():
            raise self._expired()
        self._count()
        if isinstance(question, RenewCallToken):
            self.tell(self._renew(question))
        elif isinstance(question, CallGoodbye):
            await self._around.exchange.leave(self, said_goodbye=True)
            self.tell(CallDone(question.request))
        else:
            await self._around.exchange.ask(self, question)

    def _count(self) -> None:
        """Count a message of the agent.

        :raises Busy: it is one too many.
        """
        if self._around.messages.spend(f"{self.endpoint.user} {self.endpoint.device}", self._around.now()):
            raise Busy("this agent has sent too many messages: wait a little, then connect again")

    def _renew(self, asked: RenewCallToken) -> Message:
        """Take another token of the same user; one that is not good changes nothing."""
        try:
            verified = self._verify(asked.token)
        except SenderNotAllowed as refused:
            return refusal(asked.request, refused)
        if verified.user.raw_id != self.endpoint.user:
            text = f"that token is of {verified.user.raw_id}, and this connection of {self.endpoint.user}"
            return refusal(asked.request, SenderNotAllowed(text))
        self._expires = verified.expires
        return CallDone(asked.request)

    # The way out

    async def _write(self) -> None:
        """Send what there is, until the connection ends."""
        while await self._transmit(self._wire.send(await self._outbox.chunk())):
            self._outbox.sent()
        self._is_over = True
        self._scope.cancel()

    async def _leave(self) -> None:
        """Tell the exchange that this line has ended, also while all is being cancelled."""
        try:
            with anyio.fail_after(_LEAVE, shield=True):
                await self._around.exchange.leave(self)
        except (PushError, TimeoutError) as failure:
            self.log(
                ("leave", self.shown), f"has ended, which could not be noted: {str(failure) or 'it took too long'}"
            )

    async def _say_goodbye(self) -> None:
        """Send what waits, the last word behind it, and close."""
        self._is_over = True
        if self._farewell is None:
            return
        code, reason = self._farewell
        self.log((code, self.shown), f"closed with {code}: {reason}")
        rest = b"" if self._outbox.is_full else self._outbox.rest()
        if self._last_word is not None:
            rest += codec.encode(self._last_word)
        with anyio.move_on_after(_PATIENCE):
            if not rest or await self._transmit(self._wire.send(rest)):
                await self._transmit(self._wire.close(code, reason))

    async def _transmit(self, sending: Awaitable[None]) -> bool:
        """Send; False where the connection has ended."""
        try:
            await sending
        except OSError as gone:
            self.log(("gone", self.shown), f"is gone: {type(gone).__name__}")
            return False
        return True

    def log(self, kind: Hashable, words: str) -> None:
        """Log what became of the connection; an agent that comes again and again does not fill the log."""
        self._around.recurring.log(logger, logging.INFO, kind, "agent connection of %s %s", self.shown, words)
