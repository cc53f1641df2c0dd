"""Where the settings come from, and what is said of those that cannot be right."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.service.settings_page import table
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.network.addresses import is_loopback
from tocsin.service.operations.configuration import (
    OTHERS,
    check_environment,
    check_exposure,
    check_link_choice,
    described,
    load_settings,
    variable,
)
from tocsin.service.operations.settings import ServiceSettings

OPERATING = Path(__file__).parents[3] / "docs" / "operating.md"


def config(folder: Path, text: str) -> Path:
    """Write a file of settings."""
    path = folder / "tocsin.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_a_word_the_defaults_are_taken() -> None:
    """Nothing else in the environment is looked at."""
    assert load_settings({}, {"TOCSIN_CLIENT_ID": "x", "PORT": "1"}, None) == ServiceSettings()


def test_the_nearest_word_counts(tmp_path: Path) -> None:
    """An option goes before the environment, the environment before the file, the file before the default."""
    path = config(tmp_path, "port = 1\nchannel_burst = 1\napp_burst = 1\n")
    environ = {"TOCSIN_PORT": "2", "TOCSIN_CHANNEL_BURST": "2"}
    settings = load_settings({"port": "3"}, environ, path)
    assert (settings.port, settings.channel_burst, settings.app_burst) == (3, 2, 1)
    assert settings.address_burst == ServiceSettings().address_burst


def test_every_kind_of_value_can_be_said_everywhere(tmp_path: Path) -> None:
    """Texts, switches, numbers with and without a fraction, and lists come out equal from a file and from words."""
    text = 'host = "::1"\ninsecure = true\nport = 7\nbody_timeout = 2\ntrusted_proxies = ["10.0.0.1", "::1"]\n'
    words = {"HOST": "::1", "INSECURE": "yes", "PORT": "7", "BODY_TIMEOUT": "2", "TRUSTED_PROXIES": "10.0.0.1, ::1"}
    expected = ServiceSettings(host="::1", insecure=True, port=7, body_timeout=2, trusted_proxies=("10.0.0.1", "::1"))
    assert load_settings({}, {}, config(tmp_path, text)) == expected
    assert load_settings({}, {f"TOCSIN_{name}": value for name, value in words.items()}, None) == expected
    assert load_settings({name.lower(): value for name, value in words.items()}, {}, None) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prot = 1", "there is no setting 'prot'"),
        ('port = "1"', "port is a whole number from 0 to 65535, not '1'"),
        ("port = true", "port is a whole number from 0 to 65535, not True"),
        ("insecure = 1", "insecure is true or false, not 1"),
        ("trusted_proxies = [1]", r"trusted_proxies is a list of texts, not \(1,\)"),
        ('trusted_proxies = ["here"]', "trusted_proxies are addresses or networks, not 'here'"),
        ("port = 70000", r"tocsin\.toml: port is a whole number from 0 to 65535, not 70000"),
        ("port = ", "cannot be read"),
        ("port = " + "[" * 20_000, "cannot be read"),
        ("chanel_rate = 1", "there is no setting 'chanel_rate'; did you mean 'channel_rate'?"),
        ('tls_cert = "a\\u0000b"', "tls_cert is the name of a file"),
    ],
)
def test_a_mistake_in_the_file_is_told(tmp_path: Path, text: str, words: str) -> None:
    """The sentence names the setting and what was wrong."""
    with pytest.raises(InvalidArgument, match=words):
        load_settings({}, {}, config(tmp_path, text))


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    """TOML is UTF-8."""
    path = tmp_path / "tocsin.toml"
    path.write_bytes(b"host = '\xff'")
    with pytest.raises(InvalidArgument, match=r"tocsin\.toml cannot be read"):
        load_settings({}, {}, path)


def test_a_mistake_elsewhere_is_told(tmp_path: Path) -> None:
    """The sentence names the variable, the option or the file as it was written."""
    with pytest.raises(InvalidArgument, match="TOCSIN_PORT is a whole number from 0 to 65535, not 'x'"):
        load_settings({}, {"TOCSIN_PORT": "x"}, None)
    with pytest.raises(InvalidArgument, match="--channel-rate is a number from 0 to 1000000, not ''"):
        load_settings({"channel_rate": ""}, {}, None)
    for spelled in ("1_0", "\u0663", " 1", "0x1"):
        with pytest.raises(InvalidArgument, match="--port is a whole number from 0 to 65535, not"):
            load_settings({"port": spelled}, {}, None)
    with pytest.raises(InvalidArgument, match="--insecure is true or false, not 'maybe'"):
        load_settings({"insecure": "maybe"}, {}, None)
    with pytest.raises(InvalidArgument, match="--port is a whole number from 0 to 65535, not 70000"):
        load_settings({"port": "70000"}, {}, None)
    with pytest.raises(InvalidArgument, match=r"TOCSIN_PUBLIC_URL is a URL .* not 'push\.example'"):
        load_settings({}, {"TOCSIN_PUBLIC_URL": "push.example"}, None)
    with pytest.raises(InvalidArgument, match=r"missing\.toml cannot be read: .*No such file"):
        load_settings({}, {}, tmp_path / "missing.toml")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TOCSIN_CHANEL_RATE", "TOCSIN_CHANNEL_RATE"),
        ("TOCSIN_STATES", "TOCSIN_STATE"),
        ("TOCSIN_PUBLICURL", "TOCSIN_PUBLIC_URL"),
        ("tocsin_port", "TOCSIN_PORT"),
        ("TOCSIN_CLIENT_SECRT", "TOCSIN_CLIENT_SECRET"),
    ],
)
def test_a_slip_in_the_name_of_a_variable_is_told(name: str, meant: str) -> None:
    """Its value would be missed, and the service would run otherwise than was meant."""
    with pytest.raises(InvalidArgument, match=rf"^{name} has no meaning; did you mean {meant}\?$"):
        check_environment({name: "1"})


def test_variables_of_other_programs_are_told_apart() -> None:
    """Such as those that Kubernetes makes for a service of that name: they are nothing to refuse."""
    others = ["TOCSIN_LOG", "TOCSIN_PORT_8080_TCP", "TOCSIN_SERVICE_HOST"]
    known = [*OTHERS, *(variable(name) for name, _, _ in described())]
    assert check_environment(dict.fromkeys(["PATH", *others, *known], "")) == others


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        (ServiceSettings(), True),
        (ServiceSettings(host="::1"), True),
        (ServiceSettings(host="localhost"), True),
        (ServiceSettings(host="0.0.0.0"), False),  # noqa: S104 - a case
        (ServiceSettings(host="push.example"), False),
        (ServiceSettings(host="::", insecure=True), True),
        (ServiceSettings(host="::", tls_cert="cert.pem"), True),
    ],
)
def test_others_are_spoken_to_in_secret_only(settings: ServiceSettings, *, allowed: bool) -> None:
    """A service that other machines can reach needs TLS or ``--insecure``."""
    if allowed:
        check_exposure(settings)
    else:
        with pytest.raises(InvalidArgument, match="give --tls-cert and --tls-key, or --insecure"):
            check_exposure(settings)


@pytest.mark.parametrize(
    "place",
    [
        "10.0.0.7",
        "10.0.0.7:",
        ":7443",
        "h:65536",
        "h:-1",
        "h:٣",
        "a b:7",
        "fd00::7:7443",
        "[h]:7",
        "h\n:7",
        "[fd00::7]",
    ],
)
def test_a_place_of_a_link_has_a_host_and_a_port(place: str) -> None:
    """Else it is told how it is written."""
    with pytest.raises(
        InvalidArgument, match=r"^--link is HOST:PORT, such as 10.0.0.7:7443, or \[fd00::7\]:7443 for IPv6"
    ):
        load_settings({"link": place}, {}, None)


ENGINE = "postgresql:///d"


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({}, ""),
        ({"engine": ENGINE}, ""),
        ({"engine": ENGINE, "link": "10.0.0.7:0"}, ""),
        ({"engine": ENGINE, "link": "[fd00::7]:7443"}, ""),
        ({"engine": ENGINE, "link": "0.0.0.0:7443", "link_address": "a.example:7443"}, ""),
        ({"link": "127.0.0.1:0"}, "the state folder has one node: give --engine"),
        ({"link_address": "127.0.0.1:7"}, "the state folder has one node: give --engine"),
        ({"engine": ENGINE, "link": "0.0.0.0:7443"}, r"cannot connect to 0.0.0.0:7443: give --link-address"),
        ({"engine": ENGINE, "link": "[::]:0"}, r"cannot connect to \[::\]:0: give --link-address"),
        ({"engine": ENGINE, "link_address": "a.example:0"}, "cannot connect to a.example:0: give --link-address"),
    ],
)
def test_a_link_is_for_nodes_that_can_be_reached(choices: dict[str, Any], words: str) -> None:
    """What leads nowhere is refused before anything is opened."""
    settings = ServiceSettings(**choices)
    if words:
        with pytest.raises(InvalidArgument, match=words):
            check_link_choice(settings)
    else:
        check_link_choice(settings)


def test_a_name_is_no_loopback() -> None:
    """Only what cannot be another machine is this one."""
    assert is_loopback("127.9.9.9")
    assert not is_loopback("testclient")


def test_the_table_of_the_settings_is_up_to_date() -> None:
    """``docs/operating.md`` lists all of them, as they are."""
    assert table() in OPERATING.read_text(encoding="utf-8")


def test_every_setting_says_what_it_is() -> None:
    """Each has a meaning, which fits into a line of ``--help``."""
    for name, _, meaning in described():
        assert 10 < len(meaning) < 110, name


def test_a_pipe_holds_no_settings(tmp_path: Path) -> None:
    """It is refused, and not waited for."""
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(InvalidArgument, match="no regular file"):
        load_settings({}, {}, tmp_path / "pipe.toml")
