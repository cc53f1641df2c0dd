"""Every line that a help shows is run as it stands, with what it leaves open filled in."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, chdir
from functools import partial
from pathlib import Path
from unittest.mock import patch

import anyio
import pytest
import trustme
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import Factory, frozen

from tests.client.web_push_server import push_server
from tests.e2e.terminal import free_port, ipv6
from tests.persistence.postgres_server import PostgresServer
from tests.processes import PATIENCE, call, run, sender
from tocsin.api.embedded import embedded
from tocsin.cli.performing import command_parser
from tocsin.persistence.sqlite_store import open_sqlite
from tocsin.persistence.store import Changes, DeadPayload, StoredChannel
from tocsin.protocol.messages import PayloadRow
from tocsin.protocol.values import DropReason, NotificationType
from tocsin.service.registry.postgres_service_store import open_postgres_store
from tocsin.testing import LocalWns

ROOT = Path(__file__).parents[2]


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Find the parser of the command, and those of all verbs."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for each in action.choices.values():
                yield from parsers(each)


def lines() -> list[str]:
    """Find the lines with commands: indented, and what they do is said two blanks further on."""
    texts = [f"{parser.description or ''}\n{parser.epilog or ''}" for parser in parsers(command_parser())]
    shown = [line.strip() for text in texts for line in text.splitlines() if line.startswith("  ")]
    return [re.split(r" {2,}", line)[0] for line in shown if re.match(r"([A-Z_]+=\S+ )?tocsin ", line)]


LINES = lines()


def of(verb: str) -> list[str]:
    """Return the lines of a verb, each once."""
    return [line for line in dict.fromkeys(LINES) if f"tocsin {verb}" in line]


OF_PROGRAMS = [line for verb in ("app", "status") for line in of(verb) if "./push-state" in line]
"""Lines about a program that embeds the platform, and runs."""

ON_A_DATABASE = [line for line in LINES if "postgresql:" in line] + of("migrate")
"""Lines about a service whose state is in PostgreSQL."""


def test_each_verb_shows_how_it_is_used() -> None:
    """And each line is of a verb that is tried below."""
    tried = [
        line
        for verb in (
            "listen",
            "send",
            "webpush",
            "serve",
            "agent",
            "app",
            "hub",
            "migrate",
            "calling",
            "status",
            "open",
            "channels",
            "activators",
            "tiles",
            "dead-letters",
            "tail",
            "policy",
            "usage",
            "completion",
        )
        for line in of(verb)
    ]
    assert sorted(tried) == sorted(dict.fromkeys(LINES))
    for parser in parsers(command_parser()):
        if parser.prog.count(" ") == 1:
            assert "examples:" in (parser.epilog or ""), parser.prog


def parted(line: str) -> tuple[dict[str, str], list[str]] | None:
    """Part a line into its variables and the words of its command, as a shell does; None: it asks more of a shell."""
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split, words.commenters = True, ""
    found = list(words)
    if set(line) & set("$*`\\~") or any(set(word) <= set("();<>|&") for word in found):
        return None
    start = found.index("tocsin")
    return dict(word.split("=", 1) for word in found[:start]), found[start + 1 :]


@frozen
class Shell:
    """A person's folder, with ``tocsin`` at hand."""

    folder: Path
    _one: anyio.Lock = Factory(anyio.Lock)
    """One command at a time runs in this process, whose folder and variables it has."""

    @asynccontextmanager
    async def running(self, line: str, **variables: str) -> AsyncIterator[Process]:
        """Run a line for as long as the block lasts."""
        env = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
            "XDG_CONFIG_DIRS": "/nonexistent",
            **variables,
        }
        async with await anyio.open_process(
            ["bash", "-c", line], cwd=self.folder, env=env, start_new_session=True
        ) as process:
            try:
                with anyio.fail_after(PATIENCE):
                    yield process
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)

    async def run(self, line: str, **variables: str) -> str:
        """Run a line to its end, which has to be good, and return what it printed; here, where a shell would only part its words."""
        if words := parted(line):
            async with self._one:
                code, printed, said = await anyio.to_thread.run_sync(self._call, *words, variables)
            assert code == 0, f"{line}: {said}"
            return printed
        async with self.running(line, **variables) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            output = b"".join([chunk async for chunk in process.stdout]).decode()
            errors = b"".join([chunk async for chunk in process.stderr]).decode()
            assert await process.wait() == 0, f"{line}: {errors}"
            return output

    def _call(self, own: dict[str, str], words: list[str], variables: dict[str, str]) -> tuple[int, str, str]:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "XDG_CONFIG_DIRS": "/nonexistent"}
        with chdir(self.folder), patch.dict(os.environ, env | variables | own, clear=True):
            return call(*words)

    async def start_and_stop(self, line: str, sign: bytes, **variables: str) -> None:
        """Run a line until it says that it is ready, and end it as a person does."""
        async with self.running(line, **variables) as process:
            assert process.stdout is not None
            printed = b""
            async for chunk in process.stdout:
                printed += chunk
                if sign in printed:
                    break
            assert sign in printed, line
            os.killpg(process.pid, signal.SIGINT)
            assert await process.wait() == 0, line


@pytest.fixture
def shell(home: Path) -> Shell:
    """Make a folder."""
    script = home / "bin" / "tocsin"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tocsin "$@"\n', encoding="utf-8")
    script.chmod(0o755)
    return Shell(home)


async def test_lines_that_listen(shell: Shell) -> None:
    """For a person until Ctrl-C, for a script until its payload has come."""
    for number, line in enumerate(of("listen")):
        filled = line.replace("8080", str(free_port()))
        home = {"HOME": str(shell.folder / f"home{number}")}
        if "--count" not in line:
            await shell.start_and_stop(filled, b"Ctrl-C ends", **home)
            continue
        async with shell.running(filled, **home) as process:
            assert process.stdout is not None
            output = BufferedByteReceiveStream(process.stdout)
            body = "<toast>order 7</toast>" if "toast" in line else "x"
            headers = {"X-WNS-Type": "wns/toast", "Content-Type": "text/xml"} if "toast" in line else {}
            async with sender(json.loads(await output.receive_until(b"\n", 4096))) as server:
                await server.push(body.encode(), **headers)
            assert json.loads(await output.receive_until(b"\n", 4096))["text"] == body
            assert await process.wait() == 0


async def test_lines_that_send(shell: Shell, wns: LocalWns) -> None:
    """Each is received."""
    await anyio.Path(shell.folder / "photo.bin").write_bytes(b"\x00\xff")
    uri = shlex.quote(wns.channel_uri)
    env = {"TOCSIN_CLIENT_ID": wns.client_id, "TOCSIN_CLIENT_SECRET": wns.client_secret}
    for line in of("send"):
        filled = re.sub(r"'http://127\.0\.0\.1:8080/w/\?token=\.\.\.'|URI", lambda _: uri, line)
        filled = filled.replace(" ...", " Hello")
        filled = re.sub(r"\bID\b", wns.client_id, re.sub(r"\bSECRET\b", wns.client_secret, filled))
        assert (await shell.run(filled, **env)).startswith("received, message id "), line
    assert [(push.type, push.body) for push in wns.pushes] == [
        ("raw", b"Hello"), ("raw", b"Hello"), ("raw", b"\x00\xff"), ("raw", b"\x00\xff"),
        ("toast", b'<toast><visual><binding template="ToastGeneric"><text>Ann</text><text>Lunch?</text></binding></visual></toast>'),
        ("badge", b'<badge value="3"/>'), ("badge", b'<badge value="3"/>'),
    ]  # fmt: skip


async def test_lines_about_web_push(shell: Shell) -> None:
    """In their order: a key is made and shown, and each message is taken."""
    folder = anyio.Path(shell.folder)
    await (folder / "news.json").write_text('{"news": 1}')
    public: set[str] = set()
    with push_server() as service:
        await (folder / "subscription.json").write_text(json.dumps(service.subscription.as_json()))
        for line in of("webpush"):
            output = await shell.run(line.replace(" ...", " subscription.json x"))
            if " keys" in line:
                public.add(output)
            else:
                assert output.startswith("accepted with 201, kept for "), line
    assert len(public) == 1
    assert [post.plaintext for post in service.requests] == [b"x", b"you have mail", b'{"news": 1}']


async def test_lines_that_serve(shell: Shell) -> None:
    """Each listens, and ends by Ctrl-C."""
    certificate = trustme.CA().issue_cert("push.example")
    certificate.private_key_and_cert_chain_pem.write_to_path(shell.folder / "fullchain.pem")
    certificate.private_key_pem.write_to_path(shell.folder / "privkey.pem")
    await anyio.Path(shell.folder / "tocsin.toml").write_text("channel_rate = 50\n")
    async with anyio.create_task_group() as tasks:
        for number, line in enumerate(line for line in of("serve") if line not in ON_A_DATABASE):
            filled = line.replace("443", str(free_port())).replace("/etc/tocsin.toml", "./tocsin.toml")
            filled = filled if ipv6() else filled.replace("--host ::", "--host 0.0.0.0")
            env = {"HOME": str(shell.folder / f"home{number}")}
            tasks.start_soon(partial(shell.start_and_stop, filled, b"listening on http", **env))


async def test_lines_about_a_database(shell: Shell, postgres: PostgresServer) -> None:
    """Each does what it says, on an empty database of its own, from a folder with a service."""
    tried = []
    for number, line in enumerate(dict.fromkeys(ON_A_DATABASE)):
        home = shell.folder / f"home{number}"
        moved = home / ".local" / "state" / "tocsin" / "serve"
        url = await postgres.make_database()
        env = {"HOME": str(home)}
        filled = re.sub(r"postgresql:\S+|URL", shlex.quote(url), line).replace("./push-state", str(moved))
        if "channels" not in line and "serve" not in line:
            await anyio.to_thread.run_sync(call, "app", "add", "a", "--state", str(moved))
        if "--undo" in line:
            await anyio.to_thread.run_sync(call, "migrate", "--from", str(moved), "--to", url)
        if "serve" in line:
            await shell.start_and_stop(filled, b"listening on https://push.example", **env)
        elif "channels" in line:
            async with open_postgres_store(url):
                pass
            assert await shell.run(filled, **env) == "No app has a channel.\n"
        else:
            sign = "has a service by itself again" if "--undo" in line else "rows moved into PostgreSQL"
            assert sign in await shell.run(filled, **env), line
        tried.append(line)
    assert len(tried) == 6


async def test_lines_of_the_agent(shell: Shell) -> None:
    """Each says where apps connect, and ends by Ctrl-C or by itself; or that it needs one that runs, or what it has written."""
    systemd = shutil.which("systemctl") is not None
    async with anyio.create_task_group() as tasks:
        for number, line in enumerate(of("agent")):
            if "forget" in line:
                with pytest.raises(AssertionError, match="no agent runs on"):
                    await shell.run(line)
                continue
            if "install" in line:
                assert not systemd or "written" in await shell.run(line)
                continue
            env = {"HOME": str(shell.folder / f"home{number}")}
            tasks.start_soon(partial(shell.start_and_stop, line, b"apps connect to", **env))


async def test_lines_about_apps_and_status(shell: Shell) -> None:
    """Each does what it says, with a service that runs."""
    async with shell.running("tocsin serve") as service:
        assert service.stdout is not None
        said = await BufferedByteReceiveStream(service.stdout).receive_until(b",", 1024)
        url = said.decode().removeprefix("listening on ")
        (state,) = [path async for path in anyio.Path(shell.folder).rglob("service.db")]
        there: set[str] = set()
        for line in (line for line in of("app") if line not in OF_PROGRAMS):
            _, _, action, *names = line.split()
            name = "contoso.mail" if "contoso.mail" in names else "NAME"
            if action == "add" and name in there:
                await anyio.to_thread.run_sync(call, "app", "remove", name, "--state", str(state.parent))
            elif action != "add" and name not in there and names:
                await anyio.to_thread.run_sync(call, "app", "add", name, "--state", str(state.parent))
            assert await shell.run(line), line
            there = (there - {name}) if action == "remove" else there | ({name} if names else set())
        for line in (line for line in of("status") if line not in OF_PROGRAMS):
            filled = line.replace("/var/lib/tocsin", str(state.parent)).replace("https://push.example", url)
            assert (await shell.run(filled)).startswith(("ok  http", '{"status": "ok"')), line
        service.terminate()


async def test_lines_about_programs(shell: Shell) -> None:
    """Each asks a program that runs."""
    async with embedded("contoso.mail", shell.folder / "push-state", sensors=()), anyio.create_task_group() as tasks:

        async def look(line: str) -> None:
            assert "contoso.mail" in await shell.run(line), line

        for line in OF_PROGRAMS:
            tasks.start_soon(look, line)


async def test_lines_that_lead_to_a_page(shell: Shell) -> None:
    """Each prints its address, as there is no browser: that of a program's service, or one that is named."""
    async with (
        embedded("contoso.mail", shell.folder / ".local" / "state" / "tocsin" / "listen", sensors=()),
        embedded("contoso.mail", shell.folder / "push-state", sensors=()),
        anyio.create_task_group() as tasks,
    ):

        async def look(line: str) -> None:
            page = await shell.run(line)
            assert re.fullmatch(r"https://push\.example/\n|http://127\.0\.0\.1:\d+/\n", page), line

        for line in of("open"):
            tasks.start_soon(look, line)


async def test_lines_about_hubs(shell: Shell) -> None:
    """In their order, each does what it says, with a service that runs."""
    async with shell.running("tocsin serve") as service:
        assert service.stdout is not None
        await BufferedByteReceiveStream(service.stdout).receive_until(b",", 1024)
        await shell.run("tocsin app add contoso.mail")
        for line in of("hub"):
            assert await shell.run(line), line
        assert (await shell.run("tocsin hub list")).startswith("mail-hub  contoso.mail  registrations 0")
        service.terminate()


async def test_lines_for_shells(shell: Shell) -> None:
    """Each prints a script."""
    for line in of("completion"):
        assert "dead-letters" in await shell.run(line), line


async def test_lines_that_serve_calls(shell: Shell) -> None:
    """Each listens, and ends by Ctrl-C."""
    certificate = trustme.CA().issue_cert("calls.example")
    certificate.private_key_and_cert_chain_pem.write_to_path(shell.folder / "fullchain.pem")
    certificate.private_key_pem.write_to_path(shell.folder / "privkey.pem")
    string = "Endpoint=sb://127.0.0.1:1/;SharedAccessKeyName=DefaultFullSharedAccessSignature;SharedAccessKey=eA=="
    await anyio.Path(shell.folder / "send.txt").write_text(f"{string}\n")
    await anyio.Path(shell.folder / "secret.txt").write_text("secret\n")
    async with anyio.create_task_group() as tasks:
        for number, line in enumerate(each for each in of("calling") if " serve" in each):
            filled = line.replace("443", str(free_port())).replace("URL", "http://127.0.0.1:1/accesstoken.srf")
            filled = filled if ipv6() else filled.replace("--host ::", "--host 0.0.0.0")
            env = {"HOME": str(shell.folder / f"home{number}"), "TOCSIN_CALLING_PORT": "0"}
            tasks.start_soon(partial(shell.start_and_stop, filled, b"listening on http", **env))


async def test_lines_about_calls(shell: Shell) -> None:
    """In their order, each does what it says, with a service that runs; a call to a user without an app rings no device."""
    state = str(shell.folder / "s")  # the path of a socket in it is to be short
    where = ("--state", state)
    async with shell.running("tocsin calling serve", TOCSIN_CALLING_PORT="0", TOCSIN_STATE=state) as service:
        assert service.stdout is not None
        await BufferedByteReceiveStream(service.stdout).receive_until(b",", 1024)

        async def do(*words: str) -> tuple[int, str, str]:
            return await anyio.to_thread.run_sync(partial(call, *words, *where))

        async def ring(*words: str) -> None:
            code, output, errors = await run(*words, *where)
            assert (code, "480" in output) == (1, True), (words, output, errors)

        filled = [shlex.split(re.sub("NAME|USER", "ann", line))[1:] for line in of("calling") if " serve" not in line]
        await do("calling", "users", "add", "ann")
        async with anyio.create_task_group() as tasks:
            for words in [words for words in filled if "ring" in words]:
                tasks.start_soon(ring, *words)
        there = True
        for words in [words for words in filled if "ring" not in words]:
            adds, removes = "add" in words and "ann" in words, "remove" in words
            if there is adds:  # a line adds what is not there, and all others are about what is
                await do("calling", "users", "remove" if adds else "add", "ann")
            there = not removes
            code, output, errors = await do(*words)
            assert (code, bool(output)) == (0, True), errors
        service.terminate()


async def test_lines_about_channels_and_tail(shell: Shell) -> None:
    """Of the agent's own state, and of a service's; where no agent runs there is nothing to follow."""
    for folder in (shell.folder / ".local" / "state" / "tocsin" / "agent", shell.folder / "push-state"):
        async with embedded("a", folder, "http://127.0.0.1:9"):  # one that connects sends something, which counts
            pass
    for line in (line for line in of("channels") if line not in ON_A_DATABASE):
        assert await shell.run(line.replace("/var/lib/tocsin", "./push-state")) == "No app has a channel.\n", line
    for line in of("usage"):
        expected = "" if "--json" in line else "Nothing was sent or received.\n"
        assert await shell.run(line) == expected, line
    for line in of("tail"):
        _, _, *arguments = line.split()
        look = partial(call, "tail", *arguments, "--state", str(shell.folder))
        code, output, errors = await anyio.to_thread.run_sync(look)
        assert (code, output) == (1, ""), line
        assert "there is nothing to follow" in errors


async def test_lines_about_dead_letters(shell: Shell) -> None:
    """Of the command's own state and of a program's."""
    for folder in (shell.folder / ".local" / "state" / "tocsin" / "listen", shell.folder / "push-state"):
        async with embedded("a", folder, "http://127.0.0.1:9"):  # one that connects sends something, which counts
            pass

    async def look(line: str) -> None:
        output = await shell.run(line)
        assert ("--json" in line) == (output == ""), line

    changing = [line for line in of("dead-letters") if "retry" in line or "drop" in line]
    async with anyio.create_task_group() as tasks:
        for line in of("dead-letters"):
            if line not in changing:
                tasks.start_soon(look, line)
    async with open_sqlite(shell.folder / ".local" / "state" / "tocsin" / "listen" / "platform.db") as store:
        await store.keep_channel(StoredChannel("c1", "a", "0a", "http://push.test", 4e9))
        for number, line in enumerate(changing, 1):
            row = PayloadRow(number, f"{line.split()[-1]}-1", NotificationType.RAW, b"", 1, None, "c1")
            await store.commit(Changes([row], dead=[DeadPayload(number, DropReason.NOT_HANDLED, "", 1.0)]))
    for line in changing:
        assert f"{line.split()[-1]}-1 is " in await shell.run(line), line


async def test_lines_about_tiles(shell: Shell) -> None:
    """Of an agent's state and of a program's, which have none yet."""
    for folder in (shell.folder / ".local" / "state" / "tocsin" / "agent", shell.folder / "push-state"):
        async with embedded("a", folder, "http://127.0.0.1:9"):  # one that connects sends something, which counts
            pass

    async def look(line: str) -> None:
        output = await shell.run(line)
        assert output == ("" if "--json" in line else "No app shows a tile or a badge.\n"), line

    async with anyio.create_task_group() as tasks:
        for line in of("tiles"):
            tasks.start_soon(look, line)


async def test_lines_about_activators(shell: Shell) -> None:
    """Of an agent's state and of a program's."""
    for folder in (shell.folder / ".local" / "state" / "tocsin" / "agent", shell.folder / "push-state"):
        async with embedded("a", folder, "http://127.0.0.1:9"):  # one that connects sends something, which counts
            pass

    async def look(line: str) -> None:
        output = await shell.run(line)
        assert output == ("" if "--json" in line else "No activator is registered.\n"), line

    async with anyio.create_task_group() as tasks:
        for line in of("activators"):
            tasks.start_soon(look, line)


async def test_lines_about_the_policy(shell: Shell) -> None:
    """Of the files alone; an exemption needs an agent that runs."""
    await anyio.Path(shell.folder / "new-policy.toml").write_text("toasts = false\n", encoding="utf-8")
    for line in of("policy"):
        if "exempt" in line:
            with pytest.raises(AssertionError, match="no agent runs on"):
                await shell.run(line)
        else:
            assert "toasts" in await shell.run(line), line
