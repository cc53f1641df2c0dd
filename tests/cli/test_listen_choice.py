"""``tocsin listen`` that takes some payloads, for some time, and runs a command for each."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from pathlib import Path
from time import perf_counter

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.processes import call, listening, run, sender
from tocsin.api.args import CanceledHandler
from tocsin.cli.command_line import Parser, WrongUsage
from tocsin.cli.listen import time_is_over
from tocsin.cli.payload_choice import PayloadChoice, add_choice_options, choice_of
from tocsin.cli.payload_command import PayloadCommand, command_words
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.values import NotificationType
from tocsin.testing import received

TOAST = b"<toast><visual><binding template='ToastGeneric'><text>order 12</text></binding></visual></toast>"

SHOWN = {"X-WNS-Type": "wns/toast", "Content-Type": "text/xml"}

LATE = CancellationReason.EXECUTION_TIME_EXCEEDED


def chosen(*words: str) -> PayloadChoice:
    """Read the options."""
    parser = Parser()
    add_choice_options(parser)
    return choice_of(parser.parse_args(words))


@pytest.mark.parametrize(
    ("words", "takes"),
    [
        ([], True),
        (["--type", "raw"], True),
        (["--type", "toast"], False),
        (["--type", "toast", "--type", "raw"], True),
        (["--grep", "order [0-9]+"], True),
        (["--grep", "^12"], False),
        (["--type", "toast", "--grep", "order"], False),
        (["--grep", "\ufffd"], True),
    ],
)
def test_a_choice_is_by_type_and_by_text(words: list[str], takes: bool) -> None:
    """Of several types one is enough, and both kinds of choice have to be met; bytes that are no text stand as U+FFFD."""
    assert chosen(*words).takes("id", NotificationType.RAW, b"order 12 \xff") is takes


def test_a_search_has_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A payload that would keep the listener for years is passed over, and named."""
    began = perf_counter()
    assert not chosen("--grep", "(a|aa)+$").takes("7A", NotificationType.RAW, b"a" * 4_999 + b"!")
    assert perf_counter() - began < 10
    assert capsys.readouterr().err == "tocsin listen: --grep takes too long in payload 7A, which is passed over\n"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--grep", "("], "argument --grep: '(' is no pattern: missing ) at position 1"),
        (["--grep", "x" * 1_001], "argument --grep: a pattern has 1000 characters at most, not 1001"),
        (["--type", "tost"], "argument --type: there is no 'tost'; did you mean 'toast'?"),
    ],
)
def test_a_choice_that_is_none_is_refused(words: list[str], sentence: str) -> None:
    """With what is wrong with it."""
    with pytest.raises(WrongUsage) as wrong:
        chosen(*words)
    assert str(wrong.value) == sentence


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--exec", "'"], 2, 'argument --exec: "\'" is no command: No closing quotation'),
        (["--exec", " "], 2, "argument --exec: a command has a program, and this one is empty"),
        (["--exec", "no-such-program -x"], 1, "--exec: there is no program 'no-such-program' that may be run"),
        (["--web-push", "--type", "toast"], 1, "what comes by Web Push is raw: leave --type out, or give --type raw"),
        (["--web-push", "AAAA"], 2, "or these in base64url; 'tocsin webpush keys --show FILE' prints it"),
        (["--web-push="], 2, "or these in base64url; 'tocsin webpush keys --show FILE' prints it"),
        (
            ["--web-push", __file__],
            2,
            f"KEY is a public key itself, and '{__file__}' is a file; 'tocsin webpush keys --show {__file__}' prints it",
        ),
        (["--timeout", "0"], 2, "argument --timeout: seconds above 0, 1,000,000,000 at most, not '0'"),
        (["--timeout", "soon"], 2, "argument --timeout: seconds above 0, 1,000,000,000 at most, not 'soon'"),
    ],
)
def test_what_cannot_be_run_is_said_at_once(tmp_path: Path, words: list[str], code: int, sentence: str) -> None:
    """Before a service is started."""
    state = tmp_path / "state"
    ended, output, errors = call("listen", "--state", str(state), *words)
    assert (ended, output) == (code, "")
    assert errors.splitlines()[-1].endswith(sentence)
    assert not state.exists()


def test_a_command_is_split_as_a_shell_does() -> None:
    """And nothing in it is expanded."""
    assert command_words("""notify-send 'New $HOME' "it's *" """) == ("notify-send", "New $HOME", "it's *")


async def test_only_what_is_asked_for_is_printed_and_counted(tmp_path: Path) -> None:
    """The rest is taken without a word."""
    choice = ("--count", "1", "--type", "toast", "--grep", "order [0-9]+")
    async with listening(tmp_path, *choice) as listener, sender(listener.first) as server:
        await server.push(b"order 11")
        await server.push(TOAST.replace(b"12", b"none"), **SHOWN)
        await server.push(TOAST, **SHOWN)
        (event,) = await listener.rest()
        assert (event["type"], event["text"]) == ("toast", TOAST.decode())
        assert await listener.wait() == 0


async def test_time_is_over_with_a_code_of_its_own(tmp_path: Path) -> None:
    """A script reads why as an object."""
    async with listening(tmp_path, "--count", "2", "--timeout", "0.5") as listener:
        assert await listener.rest() == []
        assert await listener.wait() == 124
        told = json.loads(await listener.errors())
    assert (told["kind"], told["sentence"]) == ("TimedOut", "0 of 2 payloads have come in 0.5 s")


@pytest.mark.parametrize(
    ("came", "wanted", "passed_over", "sentence"),
    [
        (0, 1, 0, "0 of 1 payload has come in 2.5 s"),
        (1, 3, 1, "1 of 3 payloads have come in 2.5 s, and 1 that was not asked for"),
        (1, None, 2, "1 payload has come in 2.5 s, and 2 that were not asked for"),
        (0, None, 0, "0 payloads have come in 2.5 s"),
    ],
)
def test_the_end_says_what_has_come(came: int, wanted: int | None, passed_over: int, sentence: str) -> None:
    """And what was passed over, by which a pattern that is wrong is noticed."""
    assert time_is_over(2.5, came, wanted, passed_over) == sentence


@pytest.fixture
def script(tmp_path: Path) -> str:
    """Write a program that notes what it gets, prints, and ends as the body says."""
    program = tmp_path / "program.py"
    program.write_text(
        "import os, sys, time\n"
        "body = sys.stdin.buffer.read()\n"
        "names = ('TYPE', 'TAG', 'GROUP', 'ATTEMPT')\n"
        f"with open({str(tmp_path / 'noted')!r}, 'a') as file:\n"
        "    print(os.environ['TOCSIN_ID'], *(os.environ['TOCSIN_' + name] for name in names), body, file=file)\n"
        "print('printed')\n"
        "if body == b'stay': sys.stdout.close(); time.sleep(600)\n"
        "sys.exit(3 if body == b'fail' else 0)\n"
    )
    return shlex.join([sys.executable, str(program)])


async def test_a_command_is_run_for_each_payload(tmp_path: Path, script: str) -> None:
    """It reads the body and what else is known; what it prints is not mixed with JSON, and where it fails the payload is kept."""
    state = tmp_path / "state"
    async with listening(state, "--count", "3", "--exec", script) as listener, sender(listener.first) as server:
        await server.push(b"\x00\xff")
        await server.push(b"fail")
        await server.push(TOAST, **SHOWN, X_WNS_Tag="t1", X_WNS_Group="g1")
        events = await listener.rest()
        assert await listener.wait() == 0
        assert await listener.errors() == "printed\n" * 3
    assert [event["exit"] for event in events if event["event"] == "command"] == [0, 3, 0]
    ids = [event["id"] for event in events if event["event"] == "payload"]
    noted = await anyio.Path(tmp_path / "noted").read_text()
    assert noted.splitlines() == [
        f"{ids[0]} raw   1 {bytes([0, 255])!r}",
        f"{ids[1]} raw   1 {b'fail'!r}",
        f"{ids[2]} toast t1 g1 1 {TOAST!r}",
    ]
    code, output, _ = await run("dead-letters", "--json", "--state", str(state))
    letters = [json.loads(line) for line in output.splitlines()]
    assert (code, [letter["id"] for letter in letters]) == (0, [ids[1]])


async def test_a_command_that_runs_ends_with_the_listener(tmp_path: Path, script: str) -> None:
    """The first Ctrl-C kills it, and its payload comes with the next start."""
    state = tmp_path / "state"
    async with listening(state, "--exec", script) as listener, sender(listener.first) as server:
        await server.push(b"stay")
        assert (await listener.event())["event"] == "payload"
        assert listener.process.stderr is not None
        said = BufferedByteReceiveStream(listener.process.stderr)
        assert await said.receive_until(b"\n", 100) == b"printed"
        listener.process.send_signal(signal.SIGINT)
        assert await listener.wait() == 0
    async with listening(state, "--count", "1") as listener:
        assert [event["text"] for event in await listener.rest()] == ["stay"]


async def test_a_person_is_told_that_a_command_failed(tmp_path: Path) -> None:
    """With how it ended; that of a command that ends well is not worth a line."""
    options = ("--exec", "sh -c 'kill -9 $$'", "--count", "1", "--state", str(tmp_path))
    command = [sys.executable, "-m", "tocsin", "listen", *options]
    async with listening(tmp_path) as before, sender(before.first) as server:
        before.process.kill()
        await before.wait()
        async with await anyio.open_process(command) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            with anyio.fail_after(20):
                shown = b""
                while b"Ctrl-C ends" not in shown:
                    shown += await process.stdout.receive()
                await server.push(b"x")
                said = b"".join([chunk async for chunk in process.stderr]).decode()
                assert await process.wait() == 0
    assert said.startswith("tocsin listen: payload ")
    assert said.endswith(" is not handled: the command was ended by signal SIGKILL\n")


async def test_a_command_is_killed_with_what_it_has_started() -> None:
    """When the work on its payload is cancelled, as after 30 s: then none is left that holds their output."""
    args = received(b"x")
    reading, writing = os.pipe()
    command = PayloadCommand(("sh", "-c", "sleep 600 & echo on; wait"), writing)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:

            async def cancel() -> None:
                await anyio.wait_readable(reading)
                assert os.read(reading, 100) == b"on\n"
                args._cancel(LATE, tell)

            def tell(handler: CanceledHandler) -> None:
                handler(LATE)

            tasks.start_soon(cancel)
            assert await command.run(args) == -9
        os.close(writing)
        await anyio.wait_readable(reading)
    assert os.read(reading, 100) == b""
    os.close(reading)
