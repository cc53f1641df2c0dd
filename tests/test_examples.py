"""The examples run as they stand."""

from __future__ import annotations

import json
import os
import runpy
import shlex
import shutil
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.actors.shelling import PlayedDesktop
from tests.e2e.desktops.bus import connected, session_bus, until_owned
from tests.helpers import PATIENCE
from tests.processes import run, running
from tocsin.protocol.unifiedpush.names import DISTRIBUTOR
from tocsin.shell import Handle, Popup

EXAMPLES = Path(__file__).parent.parent / "examples"

EXPECTED = {
    "foreground.py": ["the service says received", "got you have mail"],
    "background.py": ["the service says received", "no network: the payload waits", "downloaded report.pdf"],
    "channel_progress.py": [
        "log: no connection to the push service, next attempt in 0.",
        "connected: False no program listens at 127.0.0.1:",
        "IN_PROGRESS_RETRY, retry 1: no program listens at 127.0.0.1:",
        "the connection was refused [RPC_S_SERVER_UNAVAILABLE (0x800706BA)]",
        "the service comes back",
        "COMPLETED_FAILURE: no channel: ",
    ],
    "web_push.py": ["answered with 201", "got you have mail"],
    "toast.py": ["not shown: "],  # tests have no session bus
}


LAUNCHED = {
    "woken.py": "woken by b'report 7'",
    "task_instance.py": "background work on b'refresh'",
    "two_processes/process_a.py": "process B works on b'sync'",
}
"""What an agent's terminal shows when the line was pasted that each has printed."""

STARTED = {"two_processes/process_b.py"}
"""Those that are started by others."""

HUB = {"hub/app.py", "hub/send.py"}
"""An app and its server, between which a service stands."""

BUS = {"unifiedpush.py"}
"""One that is called over a session bus."""

PHONE = {"phone/phone.py"}
"""One that is started by calls, and ends when none is left."""


def test_every_example_is_tried() -> None:
    """No example is left to rot."""
    found = {str(path.relative_to(EXAMPLES)) for path in EXAMPLES.rglob("*.py")}
    assert found == {*EXPECTED, *LAUNCHED, *STARTED, *HUB, *BUS, *PHONE}


@pytest.mark.parametrize("name", LAUNCHED)
async def test_an_example_is_started_by_a_push(tmp_path: Path, name: str) -> None:
    """It registers and ends; the line that it prints has the agent start it, or its other half."""
    socket, script = str(tmp_path / "s"), EXAMPLES / name
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = os.environ | {"TOCSIN_SOCKET": socket, "PYTHONPATH": str(EXAMPLES.parent), "PATH": path}
    async with running("agent", "--json", "--state", str(tmp_path / "state"), "--socket", socket) as agent:
        with anyio.fail_after(30):
            done = await anyio.run_process([sys.executable, str(script)], cwd=script.parent, env=env, check=False)
            assert done.returncode == 0, done.stderr.decode()
            program, *words = shlex.split(done.stdout.decode())
            assert program == "tocsin"
            code, _, errors = await run(*words)
            assert code == 0, errors
            assert (await agent.output.receive_until(b"\n", 4096)).decode() == LAUNCHED[name]


@pytest.mark.parametrize("name", EXPECTED)
async def test_an_example_runs(tmp_path: Path, name: str) -> None:
    """It does what it says, and complains about nothing."""
    with anyio.fail_after(30):
        done = await anyio.run_process(
            [sys.executable, "-W", "error", str(EXAMPLES / name), str(tmp_path)], check=False
        )
    output = done.stdout.decode()
    assert done.stderr.decode() == ""
    assert done.returncode == 0
    for line in EXPECTED[name]:
        assert line in output


async def test_an_app_gets_what_its_server_sends_to_a_hub(tmp_path: Path) -> None:
    """Over TLS, by the variables that the example names; started again, the app has the same registration."""
    state = str(tmp_path / "push")

    async def made(*words: str) -> dict[str, Any]:
        code, output, errors = await run(*words, "--state", state, "--json")
        assert code == 0, errors
        answer: dict[str, Any] = json.loads(output)
        return answer

    async with running("serve", "--dev-tls", "--json", "--state", state) as serve:
        app, hub = await made("app", "add", "contoso.mail"), await made("hub", "add", "contoso-hub")
        env = os.environ | {
            "SERVICE": serve.first["url"],
            "REMOTE_ID": app["remote_id"],
            "HUB_LISTEN": hub["connection_strings"]["listen"],
            "HUB_SEND": hub["connection_strings"]["send"],
            "SSL_CERT_FILE": serve.first["ca"],
        }
        python = [sys.executable, "-W", "error"]
        registered = []
        for text in ("hello", "hello again"):
            with anyio.fail_after(30):
                async with await anyio.open_process(
                    [*python, EXAMPLES / "hub/app.py", tmp_path / "app"], env=env
                ) as app_:
                    assert app_.stdout is not None
                    lines = BufferedByteReceiveStream(app_.stdout)
                    registered.append(await lines.receive_until(b"\n", 4096))
                    sent = await anyio.run_process(
                        [*python, EXAMPLES / "hub/send.py", "news && !sports", text], env=env
                    )
                    assert sent.stdout.decode() == "the hub has taken it: 201\n"
                    assert (await lines.receive_until(b"\n", 4096)).decode() == f"got {text}"
                    assert await app_.wait() == 0
        assert registered[0].startswith(b"registered as ")
        assert registered[0].endswith(b" for news")
        assert registered[1] == registered[0]
        (listed,) = (await made("hub", "list"))["hubs"]
        assert listed["registrations"] == 1


@pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="needs dbus-daemon")
async def test_an_app_of_unifiedpush_prints_what_is_sent_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the line that it prints, on a bus of its own; it unregisters at its end, and the line is good no more."""
    words = ("--state", str(tmp_path / "state"), "--socket", str(tmp_path / "s"))
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    async with session_bus(tmp_path) as address, connected(address) as bus:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        env = os.environ | {"PYTHONPATH": str(EXAMPLES.parent), "PATH": path}
        async with running("agent", "--json", "--unifiedpush", *words):
            with anyio.fail_after(30):
                await until_owned(bus, DISTRIBUTOR)
                command = [sys.executable, "-W", "error", str(EXAMPLES / "unifiedpush.py")]
                async with await anyio.open_process(command, env=env) as app:
                    assert app.stdout is not None
                    lines = BufferedByteReceiveStream(app.stdout)
                    line = (await lines.receive_until(b"\n", 4096)).decode()
                    sent = await anyio.run_process(["/bin/sh", "-c", line], env=env)
                    assert sent.stdout.startswith(b"accepted with 201")
                    assert await lines.receive_until(b"\n", 4096) == b"got you have mail"
                    app.send_signal(signal.SIGINT)
                    assert await app.wait() == 0
                refused = b""
                while b"refused with 410" not in refused:  # it is revoked in its own time
                    refused = (await anyio.run_process(["/bin/sh", "-c", line], env=env, check=False)).stderr


async def test_a_phone_is_started_by_a_call(tmp_path: Path) -> None:
    """It is set up and started as its docstring says; the agent's terminal shows what it says of a call that is withdrawn."""
    home, secret, state = tmp_path / "home", tmp_path / "secret.txt", str(tmp_path / "push")
    home.mkdir(mode=0o700)

    async def made(*words: str, at: str) -> dict[str, Any]:
        code, output, errors = await run(*words, "--state", at, "--json")
        assert code == 0, errors
        answer: dict[str, Any] = json.loads(output)
        return answer

    def write(path: Path, text: str) -> str:
        path.touch(0o600)
        path.write_text(text)
        return str(path)

    async with AsyncExitStack() as stack:
        serve = await stack.enter_async_context(running("serve", "--json", "--state", state))
        app = await made("app", "add", "contoso.phone", at=state)
        sender = ["--client-id", app["client_id"], "--client-secret-file", write(secret, app["client_secret"])]
        sender += ["--token-url", serve.first["token_url"]]
        calls = str(tmp_path / "calls")
        service = await stack.enter_async_context(
            running("calling", "serve", "--json", "--port", "0", "--state", calls, *sender)
        )
        write(home / "token.txt", (await made("calling", "users", "add", "ann", at=calls))["token"])
        setup = {
            "calling_service": service.first["url"],
            "token_file": "token.txt",
            "remote_id": app["remote_id"],
            "quiet": 0.5,
        }
        write(home / "phone.toml", "".join(f"{name} = {json.dumps(value)}\n" for name, value in setup.items()))
        socket = str(tmp_path / "s")
        agent = await stack.enter_async_context(
            running(
                "agent", "--json", "--state", str(tmp_path / "a"), "--socket", socket, "--service", serve.first["url"]
            )
        )
        env = os.environ | {"TOCSIN_SOCKET": socket, "PYTHONPATH": str(EXAMPLES.parent)}
        with anyio.fail_after(60):
            command = [sys.executable, "-W", "error", str(EXAMPLES / "phone/phone.py"), str(home)]
            async with await anyio.open_process(command, env=env) as phone:
                assert phone.stdout is not None
                line = await BufferedByteReceiveStream(phone.stdout).receive_until(b"\n", 4096)
                assert line.startswith(b"calls start this phone until ")
                phone.send_signal(signal.SIGINT)
                assert await phone.wait() == 130
            ring = await stack.enter_async_context(running("calling", "ring", "ann", "--json", "--state", calls))
            said = [(await agent.output.receive_until(b"\n", 4096)).decode()]
            while "tocsin rings" not in said:
                said.append((await agent.output.receive_until(b"\n", 4096)).decode())
            ring.process.send_signal(signal.SIGINT)
            while "no call is left" not in said:
                said.append((await agent.output.receive_until(b"\n", 4096)).decode())
        assert "tocsin does not ring any more: 487/0: The caller hung up before the call was answered." in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = = 1", "phone.toml is no TOML: "),
        (
            'calling_service = "http://a"\ntoken_file = "t"\ntokenfile = "t"',
            "phone.toml has tokenfile, which means nothing",
        ),
        ('token_file = "t"', "phone.toml lacks calling_service"),
    ],
)
def test_a_phone_that_is_set_up_wrong_says_so(tmp_path: Path, text: str, words: str) -> None:
    """In one sentence, which ends it."""
    (tmp_path / "phone.toml").write_text(text, encoding="utf-8")
    (tmp_path / "phone.toml").chmod(0o600)
    phone = runpy.run_path(str(EXAMPLES / "phone/phone.py"))
    with pytest.raises(SystemExit, match=words):
        phone["Setup"].read(tmp_path)


class Declining(PlayedDesktop):
    """A desktop whose user presses the second button of everything."""

    async def show(self, popup: Popup, replaces: Handle | None = None) -> Handle:
        """Show it, and press."""
        handle = await super().show(popup, replaces)
        self.press(handle.number, popup.buttons[1].key)
        return handle


async def test_the_example_of_a_toast_says_what_was_pressed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where there is a desktop."""
    main = runpy.run_path(str(EXAMPLES / "toast.py"))["main"]
    with anyio.fail_after(PATIENCE):
        await main(str(tmp_path), Declining())
    assert capsys.readouterr().out.splitlines() == [
        "shown; press a button of it",
        "the user wants to decline the call of Ann",
    ]
