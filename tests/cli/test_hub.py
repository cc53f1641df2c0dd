"""``tocsin hub``: what a person sees, and what a script reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.test_serve import ok, serving
from tests.processes import call
from tocsin.protocol.hub.connection_string import read_connection_string

ENDPOINT = ("--endpoint", "https://push.example")


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder that is meant where none is named."""
    monkeypatch.setenv("TOCSIN_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def test_the_connection_strings_are_shown_once_to_a_person(state: Path) -> None:
    """On standard output, one a line behind its right; what each is for is said beside."""
    code, output, errors = call("hub", "add", "contoso-hub", *ENDPOINT)
    assert code == 0, errors
    lines = [line.split() for line in output.splitlines()]
    assert [right for right, _ in lines] == ["listen", "send", "manage"]
    assert all(read_connection_string(text).url == "https://push.example/" for _, text in lines)
    assert f"Kept in {state}, for the service there. They are not shown again." in errors
    assert "TLS" not in errors
    code, listed, _ = call("hub", "list")
    assert (code, listed) == (
        0,
        "contoso-hub  of every app  registrations 0  installations 0  messages waiting 0\n",
    )
    code, output, _ = call("hub", "rotate", "contoso-hub", "--right", "send", *ENDPOINT)
    assert (code, output.split()[0], output.count("\n")) == (0, "send", 1)
    assert call("hub", "list")[1].endswith("with an earlier key to send\n")
    assert call("hub", "remove", "contoso-hub") == (0, "contoso-hub is removed\n", "")
    assert call("hub", "list") == (0, "", "There is no hub; 'tocsin hub add NAME' makes one.\n")
    assert (state / "service.db").exists()


def test_an_app_of_a_hub_is_listed_after_its_end_too(state: Path) -> None:
    """A hub of an app that was removed sends to no one, and is not taken for one of every app."""
    assert call("app", "add", "contoso.mail")[0] == 0
    assert call("hub", "add", "mail", "--app", "contoso.mail", *ENDPOINT)[0] == 0
    assert call("hub", "list")[1].startswith("mail  contoso.mail  ")
    assert call("app", "remove", "contoso.mail")[0] == 0
    assert call("hub", "list")[1].startswith("mail  of an app that was removed  ")
    assert state.exists()


@pytest.mark.parametrize("action", ["add", "rotate"])
def test_where_no_tls_is_spoken_a_person_and_a_script_are_warned(state: Path, action: str) -> None:
    """On standard error: what is printed for a script can be read."""
    if action == "rotate":
        assert call("hub", "add", "contoso-hub", *ENDPOINT)[0] == 0
    code, output, errors = call("hub", action, "contoso-hub", "--endpoint", "http://127.0.0.1:8080", "--json")
    assert code == 0
    assert set(json.loads(output)["connection_strings"]) == {"listen", "send", "manage"}
    (line,) = errors.splitlines()
    assert line.startswith("tocsin hub: at http://127.0.0.1:8080 no TLS is spoken")
    assert "--dev-tls or --tls-cert" in line
    assert state.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["add", "w", *ENDPOINT], "'w' is a path of the service itself; give the hub another name"),
        (["add", "a b", *ENDPOINT], "a hub's name has 1 to 260 letters, digits"),
        (
            ["add", "hub", "--app", "absent", *ENDPOINT],
            "no app is registered as 'absent'; 'tocsin app add' registers one",
        ),
        (["add", "hub", "--endpoint", "push.example"], "the endpoint is a URL such as https://push.example"),
        (["rotate", "hub", *ENDPOINT], "there is no push service's state in"),
        (["list"], "there is no push service's state in"),
    ],
)
@pytest.mark.usefixtures("state")
def test_a_mistake_is_told_in_one_sentence(arguments: list[str], words: str) -> None:
    """Exit code 1, and nothing on standard output."""
    code, output, errors = call("hub", *arguments)
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert words in errors


async def test_a_service_that_runs_is_asked(tmp_path: Path) -> None:
    """Its own URL is in the connection strings, and it knows the hub at once."""
    state = str(tmp_path)
    async with serving(tmp_path, "--dev-tls") as server:
        added = await ok("hub", "add", "contoso-hub", "--state", state)
        assert added["endpoint"] == server.first["url"]
        assert added["connection_strings"]["send"].startswith(f"Endpoint=sb://127.0.0.1:{server.first['port']}/;")
        assert [each["name"] for each in (await ok("hub", "list", "--state", state))["hubs"]] == ["contoso-hub"]
        rotated = await ok("hub", "rotate", "contoso-hub", "--right", "manage", "--state", state)
        assert list(rotated["connection_strings"]) == ["manage"]
        assert await ok("hub", "remove", "contoso-hub", "--state", state) == {"removed": "contoso-hub"}
