"""``tocsin migrate``: what it prints, and what other verbs do then."""

from __future__ import annotations

import json
import sys
from functools import partial
from io import StringIO
from pathlib import Path

import anyio
import pytest

from tests.persistence.postgres_server import PostgresServer
from tests.processes import call
from tocsin.cli.engine_choice import shows_password


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    """Return the URL of an empty database."""
    return await postgres.emptied()


@pytest.fixture
async def state(tmp_path: Path) -> Path:
    """Make a folder with a service that has an app and a hub."""
    state = tmp_path / "state"
    assert (await run("app", "add", "contoso", "--state", str(state)))[0] == 0
    assert (await run("hub", "add", "hub", "--endpoint", "https://push.example", "--state", str(state)))[0] == 0
    return state


async def run(*arguments: str) -> tuple[int, str, str]:
    """Run a verb, which has an event loop of its own."""
    return await anyio.to_thread.run_sync(partial(call, *arguments))


async def test_a_script_reads_what_was_moved(state: Path, url: str) -> None:
    """One object, and a line for each table on standard error, where a log is."""
    code, output, errors = await run("migrate", "--from", str(state), "--to", url, "--json")
    assert code == 0, errors
    told = json.loads(output)
    assert (told["rows"]["apps"], told["rows"]["hub_keys"], told["public_url"]) == (1, 3, None)
    assert told["moved_to"].startswith("PostgreSQL at /")
    assert "apps                            1\n" in errors
    assert errors.count("\n") == 12
    code, output, errors = await run("migrate", "--from", str(state), "--to", url, "--json")
    assert (code, json.loads(output)["rows"], errors) == (0, {}, "")


async def test_a_person_is_told_how_to_go_on(state: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And how to go back; the URL may come from the environment, and is not shown."""
    monkeypatch.setenv("TOCSIN_ENGINE", url)
    code, output, _ = await run("migrate", "--from", str(state))
    assert code == 0
    moved, advice = output.splitlines()
    assert "rows moved into PostgreSQL at /" in moved
    assert advice == f"go on with: tocsin serve --state {state} --engine URL --public-url URL"
    assert (await run("migrate", "--from", str(state)))[1].startswith("all of it is in PostgreSQL at /")
    code, output, _ = await run("migrate", "--undo", "--from", str(state))
    assert (code, "has a service by itself again" in output) == (0, True)
    code, output, _ = await run("migrate", "--undo", "--from", str(state))
    assert code == 1


async def test_progress_is_a_bar_where_it_is_watched(state: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the table, and how many rows it has."""

    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    def watched() -> tuple[int, str]:
        terminal = Terminal()
        monkeypatch.setattr("tests.processes.StringIO", Terminal)
        code, _, errors = call("migrate", "--from", str(state), "--to", url)
        assert terminal.isatty()
        return code, errors

    code, errors = await anyio.to_thread.run_sync(watched)
    assert code == 0
    assert "apps: 100%" in errors


async def test_the_other_verbs_follow(state: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the URL they work on the database; without it they say where the state is."""
    assert (await run("migrate", "--from", str(state), "--to", url))[0] == 0
    for verb in (["app", "list"], ["hub", "list"], ["channels"]):
        code, _, errors = await run(*verb, "--state", str(state))
        assert (code, "give --engine, or TOCSIN_ENGINE" in errors) == (1, True), verb
        code, output, errors = await run(*verb, "--state", str(state), "--engine", url)
        assert (code, errors) == (0, ""), verb
        with monkeypatch.context() as patch:
            patch.setenv("TOCSIN_ENGINE", url)
            assert await run(*verb, "--state", str(state)) == (0, output, "")
            assert "contoso" in output or "hub" in output


async def test_a_variable_does_not_hide_a_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The channels of an agent are listed on a machine whose service has its state elsewhere."""
    monkeypatch.setenv("TOCSIN_ENGINE", "postgresql://127.0.0.1:1/none")
    code, _, errors = await run("channels", "--state", str(tmp_path))
    assert (code, "there is no state of Tocsin" in errors) == (1, True)


@pytest.mark.parametrize(
    ("url", "shows"),
    [
        ("postgresql:///d", False),
        ("postgresql://u@h/d", False),
        ("postgresql://u:p@h/d", True),
        ("postgresql://h/d?user=u&password=p", True),
        ("postgresql://u:[p@h/d", True),
    ],
)
def test_a_password_on_the_command_line_is_told(
    url: str, shows: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """Others can read it there; it is not repeated."""
    assert shows_password(url) == shows
    (tmp_path / "state").mkdir()
    code, _, errors = call("migrate", "--from", str(tmp_path / "state"), "--to", url)
    assert code == 1
    assert ("others on this machine can read the password in --to" in errors) == shows
    assert url not in errors
    assert capsys.readouterr().out == ""
    assert sys.stderr is not None
