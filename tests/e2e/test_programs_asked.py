"""Real programs that embed the platform, asked by real commands: found, followed, killed and started again."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.processes import PATIENCE, listening, run, sender
from tocsin.transport.control_socket import ask, socket_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the command asks over Unix sockets")

PROGRAM = """
import asyncio
import sys
import tocsin


async def main():
    async with tocsin.embedded(app="contoso.mail", state=sys.argv[1], sensors=()) as manager:
        result = await manager.create_channel(manager.registration.remote_id)
        print(result.channel.uri, flush=True)
        async for args in result.channel.payloads():
            print(args.payload.decode(), flush=True)
            args.handled = True


asyncio.run(main())
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Processes and sockets: on asyncio."""
    return "asyncio"


@asynccontextmanager
async def program(state: Path) -> AsyncIterator[tuple[Process, BufferedByteReceiveStream, str]]:
    """Run a program until the block is left, and give what it prints, behind the URI of its channel."""
    command = [sys.executable, "-c", PROGRAM, str(state)]
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdout is not None
        output = BufferedByteReceiveStream(process.stdout)
        try:
            with anyio.fail_after(PATIENCE):
                uri = (await output.receive_until(b"\n", 4096)).decode()
            yield process, output, uri
        finally:
            if process.returncode is None:
                process.kill()


async def test_a_secret_of_a_running_program_pushes_to_it(tmp_path: Path) -> None:
    """Who has neither id nor secret asks for them, while the program runs, and pushes from the command line."""
    state = ("--state", str(tmp_path / "state"))
    async with program(tmp_path / "state") as (_, output, uri):
        code, rotated, errors = await run("app", "rotate", "contoso.mail", "--json", *state)
        assert (code, errors) == (0, "")
        app = json.loads(rotated)
        secrets = ("--client-id", app["client_id"], "--client-secret", app["client_secret"])
        code, _, errors = await run("send", uri, "Hello", *secrets)
        assert (code, errors) == (0, "")
        with anyio.fail_after(PATIENCE):
            assert await output.receive_until(b"\n", 64) == b"Hello"


async def test_a_killed_program_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    """Behind a kill nothing answers, and the next program on the folder is asked as the first was."""
    state = tmp_path / "state"
    async with program(state) as (first, _, uri):
        first.kill()
        await first.wait()
        assert socket_of(state).exists()
        code, _, errors = await run("status", "--state", str(state))
        assert (code, f"no agent, no program and no service runs on {state}" in errors) == (1, True)
        code, listed, _ = await run("app", "list", "--json", "--state", str(state))  # of the store, while nothing runs
        assert (code, [app["name"] for app in json.loads(listed)["apps"]]) == (0, ["contoso.mail"])
    async with program(state) as (second, _, again):
        assert again == uri
        told = await ask(state, {"verb": "status"})
        assert told is not None
        assert (told["pid"], told["status"]) == (second.pid, "ok")


async def test_who_follows_a_program_hears_of_its_end(tmp_path: Path) -> None:
    """The command prints each stage, and ends with the program, in words; the socket is gone then."""
    state = tmp_path / "state"
    command = [sys.executable, "-m", "tocsin", "tail", "--json", "--state", str(state)]
    async with listening(state) as listener, await anyio.open_process(command) as tail:
        assert tail.stdout is not None
        assert tail.stderr is not None
        with anyio.fail_after(PATIENCE):
            while not ((await ask(state, {"verb": "status"})) or {})["now"]["followers"]:  # noqa: ASYNC110  # it is another process
                await anyio.sleep(0.01)
            async with sender(listener.first) as server:
                await server.push(b"ding")
            assert (await listener.event())["text"] == "ding"
            stages: list[str] = []
            output = BufferedByteReceiveStream(tail.stdout)
            while not {"received", "handled"} <= {*stages}:
                stages.append(json.loads(await output.receive_until(b"\n", 4096))["stage"])
            listener.process.send_signal(signal.SIGINT)
            assert await listener.wait() == 0
            assert await tail.wait() == 0
            said = b"".join([chunk async for chunk in tail.stderr]).decode()
    assert said == "tocsin tail: what was followed has ended\n"
    assert sorted(stages) == ["accepted", "handled", "offered", "received", "stored"]
    assert not socket_of(state).exists()


async def test_a_listen_that_runs_is_found(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By commands that are given no folder, where it is the one that runs for this user."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("TOCSIN_STATE", raising=False)
    state = home / ".local" / "state" / "tocsin" / "listen"
    async with listening(state) as listener:
        code, output, errors = await run("status")
        assert (code, errors) == (0, "")
        assert output.startswith(f"ok  program tocsin.listen, process {listener.process.pid}, push service http://")
        code, output, errors = await run("app", "list")
        assert (code, errors) == (0, f"tocsin app: this is of the push service in 'tocsin listen', on {state}\n")
        assert output.startswith(f"tocsin.listen  client id {listener.first['client_id']}")


async def test_a_command_that_sends_nonsense_harms_no_program(tmp_path: Path) -> None:
    """What is too long, no JSON or broken off is refused or left, and the program goes on."""
    state = tmp_path / "state"
    async with program(state) as (process, _, _):
        for line in (b"x" * 20_000, b"[]\n", b'{"verb": []}\n', b'{"verb"', os.urandom(64) + b"\n"):
            async with await anyio.connect_unix(socket_of(state)) as stream:
                await stream.send(line)
                if line.endswith(b"\n") or len(line) > 100:
                    answer = await BufferedByteReceiveStream(stream).receive_until(b"\n", 4096)
                    assert "refused" in json.loads(answer)
        told = await ask(state, {"verb": "status"})
        assert told is not None
        assert (told["pid"], told["status"]) == (process.pid, "ok")
