"""What ``tocsin send`` makes of answers, with a service that has faults on demand."""

from __future__ import annotations

import json
from typing import Any

import pytest

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
    assert send(wns, *words, "--cache", "--request-status") == 0
    (push,) = wns.pushes
    assert capsys.readouterr() == (f"received, message id {push.id}, the device is connected\n", "")
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
    with pytest.raises(SystemExit) as left:
        send(wns, "--retries", retries)
    assert left.value.code == 2
