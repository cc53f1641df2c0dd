"""``tocsin serve --dev`` as a process, driven over HTTP as docs/testing.md shows it: by hand, from Python, Node.js and Java."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from attrs import define

from tests.e2e.installed import NODE, run
from tests.processes import call

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")
CONSTANTS = {
    "client_id": "de7e10b0-0000-4000-8000-00000000c11e",
    "client_secret": "not-a-secret-of-tocsin-serve-dev",
    "remote_id": "de7e10b0-0000-4000-8000-000000000de7",
}
SAYS = "a busy service was tried again, and the push arrived"


def program(language: str, name: str) -> str:
    """Take a program out of the page, by the name in its first line."""
    pattern = rf"^```{language}\n(?://|#) {re.escape(name)}\n(.*?)^```$"
    (text,) = re.findall(pattern, PAGE, re.MULTILINE | re.DOTALL)
    return str(text)


@define
class Twin:
    """A running one, and what it said first."""

    first: dict[str, Any]
    process: subprocess.Popen[str]

    def do(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Drive it."""
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(self.first["control"] + path, data, method=method)) as answer:  # noqa: S310  # our own URL
            return json.load(answer)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder for the states of a user."""
    return tmp_path_factory.mktemp("twin")


@pytest.fixture(scope="module")
def state(home: Path) -> Path:
    """Return the folder that it takes where it is given none."""
    return home / "tocsin" / "dev"


@pytest.fixture(scope="module")
def twin(home: Path) -> Iterator[Twin]:
    """Run one for all tests of this file, each of which begins anew."""
    command = [sys.executable, "-m", "tocsin", "serve", "--dev", "--json"]
    env = {name: value for name, value in os.environ.items() if name != "TOCSIN_STATE"} | {"XDG_STATE_HOME": str(home)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:  # noqa: S603  # ours
        assert process.stdout is not None
        try:
            yield Twin(json.loads(process.stdout.readline()), process)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)
    assert process.returncode == 0


@pytest.fixture(autouse=True)
def _anew(twin: Twin) -> None:
    twin.do("POST", "reset")


def environment(twin: Twin) -> dict[str, str]:
    """Say to a program where the twin is."""
    return {"WNS": twin.first["url"]}


def test_its_first_line_says_all(twin: Twin) -> None:
    """The constants, the channel, and where it is driven; the page names the same."""
    assert CONSTANTS.items() <= twin.first.items()
    assert all(value in PAGE for value in CONSTANTS.values())
    about = twin.do("GET", "")
    assert about["channel_uri"] == twin.first["channel_uri"]
    assert about["online"] is True


def test_the_commands_know_it(twin: Twin, home: Path, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is pushed to by ``send``, and asked by ``status`` and ``app``, as any service; ``status`` finds it."""
    monkeypatch.delenv("TOCSIN_STATE", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    secrets = ("--client-id", CONSTANTS["client_id"], "--client-secret", CONSTANTS["client_secret"])
    code, _, errors = call("send", twin.first["channel_uri"], "hello", *secrets)
    assert code == 0, errors
    assert [push["text"] for push in twin.do("GET", "pushes?count=1")["pushes"]] == ["hello"]
    code, output, _ = call("app", "list", "--json", "--state", str(state))
    assert (code, [each["name"] for each in json.loads(output)["apps"]]) == (0, ["development"])
    code, output, errors = call("status", "--json")
    assert code == 0, errors
    assert json.loads(output)["url"] == twin.first["url"]


def test_it_is_driven_from_python(twin: Twin, tmp_path: Path) -> None:
    """With the standard library alone."""
    file = tmp_path / "drive_the_twin.py"
    file.write_text(program("python", "drive_the_twin.py"), encoding="utf-8")
    assert run([sys.executable, str(file)], environment(twin)).strip() == SAYS


def test_it_is_driven_from_node(twin: Twin, tmp_path: Path) -> None:
    """With Node.js alone, by its own test runner."""
    file = tmp_path / "twin.test.mjs"
    file.write_text(program("js", "twin.test.mjs"), encoding="utf-8")
    assert "# pass 1" in run([str(NODE), "--test", "--test-reporter=tap", str(file)], environment(twin))
    assert [each["status"] for each in twin.do("GET", "requests")["requests"]] == [503, 200]


@pytest.mark.skipif(shutil.which("javac") is None, reason="runs a Java program: needs a JDK, of version 11 or newer")
def test_it_is_driven_from_java(twin: Twin, tmp_path: Path) -> None:
    """With the JDK alone."""
    java = shutil.which("java")
    assert java is not None
    file = tmp_path / "TwinTest.java"
    file.write_text(program("java", "TwinTest.java"), encoding="utf-8")
    assert run([java, "-XX:TieredStopAtLevel=1", str(file)], environment(twin)).strip() == SAYS


@pytest.mark.skipif(shutil.which("go") is None, reason="runs a program in Go, of version 1.18 or newer")
def test_it_is_driven_from_go(twin: Twin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own test runner."""
    go = shutil.which("go")
    assert go is not None
    (tmp_path / "twin_test.go").write_text(program("go", "twin_test.go"), encoding="utf-8")
    (tmp_path / "go.mod").write_text("module twin\n\ngo 1.18\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    run([go, "test"], environment(twin) | {"GOCACHE": str(tmp_path / "cache"), "CGO_ENABLED": "0"})
    assert [each["status"] for each in twin.do("GET", "requests")["requests"]] == [503, 200]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--host", "0.0.0.0", "--insecure"], "--dev is for this machine only, since everyone knows its credentials"),  # noqa: S104
        (["--tls-cert", "x.pem"], "a certificate is for others: give --dev-tls instead"),
        (["--public-url", "https://push.example"], "public_url is for others: leave it out"),
    ],
)
def test_others_are_not_let_in(tmp_path: Path, options: list[str], words: str) -> None:
    """One sentence, and no folder is made."""
    code, output, errors = call("serve", "--dev", "--state", str(tmp_path / "state"), *options)
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert words in errors
    assert not (tmp_path / "state").exists()


def test_a_service_refuses_its_folder(state: Path, tmp_path: Path, twin: Twin) -> None:
    """Without ``--dev`` the credentials that everyone knows would be good for others."""
    assert twin.process.poll() is None
    shutil.copytree(state, tmp_path / "copy", ignore=shutil.ignore_patterns("*.sock", "control", "owner"))
    code, _, errors = call("serve", "--state", str(tmp_path / "copy"))
    assert (code, "whose credentials everyone knows; give another --state" in errors) == (1, True)
