"""What newcomers mistype, and what they are told: each sentence names what is wrong and what mends it, and none is a traceback."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.parse import urlsplit

import anyio
import asyncpg
import pytest
import trustme
from anyio.from_thread import start_blocking_portal

from tests.e2e.slips import DEVICES, ENGINE_SLIPS, PROGRAMS, SLIPS, WITHOUT, Slip
from tests.persistence.postgres_server import PostgresServer
from tests.processes import PATIENCE, call
from tocsin.api.embedded import embedded
from tocsin.persistence.database import APPLICATION_ID
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import open_service

STRANGER = 65_534
GUID = "d5205846-c557-4925-ae3d-655dea2c3d4a"

World = Mapping[str, str]
"""What stands in the braces of a slip."""


@asynccontextmanager
async def _world(folder: Path) -> AsyncIterator[dict[str, str]]:
    """Run a push service with two apps and a channel, and one that speaks TLS, for another host than it is reached by."""
    authority = trustme.CA()
    certificate = authority.issue_cert("push.example")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    certificate.private_key_and_cert_chain_pem.write_to_path(folder / "tls.pem")
    tls = ServiceSettings.private(tls_cert=str(folder / "tls.pem"))
    async with AsyncExitStack() as stack:
        plain = await stack.enter_async_context(open_service(_made(folder / "plain"), ServiceSettings.private()))
        secured = await stack.enter_async_context(open_service(_made(folder / "secured"), tls))
        app, other = [await plain.register(name) for name in ("contoso", "fabrikam")]
        device = embedded("contoso", folder / "device", service=plain.url, sensors=())
        channel = (await (await stack.enter_async_context(device)).create_channel(app.remote_id)).channel
        assert channel is not None
        yield {
            "url": plain.url,
            "port": plain.url.rpartition(":")[2],
            "plain_as_https": plain.url.replace("http:", "https:"),
            "uri": channel.uri,
            "short": channel.uri[:-1],
            "as_https": channel.uri.replace("http:", "https:"),
            "tls": secured.url,
            "tls_as_http": secured.url.replace("https:", "http:"),
            "tls_uri": f"{secured.url}/w/?token=x",
            "as_http": f"{secured.url}/w/?token=x".replace("https:", "http:"),
            "authority": str(folder / "authority.pem"),
            "id": app.client_id,
            "who": f"--client-id {app.client_id} --client-secret {app.client_secret}",
            "who_else": f"--client-id {other.client_id} --client-secret {other.client_secret}",
            "long": "x" * 5_001,
            "bytes": os.fsdecode(b"Gr\xfc\xdfe"),
            "used": str(folder / "device"),
        }


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    return folder


def _files(folder: Path) -> dict[str, str]:
    """Make what is in the way, and name what is not there."""
    (folder / "file").write_text("port = \n", encoding="utf-8")
    (folder / "mistyped.toml").write_text("prot = 8080", encoding="utf-8")
    (_made(folder / "damaged") / "service.db").write_bytes(b"damaged" * 1_000)
    for name, application in (("newer", APPLICATION_ID), ("foreign", 1)):
        with closing(sqlite3.connect(_made(folder / name) / "service.db")) as database:
            database.execute("CREATE TABLE t (x)")
            database.execute(f"PRAGMA application_id = {application}")
            database.execute("PRAGMA user_version = 999")
    assert call("app", "add", "contoso", "--state", str(folder / "apps"))[0] == 0
    names = ("file", "damaged", "newer", "foreign", "apps", "new", "gone")
    return {name: str(folder / name) for name in names} | {"mistyped": str(folder / "mistyped.toml")}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Give what all slips are made in."""
    folder = tmp_path_factory.mktemp("slips")
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_world(folder)) as made:
        yield made | _files(folder)


@pytest.fixture(scope="module")
def databases(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> World:
    """Give databases that something is wrong with, and folders of services."""
    return anyio.run(_databases, postgres, tmp_path_factory.mktemp("databases"))


async def _databases(server: PostgresServer, folder: Path) -> World:
    made = [await server.make_database() for _ in range(4)]
    names: dict[str, str] = dict(zip(("newer", "foreign", "used", "secret"), made, strict=True))
    names["latin"] = await server.make_database("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    names["missing"] = server.url("missing")
    await _run_on(names["newer"], "CREATE SCHEMA tocsin; COMMENT ON SCHEMA tocsin IS 'The tables of Tocsin';"
                  " CREATE TABLE tocsin.schema_version AS SELECT 999 AS version")  # fmt: skip
    await _run_on(names["foreign"], "CREATE SCHEMA tocsin; CREATE TABLE tocsin.t (x int)")
    rules = server.data / "pg_hba.conf"
    secret = urlsplit(names["secret"]).path.strip("/")
    rules.write_text(f"local {secret} all scram-sha-256\n{rules.read_text()}", encoding="utf-8")
    await server.execute("postgres", "SELECT pg_reload_conf()")
    await _run_on(names["used"], "CREATE ROLE reader LOGIN PASSWORD 'right'")
    for name in ("folder", "moved"):
        assert (await anyio.to_thread.run_sync(call, "app", "add", "a", "--state", str(folder / name)))[0] == 0
    moving = ("migrate", "--from", str(folder / "moved"), "--to", names["used"])
    assert (await anyio.to_thread.run_sync(call, *moving))[0] == 0
    names["stranger"] = names["secret"].replace("tocsin@", "stranger:pa55@")
    names["secret"] = names["secret"].replace("tocsin@", "reader:pa55@")
    return names | {name: str(folder / name) for name in ("folder", "moved", "new")}


async def _run_on(url: str, sql: str) -> None:
    link = await asyncpg.connect(url)
    try:
        await link.execute(sql)
    finally:
        await link.close()


@pytest.mark.parametrize("name", ENGINE_SLIPS)
def test_the_command_says_what_is_wrong_with_a_database(
    name: str, databases: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the same way, and never with a password."""
    _slip(ENGINE_SLIPS[name], databases, monkeypatch)


def _words(line: str, world: World) -> list[str]:
    """Take a line apart as a shell does, and fill it in."""
    words: list[str] = []
    for word in shlex.split(line):
        words += world[word[1:-1]].split() if word.startswith("{who") else [word.format_map(world)]
    return words


def _pattern(said: str, world: World) -> str:
    """Fill in an expression; what is filled in stands for itself."""
    return said.format_map({name: re.escape(value) for name, value in world.items()})


def _run(program: str, *arguments: str, env: Mapping[str, str] = {}) -> tuple[int, str]:
    """Run a program in a process of its own, and return its exit code and its errors."""
    done = subprocess.run(  # noqa: S603  # our own programs
        [sys.executable, "-c", program, *arguments],
        capture_output=True, text=True, check=False, timeout=PATIENCE, env=os.environ | env,
    )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize("name", SLIPS)
def test_the_command_says_what_is_wrong(name: str, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its last line, with the exit code that goes with it."""
    _slip(SLIPS[name], world, monkeypatch)


def _slip(slip: Slip, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("TOCSIN_CLIENT_ID", "TOCSIN_CLIENT_SECRET", "TOCSIN_CHANNEL"):
        monkeypatch.delenv(variable, raising=False)
    env = {variable: value.format_map(world) for variable, value in slip.env.items()}
    words = _words(slip.line, world)
    if slip.as_stranger:
        _be_stranger(monkeypatch)
    if slip.as_process:
        code, errors = _run("import sys; from tocsin.cli import main; sys.exit(main())", *words, env=env)
    else:
        for variable, value in env.items():
            monkeypatch.setenv(variable, value)
        code, _, errors = call(*words)
    *usage, last = errors.splitlines()
    assert code == slip.code
    assert re.search(_pattern(slip.said, world), last), last
    assert re.match("tocsin( [a-z-]+)*: ", last)
    assert not [line for line in usage if "Traceback" in line]
    assert "pa55" not in errors  # the password of a database
    assert code == 2 or not [line for line in usage if "can read the password" not in line]  # it is said how it is used


def _be_stranger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Be another user than the one whose folders these are, as far as a test can be that has the rights of any."""
    if sys.platform == "win32":
        pytest.skip("who may do what, the system's lists say")
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    making = Path.mkdir

    def mkdir(path: Path, *args: Any, **options: Any) -> None:
        if path.parent.name == "in":
            raise PermissionError(13, "Permission denied")
        making(path, *args, **options)

    monkeypatch.setattr(Path, "mkdir", mkdir)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_told_what_is_wrong(name: str, world: World, tmp_path: Path) -> None:
    """By an error of a type that its author can catch, whose text is the last line of the traceback."""
    program = PROGRAMS[name]
    known: dict[str, Any] = dict(world) | {"state": str(tmp_path / "state"), "port": int(world["port"])}
    lines = program.lines.format_map(known).replace("\n", "\n    ")
    names: dict[str, Any] = {}
    exec(f"import os\nimport tocsin\nasync def main():\n    {lines}\n", names)  # noqa: S102  # our own programs
    with pytest.raises(program.error, match=_pattern(program.said, world)):
        anyio.run(names["main"], backend=program.backend)


@pytest.mark.parametrize("name", DEVICES)
def test_a_channel_request_ends_at_once_with_the_mend(name: str, world: World, tmp_path: Path) -> None:
    """A wrong URL of the service is not retried for a quarter of an hour."""
    service, said = DEVICES[name]

    async def main() -> str:
        async with embedded("contoso.mail", tmp_path, service=service.format_map(world), sensors=()) as manager:
            return str(await manager.create_channel(GUID))

    assert said in asyncio.run(main())


@pytest.mark.parametrize("name", WITHOUT)
def test_without_its_extra_each_names_what_to_install(name: str, tmp_path: Path) -> None:
    """The plain install has no web server and no HTTP client."""
    package, program, said = WITHOUT[name]
    begin = f"import sys; sys.modules[{package!r}] = None; import tocsin.testing; from tocsin.cli import main\n"
    env = {"TOCSIN_CLIENT_ID": "i", "TOCSIN_CLIENT_SECRET": "s"}
    code, errors = _run(f"{begin}sys.exit({program})", str(tmp_path / "state"), env=env)
    assert code == 1
    assert re.search(said.replace("[", r"\[").replace("]", r"\]"), errors.splitlines()[-1])
    assert ("Traceback" in errors) == (name == "local_wns")  # a program's error has one


def test_a_main_that_was_not_run_is_named_by_python() -> None:
    """There is nothing of ours that runs, and could say it."""
    code, errors = _run("import tocsin\nasync def main():\n    async with tocsin.embedded('a', 'b'): pass\nmain()")
    assert code == 0
    assert "coroutine 'main' was never awaited" in errors


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_an_output_that_is_full_is_named(world: World) -> None:
    """The command fails, though what it did was right."""
    command = dedent(
        f"exec {shlex.quote(sys.executable)} -m tocsin app list --state {shlex.quote(world['apps'])} > /dev/full"
    )
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False, timeout=PATIENCE)  # noqa: S603
    assert (done.returncode, done.stderr) == (1, "tocsin app: the output cannot be written: No space left on device\n")


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a disk that has room for no database."""
    mounted = subprocess.run(  # noqa: S603  # the system's own
        ["mount", "-t", "tmpfs", "-o", "size=32k", "tmpfs", str(tmp_path)],  # noqa: S607
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if mounted.returncode:
        pytest.skip(f"a small disk is made by mounting one, which is refused here: {mounted.stderr}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)  # noqa: S603, S607


def test_a_disk_that_is_full_is_named(full_disk: Path) -> None:
    """SQLite calls it so, or an error of input and output, as it comes to that."""
    for name in ("first", "second"):
        code, _, errors = call("serve", "--state", str(full_disk / name))
        path = full_disk / name / "service.db"
        assert (code, errors) == (1, f"tocsin serve: {path} cannot be used: its disk is full; make room there\n")
