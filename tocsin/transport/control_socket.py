"""How the ``tocsin`` command talks to what runs on a state folder, such as an agent or a service: a socket in the state folder that only its user may open.

One line of JSON asks, one line answers; where something is followed, more lines come behind it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import frozen

from tocsin.protocol.errors import InvalidArgument, NotFound, PlatformUnavailable, PushError, error_of
from tocsin.protocol.hresult import HResult
from tocsin.protocol.text import quoted
from tocsin.tasks import task_group
from tocsin.transport.unix_server import serving_unix

Answer = dict[str, Any]


@frozen
class Stream:
    """An answer that goes on: lists of objects, until the command leaves or the program ends."""

    lists: AsyncGenerator[list[Answer]]


def text_of(request: Answer, field: str) -> str:
    """Return a field of a request; empty where there is none.

    :raises InvalidArgument: it is no text.
    """
    value = request.get(field, "")
    if not isinstance(value, str):
        raise InvalidArgument(f"{quoted(field)} is a text in JSON, not {type(value).__name__}")
    return value


Perform = Callable[[Answer], Awaitable[Answer | Stream]]

_MAX_LINE = 16 * 1024 * 1024
_MAX_REQUEST = 16 * 1024
_PATIENCE = 15.0  # seconds; what the store is waited for at most is less, unless a setting makes it more
_PARTING = 1.0  # seconds in which an answer may still be sent
_AT_ONCE = 16  # commands that are answered at a time; others wait their turn

logger = logging.getLogger(__name__)


def socket_of(state: Path) -> Path:
    """Return the socket of a state folder."""
    return state / "control"


@asynccontextmanager
async def serving_control(
    state: Path, perform: Perform, what: str, *, level: int = logging.WARNING
) -> AsyncIterator[None]:
    """Answer the command while the block runs; where that is impossible, say so in the log.

    :param what: what is asked here, for the log, such as "service".
    :param level: how the log says it.
    """

    async def answer(stream: ByteStream) -> None:
        going_on = None
        with anyio.move_on_after(_PATIENCE):
            going_on = await _answer(stream, perform)
        if going_on is not None:
            with suppress(anyio.BrokenResourceError):  # the command has left
                await _go_on(stream, going_on)

    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(serving_unix(socket_of(state), answer, at_once=_AT_ONCE, what="a command"))
        except PlatformUnavailable as failure:
            logger.log(level, "the command 'tocsin' cannot reach this %s: %s", what, failure)
        yield


async def _answer(stream: ByteStream, perform: Perform) -> Stream | None:
    """Answer a line; return what goes on behind that answer."""
    try:
        line = await BufferedByteReceiveStream(stream).receive_until(b"\n", _MAX_REQUEST)
        reply = await _reply(line, perform)
        if isinstance(reply, Stream):
            return reply
        with anyio.CancelScope(shield=True), anyio.move_on_after(_PARTING):  # what was done is said, also on leaving
            await stream.send(reply + b"\n")
    except anyio.DelimiterNotFound:
        await stream.send(_line(_refusal(InvalidArgument(f"a request has {_MAX_REQUEST} bytes at most"))))
    except (anyio.IncompleteRead, anyio.BrokenResourceError) as failure:
        logger.info("a command was not answered: %s", type(failure).__name__)
    return None


async def _go_on(stream: ByteStream, answer: Stream) -> None:
    """Send what comes, until the command leaves."""
    async with task_group() as tasks:
        tasks.start_soon(_until_left, stream, tasks.cancel_scope)
        async with aclosing(answer.lists) as lists:
            await stream.send(_line({"done": {}}))
            async for several in lists:
                await stream.send(b"".join(map(_line, several)))
        tasks.cancel_scope.cancel()


async def _until_left(stream: ByteStream, serving: anyio.CancelScope) -> None:
    """A command that follows says nothing more: what comes is its end."""
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        await stream.receive()
    serving.cancel()


def _line(answer: Answer) -> bytes:
    return json.dumps(answer).encode() + b"\n"


def _refusal(failure: PushError) -> Answer:
    """Return what an error is for the command, which raises it as its own."""
    return {"refused": str(failure), "kind": type(failure).__name__, "hresult": failure.hresult}


async def _reply(line: bytes, perform: Perform) -> bytes | Stream:
    """Do what a line asks for, and say in JSON what became of it: a fault of ours as well."""
    try:
        done = await perform(_parse(line))
        return done if isinstance(done, Stream) else json.dumps({"done": done}).encode()
    except PushError as failure:
        answer = _refusal(failure)
    except Exception:
        logger.exception("a command failed")
        answer = _refusal(PushError("it failed at that; its log says how"))
    return json.dumps(answer).encode()


def _parse(line: bytes) -> Answer:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        request = None
    if not isinstance(request, dict):
        raise InvalidArgument("a request is a JSON object in one line")
    return request


async def ask(state: Path, request: Answer) -> Answer | None:
    """Ask what runs on a state folder; None if there is none.

    :raises PushError: it refuses; the sentence says why.
    :raises PlatformUnavailable: it does not answer.
    """
    async with _asking(state, request) as asked:
        return None if asked is None else asked[0]


async def follow(state: Path, request: Answer) -> AsyncGenerator[Answer]:
    """Ask what runs on a state folder for what goes on, and return it, object for object, until it ends.

    :raises PushError: it refuses; the sentence says why.
    :raises PlatformUnavailable: it does not answer.
    :raises NotFound: none runs there.
    """
    async with _asking(state, request) as asked:
        if asked is None:
            raise NotFound(f"no agent, no program and no service runs on {state}; name its folder with --state")
        with suppress(anyio.IncompleteRead, anyio.BrokenResourceError):
            while True:
                yield _parse(await asked[1].receive_until(b"\n", _MAX_LINE))


@asynccontextmanager
async def _asking(state: Path, request: Answer) -> AsyncIterator[tuple[Answer, BufferedByteReceiveStream] | None]:
    """Ask, and give the answer, with what may come behind it."""
    try:
        stream = await anyio.connect_unix(socket_of(state))
    except (OSError, AttributeError):
        yield None
        return
    async with stream:
        lines = BufferedByteReceiveStream(stream)
        try:
            with anyio.fail_after(_PATIENCE):
                await stream.send(_line(request))
                answer = _parse(await lines.receive_until(b"\n", _MAX_LINE))
        except (
            *(TimeoutError, anyio.IncompleteRead, anyio.DelimiterNotFound, anyio.BrokenResourceError),
            InvalidArgument,
        ):
            raise PlatformUnavailable(
                f"what runs on {state} does not answer; it may yet do what it was asked for"
            ) from None
        if "refused" in answer:
            kind, code = (
                str(answer.get("kind")),
                answer.get("hresult", HResult.E_FAIL),
            )  # an earlier version says neither
            raise error_of(kind, answer["refused"], code)
        yield answer.get("done", {}), lines
