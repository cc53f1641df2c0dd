"""How the ``tocsin`` command talks to a running service: a socket in the state folder that only its user may open.

One line of JSON asks, one line answers. Where no service runs, the command does the same on the store by itself.
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

from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.errors import InvalidArgument, NotFound, PlatformUnavailable, PushError
from tocsin.protocol.text import quoted
from tocsin.service.registry.apps import AppRegistration, Apps
from tocsin.service.registry.sqlite_service_store import has_store, open_store
from tocsin.service.registry.steady_clock import SteadyClock
from tocsin.transport.unix_server import serving_unix

Answer = dict[str, Any]
Perform = Callable[[Answer], Awaitable[Answer]]

_MAX_LINE = 16 * 1024 * 1024
_MAX_REQUEST = 16 * 1024
_PATIENCE = 15.0  # seconds; what the store is waited for at most is less, unless a setting makes it more
_AT_ONCE = 16  # commands that are answered at a time; others wait their turn

logger = logging.getLogger(__name__)


def socket_of(state: Path) -> Path:
    """Return the socket of a state folder."""
    return state / "control"


async def perform(registrations: Apps, request: Answer) -> Answer:
    """Do what is asked about app registrations.

    :raises PushError: it cannot be done; the sentence says why.
    """
    name = _text(request, "name")
    match _text(request, "verb"):
        case "add":
            return _with_secret(await registrations.add(name, _text(request, "family")))
        case "rotate":
            return _with_secret(await registrations.rotate(name))
        case "remove":
            await registrations.remove(name)
            return {"removed": name}
        case "list":
            apps = [
                {
                    "name": app.name,
                    "family": app.family or None,
                    "client_id": app.client_id,
                    "remote_id": app.remote_id,
                    "secrets": registrations.living_secrets(app.client_id),
                }
                for app in registrations.apps()
            ]
            return {"apps": apps}
        case other:
            raise PlatformUnavailable(f"this service does not know how to {quoted(other)}")


def _text(request: Answer, field: str) -> str:
    value = request.get(field, "")
    if not isinstance(value, str):
        raise InvalidArgument(f"{quoted(field)} is a text in JSON, not {type(value).__name__}")
    return value


def _with_secret(app: AppRegistration) -> Answer:
    return {
        "name": app.name,
        "family": app.family or None,
        "client_id": app.client_id,
        "client_secret": app.client_secret,
        "remote_id": app.remote_id,
    }


@asynccontextmanager
async def serving_control(state: Path, perform: Perform) -> AsyncIterator[None]:
    """Answer the command while the block runs; where that is impossible, say so in the log."""

    async def answer(stream: ByteStream) -> None:
        with anyio.move_on_after(_PATIENCE):
            await _answer(stream, perform)

    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(serving_unix(socket_of(state), answer, at_once=_AT_ONCE, what="a command"))
        except PlatformUnavailable as failure:
            logger.warning("'tocsin app' and 'tocsin status --state' cannot reach this service: %s", failure)
        yield


async def _answer(stream: ByteStream, perform: Perform) -> None:
    try:
        line = await BufferedByteReceiveStream(stream).receive_until(b"\n", _MAX_REQUEST)
        await stream.send(await _reply(line, perform) + b"\n")
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
        answer = {"refused": "the service failed at that; its log says how"}
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
    """Ask the service that runs on a state folder; None if there is none.

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
            f"the service on {state} does not answer; it may yet do what it was asked for"
        ) from None
    if "refused" in answer:
        raise PushError(answer["refused"])
    done: Answer = answer.get("done", {})
    return done


async def ask_or_perform(state: Path, request: Answer) -> Answer:
    """Ask the service that runs on a state folder, or do it on the store where none does.

    :raises NotFound: there is no store, and the request is not one that makes one.
    :raises PushError: it cannot be done; the sentence says why.
    """
    done = await ask(state, request)
    if done is not None:
        return done
    if request.get("verb") != "add" and not await has_store(state):
        raise NotFound(f"there is no push service's state in {state}; name its folder with --state")
    with state_folder(state) as folder:
        async with open_store(folder) as store:
            return await perform(await Apps.load(store, await SteadyClock.load(store)), request)
