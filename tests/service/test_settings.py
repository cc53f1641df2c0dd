"""What an operator may choose."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tocsin.protocol.errors import InvalidArgument
from tocsin.service.settings import ServiceSettings


def test_the_service_listens_on_this_machine_only_unless_told() -> None:
    """The default host is the loopback."""
    assert ServiceSettings().host == "127.0.0.1"


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"port": -1}, "port must be from 0 to 65535, not -1"),
        ({"port": 65_536}, "port must be from 0 to 65535, not 65536"),
        ({"device_window": 0}, "device_window must be from 1 to 65536, not 0"),
        ({"device_backlog": 0}, "device_backlog must be from 1 to"),
        ({"acknowledge_timeout": 0}, "acknowledge_timeout must be from 0.001 to 3600, not 0"),
        ({"hello_timeout": -1}, "hello_timeout must be from"),
        ({"body_timeout": float("nan")}, "body_timeout must be from 0.001 to 3600, not nan"),
    ],
)
def test_a_value_outside_its_limits_is_refused(choice: dict[str, Any], words: str) -> None:
    """The error names the setting, its limits and the value."""
    with pytest.raises(InvalidArgument, match=re.escape(words)):
        ServiceSettings(**choice)
