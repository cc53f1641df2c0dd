"""``tocsin listen`` as a process: what it prints, how it ends, and what it says when it cannot."""

from __future__ import annotations

import base64
import json
import os
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import frozen

from tests.processes import PATIENCE, call, listening, run, sender
from tocsin.api.registration import Registration
from tocsin.cli import listen
from tocsin.cli.render import lines_to_push


async def test_payloads_are_printed_as_they_were_sent(tmp_path: Path) -> None:
    """Text, random bytes and a zero byte come out equal, and with the last one the command ends with 0."""
    noise = os.urandom(5000)
    async with listening(tmp_path, "--count", "3") as listener, sender(listener.first) as server:
        for body in ("Grüße".encode(), noise, b"\x00"):
            status, headers = await server.push(body)
            assert (status, headers["x-wns-status"], headers["x-wns-notificationstatus"]) == (
                200,
                "received",
                "received",
            )
        events = await listener.rest()
        assert await listener.wait() == 0
        assert await listener.errors() == ""
    assert [event["event"] for event in events] == ["payload"] * 3
    assert [base64.b64decode(event["base64"]) for event in events] == ["Grüße".encode(), noise, b"\x00"]
    assert [event["text"] for event in events] == ["Grüße", None, "\x00"]
    assert {(event["type"], event["attempt"]) for event in events} == {("raw", 1)}


async def test_a_push_subscription_is_printed_as_senders_take_it(tmp_path: Path) -> None:
    """The line for a person pushes to it, and the payload is the plaintext."""
    async with listening(tmp_path, "--web-push", "--count", "1") as listener:
        assert listener.first["event"] == "subscription"
        code, said, errors = await run(
            "webpush", "send", "-", "Grüße", "--json", stdin=json.dumps(listener.first).encode()
        )
        assert (code, errors, json.loads(said)["http_status"]) == (0, "", 201)
        (event,) = await listener.rest()
        assert (event["type"], event["text"]) == ("raw", "Grüße")
        assert await listener.wait() == 0


@frozen
class Standing:
    """A running command: its process, its folder and its first line."""

    pid: int
    state: Path
    first: dict[str, Any]


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """Run one command on a folder for the tests that only look at it."""
    state = tmp_path_factory.mktemp("listening") / "state"
    command = [sys.executable, "-m", "tocsin", "listen", "--json", "--state", str(state)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603  # ours
        assert process.stdout is not None
        try:
            yield Standing(process.pid, state, json.loads(process.stdout.readline()))
        finally:
            process.kill()


def test_the_first_line_is_the_channel(standing: Standing) -> None:
    """A script finds all that a sender needs in the first line."""
    first = standing.first
    assert set(first) == {
        "event", "uri", "expires", "token_url", "aad_token_url", "client_id", "client_secret", "page",
    }  # fmt: skip
    assert first["event"] == "channel"
    assert first["uri"].startswith("http://127.0.0.1:")
    assert first["page"] == first["uri"].partition("w/?")[0]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_quietly(tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C ends the command with exit code 0 and without a word."""
    async with listening(tmp_path) as listener:
        listener.process.send_signal(number)
        assert await listener.wait() == 0
        assert await listener.errors() == ""


_INTERRUPTED_AT_ONCE = """
import os, signal, sys
from contextlib import asynccontextmanager
import anyio
from tocsin.cli import listen, main

@asynccontextmanager
async def embedded(*_, **__):
    os.kill(os.getpid(), signal.SIGINT)
    await anyio.sleep_forever()
    yield

listen.embedded = embedded
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--count", "1"), 130), (("--timeout", "9"), 0)])
async def test_interrupted_before_it_listens(tmp_path: Path, options: tuple[str, ...], code: int) -> None:
    """While the platform is being opened: as at any later moment."""
    command = [sys.executable, "-c", _INTERRUPTED_AT_ONCE, "listen", "--json", "--state", str(tmp_path), *options]
    with anyio.fail_after(PATIENCE):
        ended = await anyio.run_process(command, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (code, b"", b"")


async def test_interrupted_before_the_count_is_an_interruption(tmp_path: Path) -> None:
    """A script that wanted payloads can tell that it did not get them."""
    async with listening(tmp_path, "--count", "1") as listener:
        listener.process.send_signal(signal.SIGINT)
        assert await listener.wait() == 130


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--count", "1"), 130), (("--timeout", "9"), 0)])
def test_one_that_is_ended_while_it_opens_ends_as_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], code: int
) -> None:
    """There is no channel by then, and nothing to say."""

    @asynccontextmanager
    async def opening(*_: object, **__: object) -> AsyncIterator[None]:
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep_forever()
        yield

    monkeypatch.setattr(listen, "embedded", opening)
    assert call("listen", "--json", "--state", str(tmp_path), *options) == (code, "", "")


async def test_the_channel_outlives_a_restart_and_nothing_comes_twice(tmp_path: Path) -> None:
    """Started again on the same state, URI and secret are the same and valid, also with a token from before."""
    async with listening(tmp_path, "--count", "1") as before, sender(before.first) as server:
        await server.push(b"one")
        assert (await before.event())["text"] == "one"
        assert await before.wait() == 0
        async with listening(tmp_path, "--count", "1") as after:
            assert after.uri == before.uri
            assert after.first["client_secret"] == before.first["client_secret"]
            assert (tmp_path / "secrets.json").stat().st_mode & 0o777 == 0o600
            assert (await server.push(b"two"))[1]["x-wns-status"] == "received"
            assert [event["text"] for event in await after.rest()] == ["two"]


async def test_what_was_accepted_but_not_printed_comes_next_time(tmp_path: Path) -> None:
    """With a count, the payloads behind the last one wait for the next start, on the device or with the service."""
    async with listening(tmp_path, "--count", "1") as listener, sender(listener.first) as server:
        uri = urlsplit(listener.uri)
        head = (
            f"POST {uri.path}?{uri.query} HTTP/1.1\r\nHost: {uri.netloc}\r\nAuthorization: Bearer {server.token}\r\nConnection: close\r\n"
            "X-WNS-Type: wns/raw\r\nX-WNS-Cache-Policy: cache\r\nContent-Type: application/octet-stream\r\n"
            "Content-Length: 1\r\n\r\n"
        )
        listener.process.send_signal(signal.SIGSTOP)  # all three are there when it goes on
        async with AsyncExitStack() as stack:
            senders = []
            for body in "123":
                stream = await anyio.connect_tcp(uri.hostname or "", uri.port or 0)
                senders.append(await stack.enter_async_context(stream))
                await stream.send((head + body).encode())
            listener.process.send_signal(signal.SIGCONT)
            for stream in senders:
                answer = b"".join([chunk async for chunk in stream]).lower()
                assert b"x-wns-status: received" in answer, answer
        assert (await listener.wait()) == 0
        first = (await listener.rest())[0]["text"]
    async with listening(tmp_path, "--count", "2") as listener:
        rest = [event["text"] for event in await listener.rest()]
    assert sorted([first, *rest]) == ["1", "2", "3"]


def test_a_second_listener_on_the_same_state_is_turned_away(standing: Standing) -> None:
    """One sentence names the holder and the way out, and the exit code is 1."""
    code, output, errors = call("listen", "--state", str(standing.state))
    assert (code, output) == (1, "")
    assert errors == (
        f"tocsin listen: the state folder {standing.state} is in use by process {standing.pid};"
        " give this one another --state\n"
    )


def test_a_port_in_use_is_said_in_a_sentence(tmp_path: Path) -> None:
    """A port that was asked for and is taken ends the command."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, output, errors = call("listen", "--state", str(tmp_path), "--port", str(port))
    assert (code, output) == (1, "")
    assert f"port {port}" in errors
    assert "in use" in errors
    assert errors.count("\n") == 1


async def test_a_remembered_port_that_is_taken_gives_a_new_channel_and_says_so(tmp_path: Path) -> None:
    """When the old port is taken, another is chosen, the channel is new, and both are announced."""
    async with listening(tmp_path) as before:
        before.process.send_signal(signal.SIGINT)
        await before.wait()
    port = int(before.uri.split(":")[2].split("/")[0])
    with socket.create_server(("127.0.0.1", port)):
        async with listening(tmp_path) as after:
            assert after.uri != before.uri
            assert after.first["port_changed_from"] == port
            async with sender(after.first) as server:
                assert (await server.push(b"here"))[0] == 200
                assert (await after.event())["text"] == "here"


def test_a_state_folder_that_cannot_be_made_is_said_in_a_sentence(tmp_path: Path) -> None:
    """A folder below a file ends the command with what stands in its place."""
    (tmp_path / "file").write_text("mine")
    code, _, errors = call("listen", "--state", str(tmp_path / "file" / "state"))
    assert code == 1
    words = f"{tmp_path}/file is a file, and no folder; give another --state"
    assert errors == f"tocsin listen: the state folder {tmp_path}/file/state cannot be used: {words}\n"
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["platform.db", "service.db"])
def test_a_corrupt_database_is_said_in_a_sentence_and_left_alone(tmp_path: Path, name: str) -> None:
    """Nothing is overwritten: what can still be saved, can be saved."""
    (tmp_path / name).write_bytes(b"this is no database, but it may be precious" * 100)
    code, _, errors = call("listen", "--state", str(tmp_path))
    assert code == 1
    assert "corrupt" in errors
    assert errors.count("\n") == 1
    assert (tmp_path / name).read_bytes() == b"this is no database, but it may be precious" * 100


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    """A SQLite file that is not Tocsin's is not touched."""
    with sqlite3.connect(tmp_path / "platform.db") as database:
        database.execute("CREATE TABLE recipe (name TEXT)")
    database.close()
    before = (tmp_path / "platform.db").read_bytes()
    code, _, errors = call("listen", "--state", str(tmp_path))
    assert code == 1
    assert "another program" in errors
    assert (tmp_path / "platform.db").read_bytes() == before


def test_files_are_private_to_the_user(standing: Standing) -> None:
    """No other user can read the channel, the inbox or the keys."""
    state = standing.state
    modes = {path.name: path.stat().st_mode & 0o777 for path in state.iterdir()}
    assert state.stat().st_mode & 0o777 == 0o700
    assert set(modes.values()) == {0o600}, modes


async def test_a_reader_that_leaves_ends_it_without_a_traceback(tmp_path: Path) -> None:
    """A closed pipe is a way to end the command."""
    state, errors = tmp_path / "state", tmp_path / "errors"
    pipeline = (
        f"{sys.executable} -m tocsin listen --json --state {state} 2>{errors} | head -n 1; echo ${{PIPESTATUS[0]}}"
    )
    async with await anyio.open_process(["bash", "-c", pipeline]) as process:
        assert process.stdout is not None
        output = BufferedByteReceiveStream(process.stdout)
        with anyio.fail_after(20):
            first = json.loads(await output.receive_until(b"\n", 4096))
            async with sender(first) as server:
                await server.push(b"nobody reads this")
            assert await output.receive_until(b"\n", 16) == b"1"
    assert errors.read_text() == ""


@pytest.mark.parametrize(
    ("option", "value"), [("--count", "0"), ("--count", "x"), ("--port", "65536"), ("--port", "-1")]
)
def test_wrong_options_are_explained(option: str, value: str) -> None:
    """Wrong usage is exit code 2 with the option's name."""
    code, _, errors = call("listen", option, value)
    assert code == 2
    assert option in errors


async def test_for_a_person_it_prints_lines_to_paste(tmp_path: Path) -> None:
    """The two lines that it prints, pasted into a shell, push a payload that it prints."""
    command = ["-m", "tocsin", "listen", "--count", "1", "--state", str(tmp_path)]
    async with await anyio.open_process([sys.executable, *command]) as process:
        assert process.stdout is not None
        text = ""
        with anyio.fail_after(20):
            while "Ctrl-C ends" not in text:
                text += (await process.stdout.receive()).decode()
            lines = [line for line in text.splitlines() if "curl" in line]
            done = await anyio.run_process(["bash", "-c", "\n".join(lines)])
            assert b"200 OK" in done.stdout
            async for chunk in process.stdout:
                text += chunk.decode()
            assert await process.wait() == 0
    assert text.rstrip().endswith("raw  13 bytes  Hello, Tocsin")


def test_where_there_is_no_curl_the_line_is_one_of_this_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian comes without curl."""
    own = Registration("remote", "id", "secret", "http://127.0.0.1/t", "http://127.0.0.1/a")
    monkeypatch.setattr("shutil.which", lambda *_names, **_path: None)
    line = lines_to_push("http://127.0.0.1/w/?token=1", own)
    assert shlex.split(line)[:4] == ["tocsin", "send", "http://127.0.0.1/w/?token=1", "Hello, Tocsin"]
