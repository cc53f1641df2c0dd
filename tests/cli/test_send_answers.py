"""What ``tocsin send`` makes of answers, with a service that has faults on demand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.test_terminal import answering, http, type_in
from tocsin import cli
from tocsin.testing import LocalWns


def send(wns: LocalWns, *options: str) -> int:
    """Run the command in this process."""
    who = ["--client-id", wns.client_id, "--client-secret", wns.client_secret]
    return cli.main(["send", wns.channel_uri, "ding", *who, "--retries", "0", *options])


def test_every_option_reaches_the_service(wns: LocalWns, capsys: pytest.CaptureFixture[str]) -> None:
    """As the header that stands for it; and whether the device is connected is told where it was asked."""
    options = {"ttl": "60", "tag": "T", "group": "G", "priority": "1"}
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    assert send(wns, *words, "--cache", "--request-status", "--suppress-popup") == 0
    (push,) = wns.pushes
    assert capsys.readouterr() == (f"received, message id {push.id}, the device is connected\n", "")
    assert (push.tag, push.group, push.suppress_popup) == ("T", "G", True)
    (request,) = wns.requests
    assert {name: request.headers[f"x-wns-{name}"] for name in options} == options
    assert request.headers["x-wns-cache-policy"] == "cache"


def test_a_drop_is_explained(wns: LocalWns, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what would have helped, for a person and for a script."""
    wns.go_offline()
    assert send(wns) == 1
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("tocsin send: dropped: The device is away")
    assert send(wns, "--json", "--request-status") == 1
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (answer["status"], answer["device_connection_status"]) == ("dropped", "disconnected")
    assert answer["explanation"].startswith("The device is away")


def test_an_error_is_told_in_either_form(wns: LocalWns, capsys: pytest.CaptureFixture[str]) -> None:
    """With the service's own words, and without a traceback."""
    wns.fail(503, times=2, retry_after=9, description="maintenance")
    assert send(wns) == 1
    assert capsys.readouterr() == ("", "tocsin send: refused with 503: maintenance; it asks to wait 9 s\n")
    assert send(wns, "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["http_status"], answer["retry_after"], answer["description"]) == (503, 9, "maintenance")


def test_what_may_pass_is_tried_again(wns: LocalWns, capsys: pytest.CaptureFixture[str]) -> None:
    """As often as was said."""
    wns.fail(503)
    assert send(wns, "--json", "--retries", "1") == 0
    assert json.loads(capsys.readouterr().out)["attempts"] == 2


@pytest.mark.parametrize("retries", ["-1", "many"])
def test_a_number_of_retries_that_is_none_is_wrong_usage(wns: LocalWns, retries: str) -> None:
    """It ends with 2, as every wrong usage does."""
    assert send(wns, "--retries", retries) == 2


@pytest.mark.parametrize("value", ["x", "", "1.5", "1_000", "٣", "9" * 20, "9" * 5000, "-1"])
@pytest.mark.parametrize(
    ("option", "limits"),
    [("--ttl", "0 to 9999999999"), ("--priority", "1 to 4"), ("--retries", "0 to 1000")],
)
def test_every_number_says_its_range_in_one_way(
    wns: LocalWns, option: str, limits: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever is wrong with it, a number of many digits is called no other thing; nothing is sent."""
    assert send(wns, f"{option}={value}") == 2
    assert f"argument {option}: a whole number from {limits}, not '{value[:60]}" in capsys.readouterr().err
    assert not wns.requests


def answered(*headers: str, status: str = "503 Busy") -> str:
    """Send to a service that gives a token and then this answer; return what is printed."""
    token = http("200 OK", json.dumps({"access_token": "t", "expires_in": 3600}).encode())
    with answering(token, http(status, b"", *(each.encode() for each in headers))) as url:
        arguments = ("send", f"{url}/w/?token=x", "x", "--client-id", "i", "--client-secret", "s", "--retries", "0")
        return type_in("utf-8", *arguments)[1]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ("9" * 30, "it asks to wait 10000000000 s or more"),
        ("9" * 5000, "it asks to wait 10000000000 s or more"),
        ("", "it asks to wait, and how long is not clear: ''"),
        ("soon", "it asks to wait, and how long is not clear: 'soon'"),
        ("7", "it asks to wait 7 s"),
    ],
    ids=["30 digits", "5,000 digits", "empty", "a word", "a number"],
)
def test_a_wait_is_told_by_one_rule(wish: str, words: str) -> None:
    """Any number counts up to one limit, and whatever else is there is a wait that is not clear."""
    assert answered(f"Retry-After: {wish}").endswith(f"; {words}\n")


def test_an_answer_without_an_id_is_told_without_one() -> None:
    """No service has to send one."""
    assert answered("X-WNS-Status: received", status="200 OK") == "received\n"
