"""What an operator may choose about the calling service, and what is said of choices that cannot be right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.protocol.calling.board import ANN, BEN, CARA, Board, hello
from tocsin.calling_service.calling_settings import READER, CallingSettings
from tocsin.protocol.calling.switchboard_rows import Tell
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.messages.calling import MAX_LISTED_CALLS, MAX_OPEN_CALLS, MAX_RINGING_CALLS
from tocsin.service.operations.configuration import check_environment
from tocsin.service.operations.settings import ServiceSettings


def test_the_service_listens_on_this_machine_only_unless_told() -> None:
    """On a port of its own, so that agents find it again."""
    settings = CallingSettings()
    assert (settings.host, settings.port, settings.ring_time) == ("127.0.0.1", 8_090, 120.0)


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"port": 65_536}, "port is a whole number from 0 to 65535, not 65536"),
        ({"ring_time": 0.0}, "ring_time is a number from 0.001 to 3600, not 0.0"),
        ({"max_connections_per_user": 0}, "max_connections_per_user is a whole number from 1 to 64, not 0"),
        ({"agent_backlog": 1}, "agent_backlog is a whole number from 193 to 65536, not 1"),
        ({"max_connections": 0}, "max_connections is a whole number from 1 to 1000000, not 0"),
        ({"token_url": "push.example"}, "token_url is a URL such as"),
        ({"hub_connection": 7}, "hub_connection is a text, not int"),
        ({"hub_connection_file": "a\0b"}, "hub_connection_file is the name of a file"),
        ({"host": "a b"}, "host is an address or a name"),
        ({"trusted_proxies": ("here",)}, "trusted_proxies are addresses or networks, not 'here'"),
    ],
)
def test_a_value_outside_its_limits_is_refused(choice: dict[str, Any], words: str) -> None:
    """The error names the setting, its limits and the value."""
    with pytest.raises(InvalidArgument, match=re.escape(words)):
        CallingSettings(**choice)


def test_secrets_are_no_options_and_are_not_shown() -> None:
    """Other users of the machine can read a command line."""
    options = {name for name, _, _ in READER.described(options=True)}
    every = {name for name, _, _ in READER.described()}
    assert every - options == {"hub_connection", "client_secret"}
    settings = CallingSettings(hub_connection="Endpoint=sb://x/;SharedAccessKey=secret", client_secret="secret")  # noqa: S106 - a case
    assert "secret" not in repr(settings).replace("client_secret_file", "")


def test_settings_come_from_options_environment_and_file(tmp_path: Path) -> None:
    """An option goes before the environment, the environment before the file."""
    path = tmp_path / "calling.toml"
    path.write_text("port = 1\nring_time = 1.5\nhub = 'one'\nmessage_burst = 7\n", encoding="utf-8")
    environ = {"TOCSIN_CALLING_PORT": "2", "TOCSIN_CALLING_RING_TIME": "2", "TOCSIN_PORT": "9"}
    settings = READER.load({"port": "3"}, environ | {"TOCSIN_CALLING_CLIENT_SECRET": "s"}, path)
    assert (settings.port, settings.ring_time, settings.hub, settings.message_burst) == (3, 2.0, "one", 7)
    assert settings.client_secret == "s"  # noqa: S105 - a case


def test_a_slip_in_a_name_is_told() -> None:
    """Its value would be missed; and the other service takes none of these variables for its own."""
    for slip, meant in (
        ("TOCSIN_CALLING_RINGTIME", "TOCSIN_CALLING_RING_TIME"),
        ("TOCSIN_CALING_CLIENT_ID", "TOCSIN_CALLING_CLIENT_ID"),
        ("TOCSIN_STATES", "TOCSIN_STATE"),
    ):
        with pytest.raises(InvalidArgument, match=rf"^{slip} has no meaning; did you mean {meant}\?$"):
            READER.check_environment({slip: "1"})
    known = ["TOCSIN_CALLING_CONFIG", "TOCSIN_PORT", *(READER.variable(name) for name, _, _ in READER.described())]
    assert READER.check_environment(dict.fromkeys(["TOCSIN_LOG", *known], "")) == ["TOCSIN_LOG"]
    assert check_environment({"TOCSIN_CALLING_PORT": "1", "TOCSIN_CALLING_RINGTIME": "1"}) == []


def test_the_doors_are_those_of_the_push_service() -> None:
    """What has the same name means the same, and is passed on."""
    doors = CallingSettings(host="::1", max_connections=7, ping_interval=3.0, write_timeout=2.0).of_doors()
    assert doors == ServiceSettings(host="::1", port=8_090, max_connections=7, ping_interval=3.0, write_timeout=2.0)


def test_every_setting_says_what_it_is() -> None:
    """Each has a meaning, which fits into a line of ``--help``."""
    for name, _, meaning in READER.described():
        assert 10 < len(meaning) < 110, name
    assert len(READER.described()) == len(attrs.fields(CallingSettings))


def test_what_an_agent_is_told_on_its_hello_has_room_in_every_backlog() -> None:
    """The service would cut it off else, each time that it comes: calls that it has lost, that it lists, and that ring."""
    board = Board()
    board.connect(ANN, CARA)
    for number in range(MAX_OPEN_CALLS):
        board.start(ANN, CARA.user, f"open {number}")
        board.accept(CARA, f"open {number}")
    board.connect(BEN)
    for number in range(MAX_RINGING_CALLS):
        board.start(BEN, ANN.user, f"ringing {number}")
    board.taken(Tell)
    board.hello(ANN, hello(*(f"listed {number}" for number in range(MAX_LISTED_CALLS))))
    told = [each for each in board.taken(Tell) if each.endpoint == ANN]
    assert len(told) == MAX_OPEN_CALLS + MAX_LISTED_CALLS + MAX_RINGING_CALLS
    CallingSettings(agent_backlog=len(told) + 1)  # the welcome is before them
    with pytest.raises(InvalidArgument, match="agent_backlog"):
        CallingSettings(agent_backlog=len(told))
