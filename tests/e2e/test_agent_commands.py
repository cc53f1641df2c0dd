"""Commands that a real agent starts, or cannot start: no shell reads them, and a dead letter says what went wrong."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import pytest

from tests.e2e.agents import Agent, in_process, running_agent
from tests.processes import sender
from tocsin import Activators, InvalidArgument, PushNotificationActivationInfo, connect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the agent runs on POSIX systems only")

BACKGROUND = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR)

WORDS = [
    "two words",
    "it's",
    '"quoted"',
    "new\nline",
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    "*",
    "~",
    "",
    "\\",
    "ü\udcff",
]

PROGRAM = """\
#!{python}
import json, os, sys
with open({said!r}, "w") as said:
    json.dump([os.getcwd(), *sys.argv], said)
"""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Processes and sockets: on asyncio."""
    return "asyncio"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Run one agent for all tests."""
    with running_agent(tmp_path_factory.mktemp("agent")) as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder with an odd name."""
    folder = tmp_path / 'it\'s a "folder"\nof $(mine)'
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def program(folder: Path) -> Path:
    """Write a program that notes how it was called, and claims nothing."""
    path = folder / "the program; exit"
    path.write_text(PROGRAM.format(python=sys.executable, said=str(folder / "said")), encoding="utf-8")
    path.chmod(0o700)
    return path


async def register_and_push(agent: Agent, app: str, command: Sequence[str | Path], then: object = None) -> None:
    """Register a command as an app does, let something happen to it, and push."""
    async with connect(app, agent.socket, command=command) as manager:
        registration = manager.registration
        assert registration is not None
        await manager.register_activator(BACKGROUND)
        channel = (await manager.create_channel(registration.remote_id)).channel
        assert channel is not None
    if callable(then):
        then()
    first = {"uri": channel.uri, "client_id": registration.client_id, "client_secret": registration.client_secret}
    async with sender(first | {"token_url": registration.token_url}) as server:
        assert (await server.push(b"1"))[0] == 200


async def test_no_shell_reads_a_command(agent: Agent, folder: Path) -> None:
    """Spaces, quotes, newlines and bytes that are no text arrive as they are, in the working folder of then."""
    command = program(folder)
    await register_and_push(agent, "odd", [command, *WORDS])
    (letter,) = await agent.until_dead("odd")
    where, path, *words = json.loads((folder / "said").read_text(encoding="utf-8"))
    assert (where, path, words[:-1]) == (str(folder), str(command), WORDS)
    assert words[-1].startswith("----tocsin-push:")
    assert sorted([each.name async for each in anyio.Path(folder).iterdir()]) == ["said", command.name]
    code, output, _ = await in_process("activators", "--state", str(agent.state), "--json")
    shown = {each["app"]: each for each in map(json.loads, output.splitlines())}["odd"]
    assert (code, shown["command"], shown["folder"]) == (0, [str(command), *WORDS], str(folder))
    assert letter["reason"] == "launch_failed"
    assert letter["detail"].endswith("ended with exit status 0 before it claimed the payload")
    assert "\n" not in letter["detail"]


@pytest.mark.parametrize(
    ("app", "word"),
    [
        ("missing", "No such file"),
        ("locked", "Permission denied"),
        ("homeless", "its working folder"),
        ("headless", "the interpreter"),
    ],
)
async def test_what_cannot_be_started_any_more_is_a_dead_letter_with_the_reason(
    agent: Agent, folder: Path, tmp_path: Path, app: str, word: str
) -> None:
    """``tocsin dead-letters`` shows it, on one line."""
    command = program(tmp_path)
    happenings = {
        "missing": command.unlink,
        "locked": lambda: command.chmod(0o600),
        "homeless": lambda: shutil.rmtree(folder),
        "headless": lambda: command.write_text("#!/no/such/interpreter\n", encoding="utf-8"),
    }
    await register_and_push(agent, app, [command], happenings[app])
    (letter,) = await agent.until_dead(app)
    assert letter["reason"] == "launch_failed"
    assert word in letter["detail"]
    _, output, _ = await in_process("dead-letters", "--state", str(agent.state))
    assert any(letter["detail"] in line for line in output.splitlines())


async def test_what_cannot_be_started_at_registration_is_an_error_there(agent: Agent, folder: Path) -> None:
    """It says which file, and nothing is registered."""
    (folder / "text").write_text("no program", encoding="utf-8")
    for command, word in (
        (["./none"], "there is no file"),
        (["./text"], "is not executable"),
        (["no-such-program"], "in the PATH"),
    ):
        with pytest.raises(InvalidArgument, match=word):
            async with connect("wrong", agent.socket, command=command):
                pass
    folder.joinpath("text").unlink()
    await anyio.Path(folder).rmdir()
    with pytest.raises(InvalidArgument, match="the working folder is gone"):
        async with connect("wrong", agent.socket, command=[sys.executable]):
            pass
