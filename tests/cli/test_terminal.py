"""Every terminal can show what comes, and none is told what to do by it."""

from __future__ import annotations

import io
import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import anyio
import pytest

from tests.helpers import payload
from tests.processes import PATIENCE, listening, sender
from tests.world import world
from tocsin.cli import main
from tocsin.testing import LocalWns

HOSTILE = "\x1b[2J\x9b31m\u202e🔔"
"""Clears the screen, turns it red, turns the direction of writing, and rings."""

ORDERS = "\x1b\x9b\u202e"


class Terminal(io.TextIOWrapper):
    """A terminal, or a pipe, of some encoding."""

    def __init__(self, encoding: str) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding, errors="strict")

    def shown(self) -> str:
        """Return what it shows."""
        self.flush()
        return self.bytes.getvalue().decode(self.encoding)


def type_in(encoding: str, *arguments: str) -> tuple[int, str]:
    """Run the command in a terminal of that encoding, and return its exit code and what is to be seen."""
    terminal = Terminal(encoding)
    with redirect_stdout(terminal), redirect_stderr(terminal):
        try:
            code: object = main(arguments)
        except SystemExit as left:
            code = left.code
    assert isinstance(code, int)
    return code, terminal.shown()


ENCODINGS = pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1", "cp1252", "cp437", "shift_jis", "utf-8"])


@pytest.mark.parametrize("encoding", ["ascii", "iso-8859-1"])
async def test_a_payload_that_the_terminal_cannot_show_ends_nothing(tmp_path: Path, encoding: str) -> None:
    """It is shown as an escape and handled, and so the listener does not end with it at each start again."""
    async with listening(tmp_path, "--count", "1") as first, sender(first.first) as server:
        await server.push(b"x")
        await first.wait()
        command = ["-m", "tocsin", "listen", "--count", "2", "--state", str(tmp_path)]
        env = {"PYTHONIOENCODING": encoding, "PATH": "", "HOME": str(tmp_path)}
        async with await anyio.open_process([sys.executable, *command], stderr=None, env=env) as process:
            assert process.stdout is not None
            text = ""
            with anyio.fail_after(PATIENCE):
                while "Ctrl-C ends" not in text:
                    text += (await process.stdout.receive()).decode(encoding)
                for body in (HOSTILE.encode(), b"Gr\xc3\xbc\xc3\x9fe"):
                    assert (await server.push(body))[1]["x-wns-status"] == "received"
                async for chunk in process.stdout:
                    text += chunk.decode(encoding)
                assert await process.wait() == 0
    bell, greeting = text.splitlines()[-2:]
    assert bell.endswith(r"raw  16 bytes  \x1b[2J\x9b31m\u202e\U0001f514")
    assert greeting.endswith(r"Gr\xfc\xdfe" if encoding == "ascii" else "Grüße")


@ENCODINGS
async def test_dead_letters_are_shown_on_any_terminal(tmp_path: Path, encoding: str) -> None:
    """Their payloads, and the words of handlers that failed."""
    async with world(tmp_path) as w:
        await w.channel()
        await w.service.send(payload("late", HOSTILE.encode(), expires=1.0), payload(HOSTILE, b"hi", channel="gone"))
        await w.service.expect_acknowledged("late", HOSTILE)
    for options in ((), ("--json",)):
        code, shown = await anyio.to_thread.run_sync(
            type_in, encoding, "dead-letters", "--state", str(tmp_path), *options
        )
        assert code == 0
        assert not set(shown) & set(ORDERS)
        assert len(shown.splitlines()) == (2 if options else 4)  # two letters, the head and the counts


@ENCODINGS
def test_apps_are_shown_on_any_terminal(tmp_path: Path, encoding: str) -> None:
    """Also one whose name the terminal does not know, and a folder that is called so."""
    state = str(tmp_path / "état 🔔")
    assert type_in(encoding, "app", "add", "grüße.🔔", "--state", state)[0] == 0
    for options in ((), ("--json",)):
        code, shown = type_in(encoding, "app", "list", "--state", state, *options)
        assert (code, len(shown.splitlines())) == (0, 1)
    for arguments in (("app", "remove", "nobody 🔔"), ("app", "add", HOSTILE), ("status",), ("dead-letters",)):
        code, shown = type_in(encoding, *arguments, "--state", state)
        assert (code, len(shown.splitlines())) == (1, 1)
        assert not set(shown) & set(ORDERS)
    assert type_in(encoding, "app", "list", "--nothing", HOSTILE, "--state", state)[0] == 2


@ENCODINGS
@pytest.mark.parametrize("arguments", [("--help",), ("send", "--help"), ("serve", "--help"), ("--" + HOSTILE,)])
def test_help_and_mistakes_are_shown_on_any_terminal(encoding: str, arguments: tuple[str, ...]) -> None:
    """What the parser says goes the same way."""
    code, shown = type_in(encoding, *arguments)
    assert code == (0 if "--help" in arguments else 2)
    assert not set(shown) & set(ORDERS)


def test_a_services_words_are_shown_and_not_obeyed(wns: LocalWns) -> None:
    """Who answers is not who reads it."""
    who = ["--client-id", wns.client_id, "--client-secret", wns.client_secret, "--retries", "0"]
    wns.refuse_token(error=HOSTILE, times=1)
    for encoding in ("ascii", "utf-8"):
        code, shown = type_in(encoding, "send", wns.channel_uri, "x", *who)
        assert (code, len(shown.splitlines())) == ((1, 1) if encoding == "ascii" else (0, 1))
        assert not set(shown) & set(ORDERS)


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """Play a service that gives these answers, one a connection, and then no more."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                stream, _ = server.accept()
                with stream:
                    received = b""
                    while b"\r\n\r\n" not in received:
                        received += stream.recv(4096)
                    stream.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(PATIENCE)
        assert not thread.is_alive()


def http(status: str, body: bytes = b"", *headers: bytes) -> bytes:
    """Make an answer."""
    lines = [f"HTTP/1.1 {status}".encode(), *headers, b"Connection: close", f"Content-Length: {len(body)}".encode()]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def test_headers_of_an_answer_are_shown_and_not_obeyed() -> None:
    """The message id, the words of a refusal, and a status that is not known."""
    token = http("200 OK", b'{"access_token": "t", "expires_in": 100}')
    evil = HOSTILE.replace("\x1b", "").encode()
    answers = [
        http("200 OK", b"", b"X-WNS-Status: received", b"X-WNS-Msg-ID: " + evil),
        http("200 OK", b"", b"X-WNS-Status: " + evil),
        http("410 Gone", b"", b"X-WNS-Error-Description: " + evil),
        http("503 Busy", b"", b"Retry-After: " + evil),
    ]
    for answer in answers:
        with answering(token, answer) as url:
            arguments = ("send", f"{url}/w/?token=x", "x", "--client-id", "i", "--client-secret", "s", "--retries", "0")
            _, shown = type_in("utf-8", *arguments)
        assert not set(shown) & set(ORDERS)
        assert r"\x9b31m\u202e" in shown
        assert len(shown.splitlines()) == 1


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is no push service of ours"),
        (http("200 OK", b"<html>"), "is no push service of ours"),
        (http("200 OK", b"[]"), "is no push service of ours"),
        (http("200 OK", b"[" * 100_000), "is no push service of ours"),
        (http("200 OK", b'{"status": "ok", "causes": 5}'), "is no push service of ours"),
        (http("200 OK", b'{"status": 5, "causes": []}'), "is no push service of ours"),
        (http("200 OK", b'{"status": "ok", "causes": [], "now": []}'), "is no push service of ours"),
        (http("503 Busy", b"busy"), "is no push service of ours"),
        (http("404 Not Found"), "HTTP Error 404"),
        (http("302 Found", b"", b"Location: http://127.0.0.1:1/"), "HTTP Error 302"),
        (http("200 " + "x" * 100_000), "is no push service of ours"),
    ],
)
def test_what_is_no_health_is_said(answer: bytes, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sentence; a redirection is not followed, and no proxy is asked for what is on this machine."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("TOCSIN_METRICS_TOKEN", "token")
    with answering(answer) as url:
        code, shown = type_in("utf-8", "status", "--url", url)
    assert (code, len(shown.splitlines())) == (1, 1)
    assert words in shown


def test_the_words_of_a_status_are_shown_and_not_obeyed() -> None:
    """A URL may lead to a hostile server."""
    fields = {"status": HOSTILE, "causes": {"x": HOSTILE}, "counters": {HOSTILE: HOSTILE}, "now": {"a": [HOSTILE]}}
    for causes in ({"x": HOSTILE}, [HOSTILE]):
        with answering(http("200 OK", json.dumps(fields | {"causes": causes}).encode())) as url:
            code, shown = type_in("ascii", "status", "--url", url)
        assert (code, len(shown.splitlines())) == (1, 4)
        assert not set(shown) & set(ORDERS)


def test_a_token_that_fits_into_no_header_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """And not shown."""
    monkeypatch.setenv("TOCSIN_METRICS_TOKEN", "s3cret\n")
    code, shown = type_in("utf-8", "status", "--url", "http://127.0.0.1:1")
    assert (code, "metrics_token goes into a header" in shown, "s3cret" in shown) == (1, True, False)


def test_output_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A full disk is a sentence, too, and so it is where a listener prints."""
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    assert type_in("utf-8", "app", "add", "a", "--state", str(tmp_path))[0] == 0
    for verb in ("app", "listen"):
        errors = io.StringIO()
        command = ["app", "list"] if verb == "app" else ["listen"]
        with Path("/dev/full").open("w", encoding="utf-8") as full, redirect_stdout(full), redirect_stderr(errors):
            assert main([*command, "--state", str(tmp_path)]) == 1
        assert errors.getvalue() == f"tocsin {verb}: the output cannot be written: No space left on device\n"
