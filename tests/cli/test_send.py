"""``tocsin send`` against a real service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.processes import listening, run


def who(first: dict[str, Any]) -> list[str]:
    """Return the options that say who sends."""
    return ["--client-id", first["client_id"], "--client-secret", first["client_secret"]]


@pytest.mark.parametrize("token_url", [None, "token_url", "aad_token_url"])
async def test_a_payload_is_sent(tmp_path: Path, token_url: str | None) -> None:
    """With either form of token endpoint the payload arrives, and the command says so."""
    async with listening(tmp_path, "--count", "1") as listener:
        first = listener.first
        extra = ["--token-url", first[token_url]] if token_url else []
        code, output, errors = await run("send", first["uri"], "ding", *who(first), *extra)
        assert (code, errors) == (0, "")
        assert output.startswith("received, message id ")
        assert (await listener.event())["text"] == "ding"


async def test_the_body_may_come_from_standard_input(tmp_path: Path) -> None:
    """Bytes are sent as they are, credentials may come from the environment, and the answer may be JSON."""
    async with listening(tmp_path, "--count", "1") as listener:
        first = listener.first
        env = {"TOCSIN_CLIENT_ID": first["client_id"], "TOCSIN_CLIENT_SECRET": first["client_secret"]}
        code, output, _ = await run(
            "send", first["uri"], "-", "--json", "--request-status", stdin=b"\x00\xff\n", env=env
        )
        assert code == 0
        answer = json.loads(output)
        assert (answer["http_status"], answer["status"], answer["attempts"]) == (200, "received", 1)
        assert answer["device_connection_status"] == "connected"
        event = await listener.event()
        assert (event["base64"], event["id"]) == ("AP8K", answer["msg_id"])


async def test_other_types_are_sent_as_what_they_are(tmp_path: Path) -> None:
    """A badge arrives as a badge."""
    async with listening(tmp_path, "--count", "1") as listener:
        badge = '<badge value="3"/>'
        code, _, _ = await run("send", listener.uri, badge, "--type", "badge", *who(listener.first))
        assert code == 0
        event = await listener.event()
        assert (event["type"], event["text"]) == ("badge", badge)


async def test_a_refusal_is_said_with_its_reason(tmp_path: Path) -> None:
    """What the service refuses ends with 1 and the service's own words."""
    async with listening(tmp_path) as listener:
        code, _, errors = await run("send", listener.uri + "x", "ding", *who(listener.first))
        assert code == 1
        assert errors.startswith("tocsin send: refused with 404: ")
        code, output, _ = await run("send", listener.uri + "x", "ding", "--json", *who(listener.first))
        assert (code, json.loads(output)["http_status"]) == (1, 404)


async def test_a_wrong_secret_is_said_with_its_reason(tmp_path: Path) -> None:
    """What the token endpoint refuses is told in its words, and the secret is not."""
    async with listening(tmp_path) as listener:
        first = listener.first
        code, _, errors = await run(
            "send", first["uri"], "x", "--client-id", first["client_id"], "--client-secret", "p"
        )
        assert code == 1
        assert "invalid_client" in errors


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
        (["http://127.0.0.1:1/w/?token=x", "x", "--retries", "0"], "127.0.0.1 cannot be reached"),
        (["http://127.0.0.1:1/w/?token=x", "x", "--retries", "1"], "(2 attempts)"),
    ],
)
async def test_what_cannot_succeed_is_refused_in_a_sentence(arguments: list[str], sentence: str) -> None:
    """What WNS would refuse is refused before it is sent, and a service that is away is named as that."""
    code, output, errors = await run("send", *arguments, "--client-id", "i", "--client-secret", "s")
    assert (code, output) == (1, "")
    assert sentence in errors
    assert errors.count("\n") == 1


async def test_missing_credentials_are_asked_for() -> None:
    """The sentence says both ways to give them."""
    code, _, errors = await run("send", "http://127.0.0.1:1/w/?token=x", "x")
    assert code == 1
    assert "--client-id" in errors
