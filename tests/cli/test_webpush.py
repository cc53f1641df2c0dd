"""``tocsin webpush``: keys, and messages to a push service that the test plays."""

from __future__ import annotations

import json
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.client.web_push_playing import KEY
from tests.client.web_push_server import PushServer, push_server
from tests.processes import call, run
from tocsin.client.vapid_key_file import read_key
from tocsin.protocol.webpush.vapid import VapidToken, read_vapid

WHO = ("--key", "vapid.pem", "--subject", "mailto:ops@app.example")


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PushServer]:
    """Play a push service, from a folder with a key and a subscription."""
    monkeypatch.chdir(tmp_path)
    with push_server() as played:
        (tmp_path / "vapid.pem").write_text(KEY.pem(), encoding="ascii")
        (tmp_path / "subscription.json").write_text(json.dumps(played.subscription.as_json()), encoding="ascii")
        yield played


def send(*words: str) -> tuple[int, str, str]:
    """Send by the command, in this process."""
    return call("webpush", "send", *words, "--retries", "0")


def test_a_key_is_made_once(tmp_path: Path) -> None:
    """Its file is for its user alone; a second key does not take its place, for subscribers would be lost."""
    file = tmp_path / "vapid.pem"
    code, output, errors = call("webpush", "keys", "--out", str(file))
    assert (code, output.strip()) == (0, read_key(file).application_server_key)
    assert errors == f"tocsin webpush: the private key is in '{file}'; keep it from others\n"
    if sys.platform != "win32":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    assert call("webpush", "keys", "--show", str(file)) == (0, output, "")
    code, again, errors = call("webpush", "keys", "--out", str(file))
    assert (code, again) == (1, "")
    assert "which stays as it is: --show prints" in errors
    assert file.read_bytes() == content


def test_a_key_is_told_to_scripts(tmp_path: Path) -> None:
    """In an object, without the private half; also where another library has made it."""
    file = tmp_path / "key.txt"
    file.write_text(KEY.text(), encoding="ascii")
    code, output, errors = call("webpush", "keys", "--show", str(file), "--json")
    assert (code, errors) == (0, "")
    assert json.loads(output) == {"public_key": KEY.application_server_key, "file": str(file)}
    code, output, errors = call("webpush", "keys", "--out", str(tmp_path / "new.pem"), "--json")
    assert (code, errors, sorted(json.loads(output))) == (0, "", ["file", "public_key"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--show", "missing.pem"], "cannot be read: No such file"),
        (["--show", "."], "the VAPID key '.' cannot be read: Is a directory"),
        (["--show", ""], "the VAPID key '.' cannot be read: Is a directory"),
        (["--show", "text"], "the file 'text' has no VAPID key, in PEM or as text: a VAPID key as text is base64url"),
        (["--out", "text/vapid.pem"], "there is no folder 'text'"),
        (["--out", "nowhere/vapid.pem"], "there is no folder 'nowhere'"),
        (["--out", "text"], "there is a file 'text'"),
        (["--out", "."], "'.' is a folder: name the file"),
        (["--out", ""], "'.' is a folder: name the file"),
        (["--out", ".."], "'..' is a folder: name the file"),
    ],
)
def test_what_is_no_key_is_refused(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a sentence, as an object for scripts."""
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("words", encoding="ascii")
    code, output, errors = call("webpush", "keys", *words, "--json")
    assert (code, output) == (1, "")
    assert said in json.loads(errors)["sentence"]


def test_a_message_is_sent(service: PushServer) -> None:
    """Encrypted for the subscriber, and signed by the key; the command says what the service has answered."""
    options = ("--ttl", "60", "--urgency", "high", "--topic", "mail")
    assert send("subscription.json", "Grüße", *WHO, *options) == (0, "accepted with 201, kept for 60 s at most\n", "")
    (post,) = service.requests
    assert post.plaintext == "Grüße".encode()
    assert [post.headers[name] for name in ("TTL", "Urgency", "Topic")] == ["60", "high", "mail"]
    token = read_vapid(post.headers["Authorization"], None)
    assert isinstance(token, VapidToken)
    assert token.key == KEY.public_key


@pytest.mark.parametrize(
    ("words", "sent"),
    [
        (["subscription.json", "@@home"], b"@home"),
        (["subscription.json", "@photo.bin"], b"\0\xff"),
        (["subscription.json", ""], b""),
        (["--ttl", "0", "subscription.json", "--topic", "t", "late"], b"late"),
    ],
)
def test_the_body_is_given_as_to_send(service: PushServer, words: list[str], sent: bytes) -> None:
    """A text, or a file; an empty one wakes the app only."""
    Path("photo.bin").write_bytes(b"\0\xff")
    assert send(*words, *WHO)[0] == 0
    (post,) = service.requests
    assert (post.plaintext, bool(post.body)) == (sent, bool(sent))


async def test_standard_input_has_the_one_or_the_other(service: PushServer) -> None:
    """The message, or the subscription."""
    subscription = json.dumps(service.subscription.as_json()).encode()
    for words, given in ((["subscription.json"], b"\xff\n"), (["-", "x", "--json"], subscription)):
        code, output, errors = await run("webpush", "send", *words, *WHO, stdin=given)
        assert (code, errors) == (0, ""), output
    answer: dict[str, Any] = json.loads(output)
    assert answer == {
        "http_status": 201,
        "location": f"{service.url}/p/message",
        "ttl": 86_400,
        "description": None,
        "attempts": 1,
    }
    assert [post.plaintext for post in service.requests] == [b"\xff\n", b"x"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((410, {}, b""), "refused with 410: the subscription is no more: forget it, until its app subscribes anew"),
        (
            (403, {"Content-Type": "text/plain"}, b"Wrong key."),
            "refused with 403: Wrong key; the subscription takes only",
        ),
        ((429, {"Retry-After": "90"}, b""), "send less often; it asks to wait 90 s"),
    ],
)
def test_a_refusal_says_what_to_do(service: PushServer, answer: tuple[int, dict[str, str], bytes], said: str) -> None:
    """For a person, and for a script; what lets others send is not shown."""
    service.answers += [answer] * 2
    code, output, errors = send("subscription.json", "x", *WHO)
    assert (code, output, len(errors.splitlines())) == (1, "", 1)
    assert said in errors
    assert "capability" not in errors
    code, output, errors = send("subscription.json", "x", *WHO, "--json")
    assert (code, json.loads(output)["http_status"]) == (1, answer[0])
    assert said in json.loads(errors)["sentence"]


def test_what_the_service_says_besides_is_told(service: PushServer) -> None:
    """Such as that a message that it has taken reaches no app."""
    service.answers.append((201, {"TTL": "0", "Content-Type": "text/plain"}, b"Dropped: the device is away\n"))
    assert send("subscription.json", "x", *WHO) == (
        0,
        "accepted with 201, now or never: Dropped: the device is away\n",
        "",
    )


def test_what_may_pass_is_tried_again(service: PushServer) -> None:
    """As often as was said."""
    service.answers.append((503, {}, b""))
    code, output, _ = call("webpush", "send", "subscription.json", "x", *WHO, "--retries", "1", "--json")
    assert (code, json.loads(output)["attempts"]) == (0, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["missing.json", "x", *WHO], "the subscription 'missing.json' cannot be read: No such file"),
        (["bytes", "x", *WHO], "the file 'bytes' has no push subscription: a push subscription is no UTF-8"),
        (["vapid.pem", "x", *WHO], "the file 'vapid.pem' has no push subscription: a push subscription is no JSON"),
        (
            [".", "x", *WHO],
            "the subscription '.' cannot be read: Is a directory; it is a file with what JSON.stringify",
        ),
        (["ftp.json", "x", *WHO], "the endpoint of a subscription begins with"),
        (["[.json", "x", *WHO], "the endpoint of a subscription begins with"),
        (["-", *WHO], "the message cannot be: give it as BODY"),
        (["subscription.json", "x", "--subject", "mailto:a@b"], "a subject goes with a key"),
        (["subscription.json", "x", "--key", "vapid.pem"], "say how the push service's operator reaches you"),
        (
            ["subscription.json", "x", "--key", "missing", "--subject", "mailto:a@b"],
            "'tocsin webpush keys --out FILE' makes",
        ),
        (["subscription.json", "x" * 3_994, *WHO], "3993 bytes at most"),
        (
            ["subscription.json", "x", "--key", "subscription.json", "--subject", "mailto:a@b"],
            "the file 'subscription.json' has no VAPID key",
        ),
    ],
)
def test_what_cannot_be_sent_is_refused(service: PushServer, words: list[str], said: str) -> None:
    """In a sentence, and nothing is sent."""
    Path("bytes").write_bytes(b"\xff")
    for name, endpoint in (("ftp.json", "ftp://push.example/"), ("[.json", "http://[")):
        Path(name).write_text(json.dumps(service.subscription.as_json() | {"endpoint": endpoint}), encoding="ascii")
    code, output, errors = send(*words)
    assert (code, output) == (1, "")
    assert said in errors
    assert service.requests == []


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--topic", "a b", "a topic has 1 to 32 letters, digits, - and _, not 'a b'"),
        ("--topic", "", "a topic has 1 to 32"),
        ("--subject", "ops@app.example", "the subject is how the push service's operator reaches you"),
        ("--ttl", "soon", "a whole number from 0 to 2419200, not 'soon'"),
        ("--urgency", "hihg", "did you mean 'high'?"),
        ("--retries", "-1", "a whole number from 0 to 1000"),
    ],
)
def test_a_wrong_option_is_wrong_usage(service: PushServer, option: str, value: str, said: str) -> None:
    """Exit code 2, before anything is read."""
    code, output, errors = call("webpush", "send", "missing.json", "x", *WHO, option, value)
    assert (code, output) == (2, "")
    assert f"argument {option}: " in errors
    assert said in errors
    assert service.requests == []


def test_without_a_key_it_is_sent_all_the_same(service: PushServer) -> None:
    """Some services take it."""
    assert send("subscription.json", "x")[0] == 0
    assert "Authorization" not in service.requests[0].headers
