"""Which folder a verb works in, and what it makes of what it is told about that; and the variables that it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes import call
from tocsin.persistence.state_folder import state_folder


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have an empty home, and be in an empty folder."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.delenv("TOCSIN_STATE", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "home"


READING = [
    ["app", "list"],
    ["app", "remove", "a"],
    ["app", "rotate", "a"],
    ["hub", "add", "a"],
    ["hub", "list"],
    ["hub", "remove", "a"],
    ["hub", "rotate", "a"],
    ["status"],
    ["dead-letters"],
    ["activators"],
    ["channels"],
    ["usage"],
    ["tiles"],
    ["tail"],
    ["open"],
]
ALL = [*READING, ["app", "add", "a"], ["listen"], ["serve"]]


@pytest.mark.parametrize("verb", READING)
def test_who_only_looks_makes_nothing(tmp_path: Path, verb: list[str]) -> None:
    """A folder that is not there is said to be none, and is none afterwards; so is the default one."""
    typo = tmp_path / "TYPO"
    for options in (["--state", str(typo)], []):
        code, output, errors = call(*verb, *options)
        assert (code, output, errors.count("\n")) == (1, "", 1)
        assert "--state" in errors
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


@pytest.mark.parametrize("verb", ALL)
@pytest.mark.parametrize(
    ("state", "words"), [("", "not by an empty text"), ("~nobody-of-that-name/x", "there is no home folder for")]
)
def test_a_folder_that_is_none_is_wrong_usage(tmp_path: Path, verb: list[str], state: str, words: str) -> None:
    """The empty text is not the current folder."""
    code, output, errors = call(*verb, "--state", state)
    assert (code, output) == (2, "")
    assert "argument --state: a state folder is named by a path, " in errors
    assert words in errors
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


def test_a_tilde_is_the_home_folder(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell does not see the one in ``--state=~/x``, nor one in a variable."""
    assert call("app", "add", "a", "--state=~/x")[0] == 0
    assert (home / "x" / "service.db").exists()
    monkeypatch.setenv("TOCSIN_STATE", "~/y")
    assert call("app", "add", "a")[0] == 0
    assert (home / "y" / "service.db").exists()
    monkeypatch.setenv("TOCSIN_STATE", "")  # as a shell takes a variable back
    assert call("app", "add", "a")[0] == 0
    assert (home / ".local" / "state" / "tocsin" / "serve" / "service.db").exists()
    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("verb", ["app", "hub"])
def test_a_service_is_found_where_it_is(home: Path, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    """That of ``serve``, whether it runs or not; where it has no state, that of a ``listen`` or an agent that runs, which is said."""
    folders = home / ".local" / "state" / "tocsin"
    with state_folder(folders / "listen"):
        code, output, errors = call(verb, "list")
        first, second = errors.splitlines()
        assert (code, output) == (1, "")
        assert first == f"tocsin {verb}: this is of the push service in 'tocsin listen', on {folders / 'listen'}"
        assert f"there is no push service's state in {folders / 'listen'}" in second
        monkeypatch.setenv("TOCSIN_STATE", str(home / "named"))
        assert f"in {home / 'named'};" in call(verb, "list")[2]
        monkeypatch.delenv("TOCSIN_STATE")
        assert call("app", "add", "a", "--state", str(folders / "serve"))[0] == 0
        code, _, errors = call(verb, "list")
        assert (code, "listen" in errors) == (0, False)
    (folders / "serve" / "service.db").unlink()
    assert f"in {folders / 'serve'};" in call(verb, "list")[2]
    with state_folder(folders / "agent"):
        assert f"in {folders / 'serve'};" in call(verb, "list")[2]
        (folders / "agent" / "service.db").touch()
        assert f"the push service in 'tocsin agent', on {folders / 'agent'}" in call(verb, "list")[2]


def test_a_file_of_settings_is_named_likewise(home: Path) -> None:
    """By a path that may begin with a tilde, and is not empty."""
    assert call("serve", "--config", "")[0] == 2
    home.mkdir()
    (home / "t.toml").write_text("chanel_rate = 1")
    code, _, errors = call("serve", "--config=~/t.toml")
    assert (code, "there is no setting 'chanel_rate'; did you mean 'channel_rate'?" in errors) == (1, True)


@pytest.mark.parametrize("verb", [*ALL, ["send", "http://127.0.0.1:1/w/?token=x", "x"]])
def test_a_slip_in_a_variable_is_told_by_every_verb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: list[str]
) -> None:
    """What it was to say would be missed."""
    monkeypatch.setenv("TOCSIN_STAT", str(tmp_path))
    code, output, errors = call(*verb)
    assert (code, output) == (1, "")
    assert errors.endswith(": TOCSIN_STAT has no meaning; did you mean TOCSIN_STATE?\n")


def test_a_variable_of_another_program_is_named_where_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be a user's mistake, or Kubernetes' habit."""
    monkeypatch.setenv("TOCSIN_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("TOCSIN_LOG", "debug")
    code, _, errors = call("serve", "--port", "x")
    assert code == 1
    first, second = errors.splitlines()
    assert first == "tocsin serve: TOCSIN_LOG, TOCSIN_SERVICE_HOST: there are no such settings; this has no effect"
    assert second == "tocsin serve: --port is a whole number from 0 to 65535, not 'x'"
    assert "TOCSIN_LOG" not in call("app", "list")[2]


@pytest.mark.parametrize(
    "url", ["push.example", "push.example:443", "https://", "https://u:p@push.example", "https://h/?a"]
)
def test_a_public_url_is_looked_at(tmp_path: Path, url: str) -> None:
    """Channel URIs would begin with it."""
    code, output, errors = call("serve", "--public-url", url, "--state", str(tmp_path / "state"))
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert errors.startswith("tocsin serve: --public-url is a URL such as https://push.example, without credentials")
    assert not (tmp_path / "state").exists()
