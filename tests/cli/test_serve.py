"""``tocsin serve``, ``app`` and ``status`` as processes."""

from __future__ import annotations

import json
import signal
import ssl
import sys
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from aiohttp import ClientSession

from tests.processes import PATIENCE, Listening, Sender, call, run, running
from tocsin.api.embedded import embedded
from tocsin.cli import main

CREDENTIALS = {"client_id", "client_secret", "remote_id", "name", "family"}


def serving(state: Path, *options: str) -> AbstractAsyncContextManager[Listening]:
    """Run ``tocsin serve --json`` until the block is left, and wait until it listens."""
    return running("serve", "--json", "--log-json", "--state", str(state), *options)


async def ok(*arguments: str) -> dict[str, Any]:
    """Run a verb with ``--json`` in this process, and return what it printed."""
    code, output, errors = await anyio.to_thread.run_sync(partial(call, *arguments, "--json"))
    assert code == 0, errors
    printed: dict[str, Any] = json.loads(output)
    return printed


async def test_a_push_goes_all_the_way(tmp_path: Path) -> None:
    """Serve, add an app, let its device ask for a channel, push, look at the status, stop: each by its own command."""
    state = str(tmp_path / "service")
    async with serving(tmp_path / "service", "--max-connections", "100") as server:
        app = await ok("app", "add", "contoso", "--family", "Contoso_1", "--state", state)
        assert set(app) == CREDENTIALS
        async with embedded("contoso", tmp_path / "device", service=server.first["url"]) as manager:
            channel = (await manager.create_channel(app["remote_id"])).channel
            assert channel is not None
            async with ClientSession() as http:
                sender = Sender(http, server.first | app | {"uri": channel.uri})
                await sender.sign_in()
                status, headers = await sender.push(b"ding")
            assert (status, headers["x-wns-status"]) == (200, "received")
            async for args in channel.payloads():
                assert args.payload == b"ding"
                break
            told = await ok("status", "--state", state)
            assert (told["status"], told["now"]["devices"], told["counters"]["acknowledged"]) == ("ok", 1, 1)
            assert (await ok("status", "--url", server.first["url"]))["counters"]["received"] == 1
        server.process.send_signal(signal.SIGTERM)
        assert await server.wait() == 0
        added, stopping, devices = (await server.errors()).splitlines()
        assert stopping == "tocsin serve: stopping; once more ends it at once"
        told = json.loads(added)
        assert (told["event"], told["app"], told["client_id"]) == ("app_added", "contoso", app["client_id"])
        told = json.loads(devices)
        assert (told["event"], told["came"], told["went"], told["connected"]) == ("devices", 1, 1, 0)
    code, _, errors = await run("status", "--state", state)
    assert (code, "no service runs on" in errors) == (1, True)
    assert [each["name"] for each in (await ok("app", "list", "--state", state))["apps"]] == ["contoso"]


async def _stuck(server: Listening) -> None:
    """Signal a service that a sender keeps waiting, twice."""
    stream, process = await anyio.connect_tcp("127.0.0.1", server.first["port"]), server.process
    async with stream:
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        assert b"stopping" in await process.stderr.receive()
        process.send_signal(signal.SIGTERM)


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """It ends without waiting for a stuck request, by the signal or because it had just stopped."""
    async with serving(tmp_path) as server:
        await _stuck(server)
        assert await server.wait() in {0, -signal.SIGTERM}


async def test_a_hangup_reads_the_certificate_anew(tmp_path: Path) -> None:
    """A renewal that is half done is told and changes nothing; one that is whole is told too."""
    authority, cert, key = trustme.CA(), tmp_path / "cert.pem", tmp_path / "key.pem"
    trust = ssl.create_default_context()
    authority.configure_trust(trust)

    def issue(*paths: Path) -> None:
        issued = authority.issue_cert("127.0.0.1")
        for path, blob in ((cert, issued.cert_chain_pems[0]), (key, issued.private_key_pem)):
            if path in paths:
                blob.write_to_path(path)

    issue(cert, key)
    async with serving(tmp_path / "state", "--tls-cert", str(cert), "--tls-key", str(key)) as server:
        assert server.process.stderr is not None
        for paths, words in (((cert,), b"is of another one"), ((cert, key), b"was read anew")):
            issue(*paths)
            server.process.send_signal(signal.SIGHUP)
            with anyio.fail_after(PATIENCE):
                assert words in await server.process.stderr.receive()
            async with ClientSession() as http, http.get(f"{server.first['url']}/healthz", ssl=trust) as answer:
                assert answer.status == 200


async def test_a_certificate_for_development_is_made_and_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script reads the authority's file out of the first line; by it a device and a sender of ours reach the service."""
    async with serving(tmp_path / "service", "--dev-tls") as server:
        authority = server.first["ca"]
        assert authority == str(tmp_path / "service" / "dev-tls" / "ca.pem")
        app = await ok("app", "add", "contoso", "--state", str(tmp_path / "service"))
        trusting = {"SSL_CERT_FILE": authority}
        code, output, errors = await run("status", "--url", server.first["url"], "--json", env=trusting)
        assert (code, json.loads(output)["status"]) == (0, "ok"), errors
        code, _, errors = await run("status", "--url", server.first["url"], "--json")
        assert (code, "certificate" in errors) == (1, True)
        monkeypatch.setenv("SSL_CERT_FILE", authority)
        async with embedded("contoso", tmp_path / "device", service=server.first["url"]) as manager:
            channel = (await manager.create_channel(app["remote_id"])).channel
            assert channel is not None
            secrets = ("--client-id", app["client_id"], "--client-secret", app["client_secret"])
            code, output, errors = await run("send", channel.uri, "ding", "--json", *secrets)
            assert (code, json.loads(output)["status"]) == (0, "received"), errors
            async for args in channel.payloads():
                assert args.payload == b"ding"
                break


async def test_a_person_is_told_how_to_let_clients_trust_the_certificate(tmp_path: Path) -> None:
    """A line a language, with the file as a shell takes it, on standard error: the output is where it listens, and no more."""
    state = tmp_path / "a state"
    command = [sys.executable, "-m", "tocsin", "serve", "--dev-tls", "--state", str(state)]
    async with await anyio.open_process(command, stdin=None) as process:
        assert process.stdout is not None
        with anyio.fail_after(PATIENCE):
            assert (await process.stdout.receive()).startswith(b"listening on https://127.0.0.1:")
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            told = b"".join([chunk async for chunk in process.stderr]).decode()
    file = f"'{state / 'dev-tls' / 'ca.pem'}'"
    for words in ("curl --cacert", "NODE_EXTRA_CA_CERTS=", "REQUESTS_CA_BUNDLE=", "SSL_CERT_FILE=", "keytool"):
        (line,) = [line for line in told.splitlines() if words in line]
        assert file in line


async def test_with_few_descriptors_all_are_answered(tmp_path: Path) -> None:
    """There are as many places as descriptors; beyond, a sender is told 503, the command works, and the log has one line before and one behind."""
    state = str(tmp_path)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running("serve", "--json", "--state", state, files=128))
        told: list[bytes] = []
        for _ in range(60):
            stream = await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", server.first["port"]))
            await stream.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            told.append((await stream.receive())[:12])
        assert told == [b"HTTP/1.1 200"] * 32 + [b"HTTP/1.1 503"] * 28
        assert (await ok("status", "--state", state))["now"]["connections"] == 32
        silent = [
            await stack.enter_async_context(await anyio.connect_tcp("127.0.0.1", server.first["port"]))
            for _ in range(300)
        ]
        assert {(await stream.receive())[:12] for stream in silent} == {b"HTTP/1.1 503"}
        server.process.send_signal(signal.SIGTERM)
        await server.wait()
        warning, stopping, refused = (await server.errors()).splitlines()
        assert "at most 32 connections at a time, not 10000: this process may open 128 files only" in warning
        assert stopping.startswith("tocsin serve: stopping")
        assert refused.endswith(" s, too_many: 328 (328 from 127.0.0.1)")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["serve", "--host", "0.0.0.0"], "others can reach 0.0.0.0, and would see tokens and channels"),  # noqa: S104
        (
            ["serve", "--dev-tls", "--tls-cert", "x.pem"],
            "dev_tls makes a certificate, and tls_cert and tls_key name another",
        ),
        (["serve", "--dev-tls", "--host", "::"], "the certificate of dev_tls is for this machine only"),
        (["serve", "--port", "x"], "--port is a whole number from 0 to 65535, not 'x'"),
        (["serve", "--config", "missing.toml"], "missing.toml cannot be read"),
        (["app", "list"], "there is no push service's state in"),
        (["app", "remove", "nobody"], "there is no push service's state in"),
        (["app", "rotate", "nobody"], "there is no push service's state in"),
        (["status"], "no service runs on"),
        (["status", "--url", "push.example"], "a push service is a URL such as https://push.example"),
        (["status", "--url", "http://127.0.0.1:1"], "cannot be asked"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    """Exit code 1, one line on standard error, nothing on standard output."""
    monkeypatch.setenv("TOCSIN_STATE", str(tmp_path))
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert words in printed.err
    assert printed.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_apps_are_printed_for_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The secret is shown when it is made, and never again."""
    monkeypatch.setenv("TOCSIN_STATE", str(tmp_path))
    for arguments in (["add", "one", "--family", "F_1"], ["rotate", "one"], ["list"], ["remove", "one"], ["list"]):
        assert main(["app", *arguments]) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    client_id = lines[0].removeprefix("client id      ")
    remote_id = lines[2].removeprefix("remote id      ")
    assert lines[1] != lines[4]
    assert lines[6:] == [f"one  client id {client_id}  remote id {remote_id}  family F_1", "one is removed"]
    assert printed.err.endswith("No app is registered; 'tocsin app add NAME' registers one.\n")
