"""The command's way to a running service."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import stat
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream, SocketListener, SocketStream, TaskStatus
from anyio.streams.buffered import BufferedByteReceiveStream
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.service.world import Clock
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.errors import NotFound, PlatformUnavailable, PushError, StateUnavailable
from tocsin.protocol.hresult import HResult
from tocsin.service.control import ask_or_perform, perform
from tocsin.service.registry.apps import Apps, SecretVerdict
from tocsin.service.registry.service_store import ServiceStore
from tocsin.transport import control_socket, unix_server
from tocsin.transport.control_socket import _reply, ask, serving_control, socket_of
from tocsin.transport.unix_server import serving_unix


async def echo(request: dict[str, Any]) -> dict[str, Any]:
    """Answer with what was asked, or refuse."""
    if "refuse" in request:
        raise PushError("no")
    return request


async def test_a_question_is_answered(tmp_path: Path) -> None:
    """Answers and refusals come back, one after the other."""
    async with serving_control(tmp_path, echo, "service"):
        assert await ask(tmp_path, {"verb": "x"}) == {"verb": "x"}
        with pytest.raises(PushError, match="no"):
            await ask(tmp_path, {"refuse": True})
        assert await ask(tmp_path, {}) == {}


async def test_a_refusal_is_raised_as_the_error_that_it_was(tmp_path: Path) -> None:
    """So a script finds the same kind and code whether a service runs or not; one of an earlier version says neither."""

    async def refuse(request: dict[str, Any]) -> dict[str, Any]:
        raise NotFound(request["verb"]) if request["verb"] else StateUnavailable("full", in_doubt=True)

    async with serving_control(tmp_path, refuse, "service"):
        with pytest.raises(NotFound, match=r"^no such app$") as refused:
            await ask(tmp_path, {"verb": "no such app"})
        assert refused.value.hresult == HResult.ERROR_NOT_FOUND
        with pytest.raises(StateUnavailable, match=r"^full; whether this was written is not known$"):
            await ask(tmp_path, {"verb": ""})

    async def serve(stream: ByteStream) -> None:
        await stream.receive()
        await stream.send(b'{"refused": "no"}\n')

    async with serving_unix(socket_of(tmp_path), serve, at_once=1, what="a command"):
        with pytest.raises(PushError, match=r"^no$") as plain:
            await ask(tmp_path, {})
    assert (type(plain.value), plain.value.hresult) == (PushError, HResult.E_FAIL)


async def test_one_that_asks_nothing_is_left_without_a_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After a while, so that it takes no other's turn; that is no fault of ours."""
    monkeypatch.setattr(control_socket, "_PATIENCE", 0.01)
    async with (
        serving_control(tmp_path, echo, "service"),
        await anyio.connect_unix(socket_of(tmp_path)) as stream,
    ):
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


async def test_what_was_done_is_said_although_it_ends(tmp_path: Path) -> None:
    """A command that ends the program that answers it gets its answer all the same."""
    ending = anyio.Event()

    async def end(request: dict[str, Any]) -> dict[str, Any]:
        ending.set()
        return request

    async def serve(*, task_status: TaskStatus[None]) -> None:
        async with serving_control(tmp_path, end, "service"):
            task_status.started()
            await ending.wait()

    async with anyio.create_task_group() as tasks:
        await tasks.start(serve)
        assert await ask(tmp_path, {"verb": "end"}) == {"verb": "end"}


async def test_the_socket_is_private_and_goes_with_the_service(tmp_path: Path) -> None:
    """Only its user may open it; one that a killed service left behind is replaced."""
    async with serving_control(tmp_path, echo, "service"):
        assert stat.S_IMODE(socket_of(tmp_path).stat().st_mode) == 0o600
    assert not socket_of(tmp_path).exists()
    assert await ask(tmp_path, {}) is None
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(socket_of(tmp_path)))
    async with serving_control(tmp_path, echo, "service"):
        assert await ask(tmp_path, {}) == {}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("refuse"), inner),
    max_leaves=8,
)

NONSENSE = {
    "no JSON": b"nonsense",
    "nothing": b"",
    "a list": b"[]",
    "a text": b'"x"',
    "a number": b"1",
    "null": b"null",
    "no UTF-8": b"\xff\xfe",
    "a null byte": b"\x00",
    "too deep": b"[" * 10_000,
    "objects too deep": b'{"a":' * 3_000 + b"1" + b"}" * 3_000,
    "too many digits": b'{"verb":' + b"9" * 5_000 + b"}",
    "not a number": b'{"verb": NaN, "name": -Infinity}',
    "a verb that is none": b'{"verb": "\\ud800"}',
    "a list for a verb": b'{"verb": []}',
    "a name that is null": b'{"verb": "add", "name": null}',
    "a name of half a character": b'{"verb": "add", "name": "\\ud800"}',
    "a family that is an object": b'{"verb": "add", "name": "a", "family": {}}',
    "no name": b'{"verb": "rotate"}',
    "too long": b"x" * 20_000,
}


async def say(state: Path, line: bytes) -> dict[str, Any]:
    """Send a line that the command would not send, and return the answer."""
    async with await anyio.connect_unix(socket_of(state)) as stream:
        with suppress(anyio.BrokenResourceError):  # the service has read enough
            await stream.send(line + b"\n")
        answer: dict[str, Any] = json.loads(await BufferedByteReceiveStream(stream).receive_until(b"\n", 4096))
        return answer


@pytest.mark.parametrize("line", NONSENSE.values(), ids=NONSENSE)
async def test_nonsense_is_refused_in_words(tmp_path: Path, registrations: Apps, line: bytes) -> None:
    """Whatever stands in a line, the service says what is wrong with it, and goes on."""
    async with serving_control(tmp_path, partial(perform, registrations), "service"):
        answer = await say(tmp_path, line)
        assert list(answer) == ["refused", "kind", "hresult"]
        assert await ask(tmp_path, {"verb": "list"}) == {"apps": []}


@given(JSON_VALUES)
@settings(deadline=None)
def test_any_json_is_answered(value: object) -> None:
    """A property, over all that JSON can say: one line with one answer, and the service lives."""

    async def run() -> None:
        answer = await _reply(json.dumps(value).encode(), echo)
        assert isinstance(answer, bytes)
        reply = json.loads(answer)
        assert reply == {"done": value} or set(reply) == {"refused", "kind", "hresult"}
        assert ("done" in reply) == (isinstance(value, dict) and "refuse" not in value)

    anyio.run(run)


async def test_who_closes_at_any_moment_is_forgotten(tmp_path: Path) -> None:
    """Before the line, in it, or before the answer."""
    async with serving_control(tmp_path, echo, "service"):
        for part in (b"", b'{"verb"', b"{}\n"):
            async with await anyio.connect_unix(socket_of(tmp_path)) as stream:
                if part:
                    await stream.send(part)
        assert await ask(tmp_path, {}) == {}


async def test_a_fault_of_ours_is_told_and_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The command that meets it hears of it; the next is answered as always."""

    async def fail(request: dict[str, Any]) -> dict[str, Any]:
        if "raise" in request:
            raise RuntimeError("planted")
        return {"never": object()} if "unheard of" in request else request

    async with serving_control(tmp_path, fail, "service"):
        for request in ({"raise": 1}, {"unheard of": 1}):
            with pytest.raises(PushError, match="its log says how"):
                await ask(tmp_path, request)
        assert await ask(tmp_path, {}) == {}
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == ["a command failed"] * 2


async def test_a_system_without_descriptors_lets_commands_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is said once, tried again, and answered when it works."""
    full = [OSError(errno.EMFILE, "Too many open files") for _ in range(2)]
    create = SocketListener.from_socket

    async def create_full(bound: socket.socket) -> SocketListener:
        listener = await create(bound)
        accept = listener.accept

        async def accept_later() -> SocketStream:
            if full:
                raise anyio.BrokenResourceError from full.pop()
            return await accept()

        monkeypatch.setattr(listener, "accept", accept_later)
        return listener

    monkeypatch.setattr(SocketListener, "from_socket", create_full)
    monkeypatch.setattr(unix_server, "_PAUSE", 0.0)
    async with serving_control(tmp_path, echo, "service"):
        assert await ask(tmp_path, {}) == {}
    assert caplog.text.count("Too many open files") == 1


async def test_a_bounded_number_is_answered_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who say nothing hold places; when one goes, the next has its turn."""
    monkeypatch.setattr(control_socket, "_AT_ONCE", 2)
    async with serving_control(tmp_path, echo, "service"), AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(await anyio.connect_unix(socket_of(tmp_path))) for _ in range(2)]
        await anyio.wait_all_tasks_blocked()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, tmp_path, {})
            await anyio.wait_all_tasks_blocked()
            await silent[0].aclose()


async def test_where_there_can_be_no_socket_the_service_runs_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A path that is too long for a socket is told in the log."""
    long = tmp_path / ("x" * 100)
    async with serving_control(long, echo, "service"):
        assert await ask(long, {}) is None
    assert "cannot reach this service" in caplog.text


async def test_apps_come_and_go(registrations: Apps) -> None:
    """What is printed is what counts: secrets, ids, names."""
    added = await perform(registrations, {"verb": "add", "name": "contoso", "family": "Contoso_1"})
    assert registrations.verify(added["client_id"], added["client_secret"]) is SecretVerdict.VALID
    rotated = await perform(registrations, {"verb": "rotate", "name": "contoso"})
    for secret in (added["client_secret"], rotated["client_secret"]):
        assert registrations.verify(added["client_id"], secret) is SecretVerdict.VALID
    assert rotated["remote_id"] == added["remote_id"]
    (listed,) = (await perform(registrations, {"verb": "list"}))["apps"]
    assert listed == {
        "name": "contoso", "family": "Contoso_1", "client_id": added["client_id"], "remote_id": added["remote_id"],
        "secrets": 2,
    }  # fmt: skip
    assert added["client_secret"] not in json.dumps(listed)
    assert await perform(registrations, {"verb": "remove", "name": "contoso"}) == {"removed": "contoso"}
    assert (await perform(registrations, {"verb": "list"}))["apps"] == []


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"verb": "add", "name": "contoso"}, "registered as 'contoso' already"),
        ({"verb": "add", "name": "other", "family": "F_1"}, "'F_1' is that of the app 'contoso'"),
        ({"verb": "add", "name": ""}, "1 to 128 printable characters"),
        ({"verb": "add", "name": "x", "family": "\n"}, "1 to 128 printable characters"),
        ({"verb": "rotate", "name": "nobody"}, "no app is registered as 'nobody'"),
        ({"verb": "remove", "name": "nobody"}, "no app is registered as 'nobody'"),
        (
            {"verb": "explode"},
            "the push service that runs on this folder does not know how to 'explode': name the folder",
        ),
        ({}, "does not know how to ''"),
    ],
)
async def test_what_cannot_be_is_refused(registrations: Apps, request_: dict[str, Any], words: str) -> None:
    """The sentence says why."""
    await perform(registrations, {"verb": "add", "name": "contoso", "family": "F_1"})
    with pytest.raises(PushError, match=words):
        await perform(registrations, request_)


async def test_the_family_outlives_a_restart(store: ServiceStore, registrations: Apps, clock: Clock) -> None:
    """It is stored with the app."""
    await registrations.add("contoso", "Contoso_1")
    assert [app.family for app in (await Apps.load(store, clock)).apps()] == ["Contoso_1"]


async def test_without_a_service_the_store_is_opened(tmp_path: Path) -> None:
    """What is done then is there for the next; a folder that another process holds is refused."""
    await ask_or_perform(tmp_path, {"verb": "add", "name": "contoso"})
    assert [app["name"] for app in (await ask_or_perform(tmp_path, {"verb": "list"}))["apps"]] == ["contoso"]
    refusal = (
        f"^process {os.getpid()} holds {tmp_path} and takes no commands; its log may say why: try again once it has"
    )
    with state_folder(tmp_path), pytest.raises(StateUnavailable, match=refusal):
        await ask_or_perform(tmp_path, {"verb": "list"})


async def test_a_service_that_does_not_answer_is_told(tmp_path: Path) -> None:
    """A connection that is closed without a word is an error."""

    async def close(stream: anyio.abc.ByteStream) -> None:
        await stream.aclose()

    async with await anyio.create_unix_listener(socket_of(tmp_path)) as listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, close)
        with pytest.raises(PlatformUnavailable, match="does not answer"):
            await ask(tmp_path, {})
        group.cancel_scope.cancel()
