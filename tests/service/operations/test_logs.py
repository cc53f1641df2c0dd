"""Log lines."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from tests.processes import untouched_logs
from tests.service.world import World
from tocsin.service.operations.logs import JsonLogFormatter, TextLines, message_id, set_up_logs, trace


@pytest.fixture
def untouched() -> Iterator[None]:
    """Leave the process's logging as it was."""
    with untouched_logs():
        yield


def record(message: str, *, failed: bool = False) -> logging.LogRecord:
    """Make a record of the start of the epoch."""
    error = (ValueError, ValueError("wrong"), None) if failed else None
    made = logging.LogRecord("tocsin.x", logging.INFO, "x.py", 1, message, (), error)
    made.created, made.msecs = 1.5, 500.0
    return made


def test_a_line_is_an_object() -> None:
    """Time, level, place and words; an error with its traceback, and nothing that is not there."""
    assert json.loads(JsonLogFormatter().format(record("Grüße\n"))) == {
        "time": "1970-01-01T00:00:01.500Z", "level": "info", "logger": "tocsin.x", "message": "Grüße\n",
    }  # fmt: skip
    line = JsonLogFormatter().format(record("failed", failed=True))
    assert "\n" not in line
    assert json.loads(line)["error"] == "ValueError: wrong"


def test_a_line_of_a_message_bears_its_names() -> None:
    """Id and trace are on it, for a program and for a person."""
    tokens = message_id.set("0123"), trace.set("abc-0123")
    try:
        fields = json.loads(JsonLogFormatter().format(record("x")))
        assert (fields["msg_id"], fields["trace"]) == ("0123", "abc-0123")
        assert TextLines().format(record("x")) == ("1970-01-01T00:00:01Z INFO    tocsin.x: x [id 0123, trace abc-0123]")
    finally:
        message_id.reset(tokens[0])
        trace.reset(tokens[1])
    assert TextLines().format(record("x")).endswith(": x")


def test_a_line_for_a_person_is_one_line() -> None:
    """No text from outside makes a line of its own, or is obeyed by the terminal that shows the log."""
    hostile = "\x1b[2J\n1970-01-01T00:00:01Z INFO    tocsin.x: all is well\u202e"
    assert TextLines().format(record(hostile)).isprintable()
    made = record("failed")
    made.exc_info = (ValueError, ValueError(hostile), None)
    assert all(map(str.isprintable, TextLines().format(made).split("\n")))


@pytest.mark.usefixtures("untouched")
async def test_answers_are_logged_where_everything_is(world: World) -> None:
    """At debug each notification has a line with the id that its sender was told; at info it has none."""
    stream = io.StringIO()
    set_up_logs(stream, "info", as_json=True)
    await world.post()
    assert stream.getvalue() == ""
    set_up_logs(stream, "debug", as_json=True)
    answer = await world.post(headers={"X-WNS-Type": None})
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    (ours,) = [line for line in lines if line["logger"] == "tocsin.service.senders.sender_exchange"]
    assert ours["message"].startswith("answered with 400 X-WNS-Type is missing")
    assert ours["msg_id"] == answer.headers["X-WNS-Msg-ID"]
    assert ours["trace"] == answer.headers["X-WNS-Debug-Trace"]
    for secret in (world.token, world.uri.partition("token=")[2]):
        assert secret not in stream.getvalue()
