"""``tocsin send`` against a real service."""

from __future__ import annotations

import base64
import json
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.processes import PATIENCE, call, run
from tocsin.testing import LocalWns

CREDENTIALS = ["--client-id", "i", "--client-secret", "s"]


def who(wns: LocalWns, secret: str | None = None) -> list[str]:
    """Return the options that say who sends."""
    return ["--client-id", wns.client_id, "--client-secret", secret or wns.client_secret]


@pytest.mark.parametrize("token_url", [None, "token_url", "aad_token_url"])
def test_a_payload_is_sent(wns: LocalWns, token_url: str | None) -> None:
    """With either form of token endpoint the payload arrives, and the command says so."""
    extra = ["--token-url", getattr(wns, token_url)] if token_url else []
    code, output, errors = call("send", wns.channel_uri, "ding", *who(wns), *extra)
    assert (code, errors) == (0, "")
    assert output.startswith("received, message id ")
    assert [push.text for push in wns.pushes] == ["ding"]


async def test_the_body_may_come_from_standard_input(wns: LocalWns) -> None:
    """Bytes are sent as they are, credentials may come from the environment, and the answer may be JSON."""
    env = {"TOCSIN_CLIENT_ID": wns.client_id, "TOCSIN_CLIENT_SECRET": wns.client_secret}
    code, output, _ = await run(
        "send", wns.channel_uri, "-", "--json", "--request-status", stdin=b"\x00\xff\n", env=env
    )
    assert code == 0
    answer = json.loads(output)
    assert (answer["http_status"], answer["status"], answer["attempts"]) == (200, "received", 1)
    assert answer["device_connection_status"] == "connected"
    (push,) = wns.pushes
    assert (push.body, push.id) == (base64.b64decode("AP8K"), answer["msg_id"])


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        ("Grüße 🔔", "Grüße 🔔".encode()),
        (os.fsdecode(b"Gr\xfc\xdfe"), b"Gr\xfc\xdfe"),
        (os.fsdecode(b"\xc3\xbc\xff"), b"\xc3\xbc\xff"),
    ],
)
def test_a_body_is_sent_as_text_or_as_the_bytes_that_it_is(wns: LocalWns, body: str, sent: bytes) -> None:
    """What a shell gave that is no text of the terminal's encoding arrives as it was given."""
    assert call("send", wns.channel_uri, body, *who(wns))[0] == 0
    assert [push.body for push in wns.pushes] == [sent]


ORDERS = ["URI BODY WHO", "URI WHO BODY", "WHO URI BODY", "URI --cache BODY WHO", "URI WHO --type badge BODY"]
ORDERS_OF_ANY_BODY = ["URI WHO -- BODY", "WHO URI -- BODY", "WHO -- URI BODY"]


@pytest.mark.parametrize(
    ("order", "body"),
    [
        *((order, "<b/>") for order in ORDERS),
        *((order, body) for order in ORDERS_OF_ANY_BODY for body in ("<b/>", "-x", "--", "--type")),
    ],
)
def test_options_stand_anywhere(wns: LocalWns, order: str, body: str) -> None:
    """Before, between and behind; and behind -- nothing is an option."""
    words = {"URI": [wns.channel_uri], "BODY": [body], "WHO": who(wns)}
    code, _, errors = call("send", *(each for word in order.split() for each in words.get(word, [word])))
    assert (code, errors) == (0, "")
    assert [push.text for push in wns.pushes] == [body]


@asynccontextmanager
async def at_a_terminal(*arguments: str) -> AsyncIterator[tuple[Process, int]]:
    """Run the command with a terminal as its input until it asks for the payload; give it, and what types there."""
    if sys.platform == "win32":
        pytest.skip("there are no pseudo terminals")
    typing, reading = os.openpty()
    async with await anyio.open_process([sys.executable, "-m", "tocsin", "send", *arguments], stdin=reading) as process:
        assert process.stderr is not None
        try:
            with anyio.fail_after(PATIENCE):
                said = await BufferedByteReceiveStream(process.stderr).receive_until(b"\n", 1024)
                assert said == b"tocsin send: type the payload; Ctrl-D on a line of its own ends it, Ctrl-C gives up"
                yield process, typing
        finally:
            if process.returncode is None:
                process.kill()
            os.close(typing)
            os.close(reading)


async def test_on_a_terminal_it_says_what_it_waits_for_and_one_interruption_ends_it() -> None:
    """Who forgot the payload sees why nothing happens, and gets away at once."""
    async with at_a_terminal("http://127.0.0.1:1/w/?token=x", *CREDENTIALS) as (process, _):
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
        assert process.stderr is not None
        assert b"".join([chunk async for chunk in process.stderr]) == b""


async def test_what_is_typed_is_sent(wns: LocalWns) -> None:
    """Up to Ctrl-D, as it was typed."""
    async with at_a_terminal(wns.channel_uri, *who(wns)) as (process, typing):
        os.write(typing, b"hello\n\x04")
        assert await process.wait() == 0
    assert [push.text for push in wns.pushes] == ["hello\n"]


async def test_no_more_is_read_than_can_be_sent() -> None:
    """An input without an end is refused, not waited for."""
    shell = (
        f"yes | {shlex.quote(sys.executable)} -m tocsin send 'http://127.0.0.1:1/w/?token=x' {' '.join(CREDENTIALS)}"
    )
    with anyio.fail_after(PATIENCE):
        done = await anyio.run_process(["bash", "-c", shell], check=False)
    assert done.returncode == 1
    assert done.stderr == b"tocsin send: standard input has more than the 5000 bytes that a payload may have\n"


def test_without_standard_input_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a service manager or ``<&-`` starts it."""
    monkeypatch.setattr(sys, "stdin", None)
    code, _, errors = call("send", "http://127.0.0.1:1/w/?token=x", *CREDENTIALS)
    assert (code, errors) == (1, "tocsin send: there is no standard input to read the payload from: give it as BODY\n")


def test_other_types_are_sent_as_what_they_are(wns: LocalWns) -> None:
    """A badge arrives as a badge."""
    badge = '<badge value="3"/>'
    assert call("send", wns.channel_uri, badge, "--type", "badge", *who(wns))[0] == 0
    assert [(push.type, push.text) for push in wns.pushes] == [("badge", badge)]


def test_a_refusal_is_said_with_its_reason(wns: LocalWns) -> None:
    """What the service refuses ends with 1 and the service's own words."""
    code, _, errors = call("send", wns.channel_uri + "x", "ding", *who(wns))
    assert code == 1
    assert errors.startswith("tocsin send: refused with 404: ")
    code, output, errors = call("send", wns.channel_uri + "x", "ding", "--json", *who(wns))
    assert (code, json.loads(output)["http_status"]) == (1, 404)
    assert (json.loads(errors)["kind"], json.loads(errors)["hresult"]) == ("ChannelGone", "0x803E0100")


def test_a_wrong_secret_is_said_with_its_reason(wns: LocalWns) -> None:
    """What the token endpoint refuses is told in its words, and the secret is not."""
    code, _, errors = call("send", wns.channel_uri, "x", *who(wns, "a wrong one"))
    assert code == 1
    assert "invalid_client" in errors
    assert "a wrong one" not in errors


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ftp://host/", "x"], "begins with http"),
        (["\udcff", "x"], "begins with http"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--tag", "\udcff"], "X-WNS-Tag"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--token-url", "push.example"], "a token URL begins with http"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--client-id", "\udcff"], "the client id must be text"),
        (["http://127.0.0.1:1/w/?token=x", ""], "must not be empty"),
        (["http://127.0.0.1:1/w/?token=x", "x" * 5001], "5001 bytes"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--ttl", "0", "--cache"], "Ttl value conflicts"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--tag", "not good"], "X-WNS-Tag"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--group", "not good"], "X-WNS-Group"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--retries", "0"], "no program listens at 127.0.0.1:1"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--retries", "1"], "(2 attempts)"),
    ],
)
def test_what_cannot_succeed_is_refused_in_a_sentence(arguments: list[str], sentence: str) -> None:
    """What WNS would refuse is refused before it is sent, and a service that is away is named as that."""
    code, output, errors = call("send", *CREDENTIALS, *arguments)
    assert (code, output) == (1, "")
    assert sentence in errors
    assert errors.count("\n") == 1


def test_missing_credentials_are_asked_for() -> None:
    """The sentence says both ways to give them."""
    code, _, errors = call("send", "http://127.0.0.1:1/w/?token=x", "x")
    assert code == 1
    assert "--client-id" in errors


@pytest.mark.parametrize(
    ("word", "sent"),
    [("@photo.bin", b"\x00\xff\n"), ("@@home", b"@home"), ("@@", b"@"), ("@-", b"typed"), ("a@b", b"a@b")],
)
async def test_the_body_may_come_from_a_file(
    wns: LocalWns, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, sent: bytes
) -> None:
    """It is sent as it is; two @ begin a text with one."""
    monkeypatch.chdir(tmp_path)
    await anyio.Path("photo.bin").write_bytes(b"\x00\xff\n")
    code, _, errors = await run("send", wns.channel_uri, word, *who(wns), stdin=b"typed")
    assert (code, errors) == (0, "")
    assert [push.body for push in wns.pushes] == [sent]


@pytest.mark.parametrize(
    ("word", "sentence"),
    [
        ("@gone.bin", "the file 'gone.bin' cannot be read: No such file or directory; a text that begins with @ is written '@@gone.bin'"),
        ("@", "the file '' cannot be read: No such file or directory; a text that begins with @ is written '@@'"),
        ("@.", "the file '.' cannot be read: Is a directory; a text that begins with @ is written '@@.'"),
        ("@/dev/zero", "the file '/dev/zero' has more than the 5000 bytes that a payload may have"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_sent_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str, sentence: str
) -> None:
    """With how a text is written that begins so; and a file without an end is not read to it."""
    monkeypatch.chdir(tmp_path)
    code, output, errors = call("send", "http://127.0.0.1:1/w/?token=x", word, *CREDENTIALS)
    assert (code, output, errors) == (1, "", f"tocsin send: {sentence}\n")


def test_the_channel_may_come_from_the_environment(wns: LocalWns, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the body stands alone, also one that is a link of another kind; a URI that is given goes before it."""
    monkeypatch.setenv("TOCSIN_CHANNEL", wns.channel_uri)
    for words in (["one"], ["ftp://two"], [wns.channel_uri, "three"], ["--ttl", "60", "four"]):
        assert call("send", *words, *who(wns))[0] == 0
    assert [push.text for push in wns.pushes] == ["one", "ftp://two", "three", "four"]
    code, _, errors = call("send", "http://127.0.0.1:1/w/?token=x", "five", "--retries", "0", *CREDENTIALS)
    assert (code, "no program listens at 127.0.0.1:1" in errors) == (1, True)


def test_without_a_channel_it_says_how_to_name_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence says both ways."""
    monkeypatch.delenv("TOCSIN_CHANNEL", raising=False)
    for body in ((), ("hi",)):
        code, _, errors = call("send", *body, *CREDENTIALS)
        assert code == 1
        assert errors == (
            "tocsin send: say where to: by the channel's URI, which begins with http:// or https://, or by TOCSIN_CHANNEL in the"
            " environment\n"
        )
