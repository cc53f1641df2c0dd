"""``tocsin calling``: what a person sees, what a script reads, and calls between processes."""

from __future__ import annotations

import json
import re
import signal
import sys
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.cli.test_serve import ok
from tests.e2e.terminal import free_port
from tests.processes import PATIENCE, Listening, call, run, running
from tocsin.calling import (
    CallClient,
    CallState,
    CallTokenCredential,
    ConnectionState,
    ConnectionStateChangedEventArgs,
    IncomingCallReceivedEventArgs,
)
from tocsin.protocol.calling.call_token import read_call_token


def calling(state: Path, *options: str) -> AbstractAsyncContextManager[Listening]:
    """Run ``tocsin calling serve --json`` at a free port until the block is left, and wait until it listens."""
    return running("calling", "serve", "--json", "--log-json", "--port", "0", "--state", str(state), *options)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder that is meant where none is named."""
    monkeypatch.setenv("TOCSIN_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_users_are_shown_to_a_person(state: Path) -> None:
    """The raw id and, once, a token when one is added; all in columns later."""
    code, output, errors = call("calling", "users", "add", "ann", "--display-name", "Ann Lee")
    assert code == 0, errors
    (_, _, raw_id), (_, token) = (line.split(" ", 2) if "raw" in line else line.split() for line in output.splitlines())
    assert read_call_token(token).user.raw_id == raw_id.strip()
    assert "is not shown again: 'tocsin calling token ann' prints another." in errors
    assert call("calling", "users", "add", "tom", "--teams")[1].startswith("raw id  8:orgid:")
    code, output, _ = call("calling", "users")
    assert [line.split()[0] for line in output.splitlines()] == ["NAME", "ann", "tom"]
    assert output.splitlines()[1].split() == ["ann", "Ann", "Lee", "acs", raw_id.strip()]
    assert token not in output
    code, output, errors = call("calling", "token", "ann")
    assert (code, read_call_token(output.strip()).user.raw_id) == (0, raw_id.strip())
    assert errors.startswith("It is good until 20")
    assert call("calling", "users", "remove", "tom") == (0, "tom is removed\n", "")
    assert (state / "calling.db").exists()


@pytest.mark.usefixtures("state")
def test_scripts_read_json() -> None:
    """One object each, wherever the option stands."""
    added = json.loads(call("calling", "users", "--json", "add", "ann")[1])
    assert set(added) == {"name", "raw_id", "display_name", "kind", "created", "token", "expires"}
    issued = json.loads(call("calling", "token", "ann", "--lifetime", "3600", "--json")[1])
    assert issued["raw_id"] == added["raw_id"]
    listed = json.loads(call("calling", "users", "--json")[1])
    assert [each["name"] for each in listed["users"]] == ["ann"]
    assert json.loads(call("calling", "calls", "--json")[1]) == {"calls": [], "left_out": 0}
    assert json.loads(call("calling", "users", "remove", "ann", "--json")[1])["removed"] == "ann"
    assert call("calling", "users") == (0, "", "There is no user; 'tocsin calling users add NAME' adds one.\n")
    assert call("calling", "calls") == (0, "", "No call is open, and none has ended within a day.\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["users"], "there is no calling service's state in"),
        (["calls"], "there is no calling service's state in"),
        (["token", "ann"], "there is no calling service's state in"),
        (["users", "remove", "ann"], "there is no calling service's state in"),
        (["users", "add", "a\nb"], "a user's name"),
        (["ring", "ann"], "no calling service runs on"),
        (["serve", "--hub", "contoso-hub"], "--hub needs its secret as well: give TOCSIN_CALLING_HUB_CONNECTION"),
        (["serve", "--host", "0.0.0.0"], "others can reach 0.0.0.0"),  # noqa: S104
        (["serve", "--ring-time", "x"], "--ring-time is a number from 0.001 to 3600, not 'x'"),
        (["serve", "--dev-tls", "--tls-cert", "x.pem"], "dev_tls makes a certificate"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(state: Path, arguments: list[str], words: str) -> None:
    """Exit code 1, one line on standard error, nothing on standard output."""
    code, output, errors = call("calling", *arguments)
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert words in errors
    assert not (state / "calling.db").exists() or arguments[:2] == ["users", "add"]


def test_a_slip_in_a_variable_is_told(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its value would be missed."""
    monkeypatch.setenv("TOCSIN_CALLING_RINGTIME", "5")
    code, _, errors = call("calling", "users")
    assert (code, "TOCSIN_CALLING_RINGTIME has no meaning" in errors) == (1, True)
    assert not state.exists()


async def test_what_a_person_is_told_to_do_next_can_be_done(tmp_path: Path) -> None:
    """Each command that is named works on the state folder of the service that names it."""
    command = [sys.executable, "-m", "tocsin", "calling", "serve", "--port", "0", "--state", str(tmp_path)]
    async with await anyio.open_process(command) as process:
        try:
            assert process.stderr is not None
            errors = BufferedByteReceiveStream(process.stderr)
            with anyio.fail_after(PATIENCE):
                told = [(await errors.receive_until(b"\n", 4096)).decode() for _ in range(2)]
        finally:
            process.kill()
    named = re.findall("'tocsin (.*?)'", " ".join(told))
    state = f" --state {tmp_path}"
    assert named == [f"calling users add ann{state}", f"calling ring ann{state}", f"calling calls{state}"]


async def test_a_call_goes_from_process_to_process(tmp_path: Path) -> None:
    """Serve, add a user whose app answers, ring it, hang up by Ctrl-C, list the calls, stop: each by its own command."""
    state = str(tmp_path / "service")
    async with calling(tmp_path / "service") as server:
        assert server.first["rings_by"] == "connections"
        ann = await ok("calling", "users", "add", "ann", "--state", state)
        async with CallClient(server.first["url"], app="contoso.phone", state=tmp_path / "app") as client:
            agent = await client.create_call_agent(CallTokenCredential(ann["token"]))

            async def answer(args: IncomingCallReceivedEventArgs) -> None:
                assert args.incoming_call.caller_info.display_name == "tocsin"
                assert args.incoming_call.is_video_enabled
                taken = await args.incoming_call.accept()
                taken.state_changed.add(lambda args: connected.set() if args.state is CallState.CONNECTED else None)
                if taken.state is CallState.CONNECTED:
                    connected.set()

            connected = anyio.Event()  # here: the caller may hear of it first
            with agent.incoming_call_received(answer):
                async with running("calling", "ring", "ann", "--video", "--json", "--state", state) as ringing:
                    states = [ringing.first]
                    while states[-1].get("state") != "connected":
                        states.append(await ringing.event())
                    assert [each["state"] for each in states[1:]] == ["ringing", "connecting", "connected"]
                    with anyio.fail_after(PATIENCE):
                        await connected.wait()
                    (taken,) = agent.calls
                    assert taken.id == states[0]["call"]
                    ringing.process.send_signal(signal.SIGINT)
                    assert (await ringing.rest())[-1] == {
                        "event": "ended",
                        "code": 0,
                        "subcode": 0,
                        "reason": "A participant hung up.",
                    }
                    assert await ringing.wait() == 0
                    assert await ringing.errors() == ""
            with anyio.fail_after(PATIENCE):
                assert (await taken.wait_until_ended()).code == 0
        told = await ok("status", "--state", state)
        assert (told["status"], told["kind"], told["now"]["users"]) == ("ok", "calling service", 2)
        (listed,) = (await ok("calling", "calls", "--state", state))["calls"]
        assert (listed["call"], listed["caller"]["name"], listed["callee"]["name"]) == (taken.id, "tocsin", "ann")
        server.process.send_signal(signal.SIGTERM)
        assert await server.wait() == 0
        assert await server.errors() == "tocsin calling serve: stopping; once more ends it at once\n"
    code, output, _ = await anyio.to_thread.run_sync(partial(call, "calling", "calls", "--state", state))
    assert (code, output.splitlines()[1].split()[:4]) == (0, ["ended,", "video", "tocsin", "ann"])


async def test_a_call_that_rings_outlives_a_kill(tmp_path: Path) -> None:
    """The service is killed and started again: both sides come back to it, and the callee accepts."""
    state, port = str(tmp_path / "service"), str(free_port())
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(calling(tmp_path / "service", "--port", port))
        ann = await ok("calling", "users", "add", "ann", "--state", state)
        client = CallClient(first.first["url"], app="contoso.phone", state=tmp_path / "app")
        agent = await (await stack.enter_async_context(client)).create_call_agent(CallTokenCredential(ann["token"]))
        back, rings = anyio.Event(), anyio.Event()

        def note(args: ConnectionStateChangedEventArgs) -> None:
            if args.state is ConnectionState.CONNECTED:
                back.set()

        stack.enter_context(agent.incoming_call_received(lambda _: rings.set()))
        ringing = await stack.enter_async_context(running("calling", "ring", "ann", "--json", "--state", state))
        with anyio.fail_after(PATIENCE):
            await rings.wait()
        first.process.kill()
        await first.wait()
        stack.enter_context(agent.connection_state_changed(note))
        await stack.enter_async_context(calling(tmp_path / "service", "--port", port))
        with anyio.fail_after(PATIENCE):
            await back.wait()
        call = await agent.incoming_calls[0].accept()
        states = [""]
        while states[-1] != "connected":
            states.append((await ringing.event())["state"])
        await call.hang_up()
        assert (await ringing.rest())[-1]["reason"] == "A participant hung up."
        assert await ringing.wait() == 0
    assert states[1] == "ringing"


async def test_what_became_of_a_ring_is_in_the_exit_code(tmp_path: Path) -> None:
    """0 where it was declined, 1 where no device rang or none answered, 130 where it was given up while it rang."""
    state = str(tmp_path / "service")

    async def ring(name: str) -> tuple[int, list[str]]:
        code, output, errors = await run("calling", "ring", name, "--from", "Bob", "--state", state)
        assert errors == ""
        return code, output.splitlines()

    async with calling(tmp_path / "service", "--ring-time", "1.5") as server:
        ann = await ok("calling", "users", "add", "ann", "--state", state)
        assert await ring("ann") == (
            1,
            ["calling ann as Bob; Ctrl-C hangs up", "ended, 480/10037: The callee has no device that could ring."],
        )
        assert (await ring("8:acs:absent"))[1][0] == "calling 8:acs:absent as Bob; Ctrl-C hangs up"
        await ok("calling", "users", "add", "tom", "--teams", "--state", state)
        code, output, errors = await run("calling", "ring", "ann", "--from", "tom", "--state", state)
        assert (code, output.splitlines()[0], errors) == (1, "calling ann as tom; Ctrl-C hangs up", "")
        code, output, errors = await run("calling", "ring", "absent", "--state", state)
        assert (code, output, "there is no user 'absent'" in errors) == (1, "", True)
        async with CallClient(server.first["url"], app="contoso.phone", state=tmp_path / "app") as client:
            agent = await client.create_call_agent(CallTokenCredential(ann["token"]))

            async def decline(args: IncomingCallReceivedEventArgs) -> None:
                await args.incoming_call.reject()

            with agent.incoming_call_received(decline):
                code, (first, *rings, last) = await ring("ann")
                assert (code, first) == (0, "calling ann as Bob; Ctrl-C hangs up")
                assert last == "ended, 603/0: The callee declined."
                assert rings in (["ringing"], [])  # it may be declined before this end has heard that it rings
            assert await ring("ann") == (
                1,
                [
                    "calling ann as Bob; Ctrl-C hangs up",
                    "ringing",
                    "ended, 487/10004: The callee did not answer in time.",
                ],
            )
            async with running("calling", "ring", "ann", "--json", "--state", state) as ringing:
                assert (await ringing.event())["state"] == "ringing"
                ringing.process.send_signal(signal.SIGINT)
                rest: list[dict[str, Any]] = await ringing.rest()
                assert (rest[-1]["code"], rest[-1]["subcode"]) == (487, 0)
                assert await ringing.wait() == 130


async def test_a_user_without_a_display_name_rings_by_its_name(tmp_path: Path) -> None:
    """Where it calls from a terminal: a person would not know the raw id."""
    state = str(tmp_path / "service")
    shown: list[str] = []
    async with calling(tmp_path / "service") as server:
        ann = await ok("calling", "users", "add", "ann", "--state", state)
        await ok("calling", "users", "add", "bob", "--state", state)
        async with CallClient(server.first["url"], app="contoso.phone", state=tmp_path / "app") as client:
            agent = await client.create_call_agent(CallTokenCredential(ann["token"]))

            async def decline(args: IncomingCallReceivedEventArgs) -> None:
                shown.append(args.incoming_call.caller_info.shown)
                await args.incoming_call.reject()

            with agent.incoming_call_received(decline):
                assert (await run("calling", "ring", "ann", "--from", "bob", "--state", state))[0] == 0
    assert shown == ["bob"]


async def test_a_service_with_tls_is_rung_as_well(tmp_path: Path) -> None:
    """The command trusts the certificate that the service on this machine has made; a hangup reads it anew."""
    state = str(tmp_path)
    async with calling(tmp_path, "--dev-tls") as server:
        assert server.first["url"].startswith("https://127.0.0.1:")
        await ok("calling", "users", "add", "ann", "--state", state)
        code, output, errors = await run("calling", "ring", "ann", "--state", state)
        assert (code, errors) == (1, "")
        assert output.endswith("ended, 480/10037: The callee has no device that could ring.\n")
        server.process.send_signal(signal.SIGHUP)
        assert server.process.stderr is not None
        with anyio.fail_after(PATIENCE):
            logged = b""
            while b"was read anew" not in logged:
                logged += await server.process.stderr.receive()
