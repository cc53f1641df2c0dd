"""How the ``tocsin`` command talks to a running agent or service: a socket in the state folder that only its user may open.

One line of JSON asks, one line answers.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import ByteStream
from anyio.streams.buffered import BufferedByteReceiveStream

from tocsin.protocol.errors import InvalidArgument, PlatformUnavailable, PushError
from tocsin.transport.unix_server import serving_unix

Answer = dict[str, Any]
Perform = Callable[[Answer], Awaitable[Answer]]

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
async def serving_control(state: Path, perform: Perform, what: str) -> AsyncIterator[None]:
    """Answer the command while the block runs; where that is impossible, say so in the log.

    :param what: what is asked here, for the log, such as "service".
    """

    async def answer(stream: ByteStream) -> None:
        with anyio.move_on_after(_PATIENCE):
            await _answer(stream, perform)

    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(serving_unix(socket_of(state), answer, at_once=_AT_ONCE, what="a command"))
        except PlatformUnavailable as failure:
            logger.warning("the command 'tocsin' cannot reach this %s: %s", what, failure)
        yield


async def _answer(stream: ByteStream, perform: Perform) -> None:
    try:
        line = await BufferedByteReceiveStream(stream).receive_until(b"\n", _MAX_REQUEST)
        reply = await _reply(line, perform)
        with anyio.CancelScope(shield=True), anyio.move_on_after(_PARTING):  # what was done is said, also on leaving
            await stream.send(reply + b"\n")
    except anyio.DelimiterNotFound:
        await stream.send(json.dumps({"refused": f"a request has {_MAX_REQUEST} bytes at most"}).encode() + b"\n")
    except (anyio.IncompleteRead, anyio.BrokenResourceError) as failure:
        logger.info("a command was not answered: %s", type(failure).__name__)


async def _reply(line: bytes, perform: Perform) -> bytes:
    """Do what a line asks for, and say in JSON what became of it: a fault of ours as well."""
    try:
        answer: Answer = {"done": await perform(_parse(line))}
        return json.dumps(answer).encode()
    except PushError as failure:
        answer = {"refused": str(failure)}
    except Exception:
        logger.exception("a command failed")
        answer = {"refused": "it failed at that; its log says how"}
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
    """Ask the agent or service that runs on a state folder; None if there is none.

    :raises PushError: it refuses; the sentence says why.
    :raises PlatformUnavailable: it does not answer.
    """
    try:
        stream = await anyio.connect_unix(socket_of(state))
    except (OSError, AttributeError):
        return None
    try:
        async with stream:
            with anyio.fail_after(_PATIENCE):
                await stream.send(json.dumps(request).encode() + b"\n")
                answer = _parse(await BufferedByteReceiveStream(stream).receive_until(b"\n", _MAX_LINE))
    except (TimeoutError, anyio.IncompleteRead, anyio.DelimiterNotFound, anyio.BrokenResourceError, InvalidArgument):
        raise PlatformUnavailable(
            f"what runs on {state} does not answer; it may yet do what it was asked for"
        ) from None
    if "refused" in answer:
        raise PushError(answer["refused"])
    done: Answer = answer.get("done", {})
    return done
