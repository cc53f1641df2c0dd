"""``tocsin send`` against a real service."""

from __future__ import annotations

import base64
import json

import pytest

from tests.processes import call, run
from tocsin.testing import LocalWns


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
    code, output, _ = call("send", wns.channel_uri + "x", "ding", "--json", *who(wns))
    assert (code, json.loads(output)["http_status"]) == (1, 404)


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
        (["http://127.0.0.1:1/w/?token=x", ""], "must not be empty"),
        (["http://127.0.0.1:1/w/?token=x", "x" * 5001], "5001 bytes"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--ttl", "0", "--cache"], "Ttl value conflicts"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--tag", "not good"], "X-WNS-Tag"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--priority", "9"], "X-WNS-PRIORITY"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--group", "not good"], "X-WNS-Group"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--retries", "0"], "no program listens at 127.0.0.1:1"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--retries", "1"], "(2 attempts)"),
    ],
)
def test_what_cannot_succeed_is_refused_in_a_sentence(arguments: list[str], sentence: str) -> None:
    """What WNS would refuse is refused before it is sent, and a service that is away is named as that."""
    code, output, errors = call("send", *arguments, "--client-id", "i", "--client-secret", "s")
    assert (code, output) == (1, "")
    assert sentence in errors
    assert errors.count("\n") == 1


def test_missing_credentials_are_asked_for() -> None:
    """The sentence says both ways to give them."""
    code, _, errors = call("send", "http://127.0.0.1:1/w/?token=x", "x")
    assert code == 1
    assert "--client-id" in errors
