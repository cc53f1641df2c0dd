"""TLS, for senders and for devices."""

from __future__ import annotations

import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trustme
from aiohttp import ClientConnectorCertificateError, ClientSession
from attrs import frozen
from websockets.asyncio.client import connect

from tests.service.world import KEY, connected, ending
from tocsin.protocol import codec
from tocsin.protocol.errors import PlatformUnavailable
from tocsin.protocol.messages import Hello, Welcome
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.service.server import open_service
from tocsin.service.settings import ServiceSettings


@frozen
class Certificates:
    """An authority, and the files of a certificate that it has signed."""

    authority: trustme.CA
    cert: Path
    key: Path

    def settings(self) -> ServiceSettings:
        """Return the settings of a service with them."""
        return ServiceSettings(tls_cert=str(self.cert), tls_key=str(self.key), head_timeout=0.2)

    def client(self) -> ssl.SSLContext:
        """Return what a client needs that trusts the authority."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def issue(self, authority: trustme.CA) -> None:
        """Write a new certificate."""
        issued = authority.issue_cert("127.0.0.1")
        issued.cert_chain_pems[0].write_to_path(self.cert)
        issued.private_key_pem.write_to_path(self.key)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make a certificate for this machine."""
    folder = tmp_path_factory.mktemp("tls")
    made = Certificates(trustme.CA(), folder / "cert.pem", folder / "key.pem")
    made.issue(made.authority)
    return made


async def test_all_is_spoken_in_secret(tmp_path: Path, certificates: Certificates) -> None:
    """Every URL says so; HTTP and WebSocket are served, and who does not trust the certificate is not."""
    trust = certificates.client()
    async with AsyncExitStack() as stack, open_service(tmp_path, certificates.settings()) as service:
        assert service.url == f"https://127.0.0.1:{service.port}"
        assert service.device_url == f"wss://127.0.0.1:{service.port}/device"
        http = await stack.enter_async_context(ClientSession())
        async with http.get(f"{service.url}/healthz", ssl=trust) as answer:
            assert answer.status == 200
        with pytest.raises(ClientConnectorCertificateError):
            await http.get(f"{service.url}/healthz")
        async with connect(service.device_url, ssl=trust) as device:
            await device.send(codec.encode(Hello(PROTOCOL_VERSION, KEY)))
            welcome = await device.recv()
            assert isinstance(welcome, bytes)
            assert isinstance(codec.decode(welcome), Welcome)


async def test_a_handshake_is_not_waited_for(tmp_path: Path, certificates: Certificates) -> None:
    """Who connects and does not begin to speak TLS is cut off, and who speaks HTTP too."""
    async with open_service(tmp_path, certificates.settings()) as service:
        for said in (b"", b"GET / HTTP/1.1\r\n\r\n"):
            async with connected(service.port) as (reader, writer):
                writer.write(said)
                assert await ending(reader) == b""


async def test_a_renewed_certificate_is_taken(tmp_path: Path, certificates: Certificates) -> None:
    """Connections from then on have the new one; one that is wrong leaves the earlier in use."""
    settings, other = certificates.settings(), trustme.CA()
    async with open_service(tmp_path, settings) as service:
        certificates.issue(other)
        service.reload_tls(settings)
        trust = ssl.create_default_context()
        other.configure_trust(trust)
        for _ in range(2):
            async with ClientSession() as http, http.get(f"{service.url}/healthz", ssl=trust) as answer:
                assert answer.status == 200
            certificates.cert.write_text("", encoding="ascii")
            with pytest.raises(PlatformUnavailable, match="cannot be used"):
                service.reload_tls(settings)
    certificates.issue(certificates.authority)


@pytest.mark.parametrize("text", [None, "nonsense"])
async def test_a_certificate_that_cannot_be_used_is_told(tmp_path: Path, text: str | None) -> None:
    """The service does not start without it."""
    cert = tmp_path / "cert.pem"
    if text is not None:
        cert.write_text(text, encoding="ascii")
    with pytest.raises(PlatformUnavailable, match=r"the certificate in .*cert\.pem cannot be used"):
        async with open_service(tmp_path, ServiceSettings(tls_cert=str(cert))):
            pass
