"""Devices and senders behind a real HTTP proxy, with and without credentials."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import trustme
from anyio import fail_after
from attrs import frozen

import tocsin
from tests.e2e.proxying import PATIENCE, Proxy, proxying, tinyproxy
from tests.processes import run
from tests.world import Gathered
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.apps import AppRegistration
from tocsin.service.server import PushService, open_service

pytestmark = pytest.mark.skipif(tinyproxy() is None, reason="tinyproxy is not installed: apt-get install tinyproxy")

HERE = "0.0.0.0"  # noqa: S104  # this machine by an address that is not loopback's, so that the proxy is used for it
USER, PASSWORD = "user", "s3cret-of-the-proxy"  # of this test


@frozen
class Behind:
    """A service that is reached through a proxy, and an app that is registered with it."""

    proxy: Proxy
    service: PushService
    url: str
    app: AppRegistration


@asynccontextmanager
async def behind(
    folder: Path, environment: pytest.MonkeyPatch, *, tls: bool = False, secret: bool = False, knows: bool = True
) -> AsyncIterator[Behind]:
    """Run both, and let the environment name the proxy, with its password if one ``knows`` it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    url = f"{'https' if tls else 'http'}://{HERE}:{port}"
    cert, key = _certificate(folder, environment) if tls else ("", "")
    settings = ServiceSettings(port=port, public_url=url, tls_cert=cert, tls_key=key)
    (folder / "service").mkdir()
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(open_service(folder / "service", settings))
        proxy = await stack.enter_async_context(proxying(folder, (USER, PASSWORD) if secret else None))
        login = f"{USER}:{PASSWORD}@" if secret and knows else ""
        for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY", "http_proxy", "https_proxy"):
            environment.delenv(name, raising=False)
        for name in ("HTTP_PROXY", "HTTPS_PROXY"):
            environment.setenv(name, f"http://{login}127.0.0.1:{proxy.port}")
        yield Behind(proxy, service, url, await service.register("contoso.mail"))


def _certificate(folder: Path, environment: pytest.MonkeyPatch) -> tuple[str, str]:
    """Make a certificate that this machine trusts, and return its files."""
    authority = trustme.CA()
    issued = authority.issue_cert(HERE)
    authority.cert_pem.write_to_path(folder / "authority.pem")
    issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    environment.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
    return str(folder / "cert.pem"), str(folder / "key.pem")


@pytest.mark.parametrize("secret", [False, True], ids=["open", "with credentials"])
async def test_all_goes_through_the_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, secret: bool) -> None:
    """The device's connection, the request for a token and the notification; and the payload arrives."""
    seen = Gathered()
    async with (
        behind(tmp_path, monkeypatch, secret=secret) as b,
        tocsin.embedded("a.b", tmp_path / "app", b.url) as app,
    ):
        with fail_after(PATIENCE):
            result = await app.create_channel(b.app.remote_id)
        assert result.channel is not None, result
        token_url = f"{b.url}/accesstoken.srf"
        with result.channel.push_received(lambda args: seen.add(args.payload)):
            async with tocsin.WnsClient(b.app.client_id, b.app.client_secret, token_url=token_url) as client:
                assert (await client.send(result.channel.uri, b"ding")).received
            await seen.wait_for(1)
        place = b.url.removeprefix("http://")
        first, second, third = b.proxy.requests()
    assert first == f"CONNECT {place}"
    assert second == f"POST {token_url}"
    assert third.startswith(f"POST {b.url}/w/?token=")


@pytest.mark.parametrize("secret", [False, True], ids=["open", "with credentials"])
async def test_tls_goes_through_the_proxy_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, secret: bool
) -> None:
    """It sees where to, and nothing else; the sender is a process of its own, as it is elsewhere."""
    seen = Gathered()
    async with (
        behind(tmp_path, monkeypatch, tls=True, secret=secret) as b,
        tocsin.embedded("a.b", tmp_path / "app", b.url) as app,
    ):
        with fail_after(PATIENCE):
            result = await app.create_channel(b.app.remote_id)
        assert result.channel is not None, result
        with result.channel.push_received(lambda args: seen.add(args.payload)):
            credentials = ("--client-id", b.app.client_id, "--client-secret", b.app.client_secret)
            code, output, errors = await run("send", result.channel.uri, "ding", *credentials)
            assert (code, errors) == (0, ""), output
            await seen.wait_for(1)
        assert set(b.proxy.requests()) == {f"CONNECT {b.url.removeprefix('https://')}"}


async def test_a_proxy_that_wants_credentials_is_a_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Device and sender say so; neither ends by it."""
    async with behind(tmp_path, monkeypatch, secret=True, knows=False) as b:
        async with tocsin.embedded("a.b", tmp_path / "app", b.url) as app:
            with fail_after(PATIENCE):
                result = await app.create_channel(b.app.remote_id)
            assert app.status().connection.cause is tocsin.ConnectionCause.PROXY_DENIED
        place = b.url.removeprefix("http://")
        words = (
            f"the proxy lets nothing through from here to {place}"
            f" (127.0.0.1:{b.proxy.port} answered 407: it wants other credentials than it was given)"
        )
        assert (result.extended_error, result.detail) == (tocsin.HResult.E_ACCESSDENIED, words)
        assert words in caplog.text
        policy = tocsin.SendPolicy(retries=0)
        token_url = f"{b.url}/accesstoken.srf"
        async with tocsin.WnsClient("id", "secret", token_url=token_url, policy=policy) as client:
            with pytest.raises(tocsin.ServiceUnavailable) as refused:
                await client.send(f"{b.url}/w/?token=x", b"ding")
        assert words in str(refused.value)


@pytest.mark.parametrize("tls", [False, True])
async def test_a_proxy_that_does_not_come_through_is_a_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, tls: bool
) -> None:
    """The service behind it is away: the proxy's answer is told."""
    async with behind(tmp_path, monkeypatch, tls=tls) as b:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        url = f"{b.url.rpartition(':')[0]}:{port}"
        once = tocsin.RetryPolicy(first=0.01, increment=1, longest=0.01)
        async with tocsin.embedded("a.b", tmp_path / "app", url, retries=once) as app:
            with fail_after(PATIENCE):
                result = await app.create_channel(b.app.remote_id)
        assert (
            result.detail
            == f"the proxy has made no connection to {HERE}:{port} (127.0.0.1:{b.proxy.port} answered 500)"
        )


async def test_a_password_for_the_proxy_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in the log at its loudest, nor in an error; tinyproxy answers a wrong one with 401."""
    caplog.set_level("DEBUG")
    async with behind(tmp_path, monkeypatch, secret=True) as b:
        monkeypatch.setenv("HTTP_PROXY", f"http://{USER}:{PASSWORD}x@127.0.0.1:{b.proxy.port}")
        async with tocsin.embedded("a.b", tmp_path / "app", b.url) as app:
            with fail_after(PATIENCE):
                result = await app.create_channel(b.app.remote_id)
        assert result.extended_error == tocsin.HResult.E_ACCESSDENIED
        shown = f"{result!r} {app.status()!r} {caplog.text}"
    assert "it wants other credentials than it was given" in shown
    assert PASSWORD not in shown
