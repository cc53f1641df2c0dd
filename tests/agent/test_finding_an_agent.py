"""Apps find the agent of their user, or hear how to start one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import SocketStream

from tocsin import connect
from tocsin.protocol import messages as m
from tocsin.protocol.errors import PlatformUnavailable
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.messages.unpacking import MAX_OWN_FRAME
from tocsin.protocol.platform.agent_units import SOCKET_UNIT, USERS_SOCKET, socket_unit
from tocsin.protocol.values import AGENT_VERSION
from tocsin.transport.agent_socket import default_socket, starting_command, unit_folder
from tocsin.transport.frame_stream import FrameStream

STANDING = m.PlatformStanding(None, connected=True, cause=None, text="", since=0.0, due=0.0)


@pytest.fixture
def anyio_backend() -> str:
    """Sockets: on asyncio."""
    return "asyncio"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the user another home and runtime folder."""
    monkeypatch.delenv("TOCSIN_SOCKET", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


@asynccontextmanager
async def listening(folder: Path, *, cutting: int) -> AsyncIterator[list[str]]:
    """Listen as an agent that cuts so many apps off before it greets one; hold what became of them."""
    served: list[str] = []

    async def serve(stream: SocketStream) -> None:
        async with stream:
            frames = FrameStream(stream, MAX_OWN_FRAME)
            await frames.receive()
            served.append("cut off" if len(served) < cutting else "greeted")
            if served[-1] == "greeted":
                await frames.send([encode(m.SessionWelcome(AGENT_VERSION, "mail/1", b"", encode(STANDING)))])
                await anyio.sleep_forever()

    async with await anyio.create_unix_listener(folder / "agent.sock") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve, tasks)
        yield served
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("folder", "mode"), [("run", 0o755), ("run", 0o770), ("missing", None), ("", None), ("relative", None)]
)
def test_a_runtime_folder_that_is_none_is_not_used(
    home: Path, monkeypatch: pytest.MonkeyPatch, folder: str, mode: int | None
) -> None:
    """One that others may open, or that is not there, or is none by the specification: without a word to the app."""
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    named = home / folder
    if mode is not None:
        named.mkdir()
        named.chmod(mode)
    monkeypatch.setenv("XDG_RUNTIME_DIR", folder if folder in {"", "relative"} else str(named))
    assert default_socket() == home / "state" / "tocsin" / "agent.sock"
    if mode is not None:
        named.chmod(0o700)
        assert default_socket() == named / "tocsin" / "agent.sock"


@pytest.mark.usefixtures("home")
class TestCommand:
    """The command that starts an agent."""

    def test_it_is_plain_where_no_unit_is_installed(self) -> None:
        """An agent finds its place by itself."""
        assert starting_command(default_socket()) == "tocsin agent"

    def test_it_starts_the_unit_where_one_is_installed(self) -> None:
        """A second agent would have no place beside it."""
        unit_folder().mkdir(parents=True)
        for listen in (str(default_socket()).replace("%", "%%"), USERS_SOCKET):
            (unit_folder() / SOCKET_UNIT).write_text(socket_unit(listen), encoding="utf-8")
            assert starting_command(default_socket()) == f"systemctl --user start {SOCKET_UNIT}"

    def test_a_unit_that_listens_elsewhere_starts_no_agent_here(self) -> None:
        """It would not be found."""
        unit_folder().mkdir(parents=True)
        (unit_folder() / SOCKET_UNIT).write_text(socket_unit("/else/where.sock"), encoding="utf-8")
        assert starting_command(default_socket()) == "tocsin agent"
        assert starting_command(Path("/else/where.sock")) == f"systemctl --user start {SOCKET_UNIT}"

    @pytest.mark.parametrize("there", ["folder", "file", "too long"])
    def test_a_socket_that_cannot_be_is_told_so(self, home: Path, there: str) -> None:
        """No command would start an agent there, so that none is named."""
        path = home / ("x" * 150 if there == "too long" else there)
        if there == "folder":
            path.mkdir()
        elif there == "file":
            path.touch()

        async def look() -> None:
            async with connect("mail", path, command=["true"]):
                pass

        words = "the path of a socket has" if there == "too long" else "something else than a socket is there"
        with pytest.raises(PlatformUnavailable, match=f"name another socket: {words}"):
            anyio.run(look)

    def test_it_names_a_socket_that_is_not_the_users(self) -> None:
        """As a shell reads it; an installed unit listens elsewhere."""
        unit_folder().mkdir(parents=True)
        (unit_folder() / SOCKET_UNIT).touch()
        assert starting_command(Path("/a b/agent.sock")) == "tocsin agent --socket '/a b/agent.sock'"

    def test_an_app_that_finds_no_agent_says_it(self, home: Path) -> None:
        """In the error of ``connect``."""

        async def look() -> None:
            async with connect("mail", command=["true"]):
                pass

        with pytest.raises(PlatformUnavailable, match=rf"no agent listens on {home}.*; 'tocsin agent' starts one"):
            anyio.run(look)


class TestCutOff:
    """An agent that ends itself while an app connects."""

    async def test_an_app_that_was_cut_off_before_the_welcome_tries_once_more(self, tmp_path: Path) -> None:
        """The socket that another process holds keeps it until the next agent is there."""
        place = tmp_path / "agent.sock"
        async with listening(tmp_path, cutting=1) as served, connect("mail", place, command=["true"]):
            assert served == ["cut off", "greeted"]

    async def test_it_tries_no_more_than_once(self, tmp_path: Path) -> None:
        """What cuts off everyone is no agent."""
        async with listening(tmp_path, cutting=9) as served:
            with pytest.raises(PlatformUnavailable, match="has gone"):
                async with connect("mail", tmp_path / "agent.sock", command=["true"]):
                    pass
            assert served == ["cut off"] * 2
