"""TLS, for senders and for devices."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from http.client import HTTPSConnection
from pathlib import Path

import pytest
import trustme
from aiohttp import ClientConnectorCertificateError, ClientSession
from attrs import evolve, frozen
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from websockets.asyncio.client import connect

from tests.service.world import KEY, connected, ending
from tocsin.protocol.errors import InvalidArgument, PlatformUnavailable
from tocsin.protocol.messages import Hello, Welcome, codec
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import open_service
from tocsin.service.web.tls import Certificate, load_certificate


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

    def issue(self, authority: trustme.CA, *, whole: bool = False) -> None:
        """Write a new certificate, with that of its issuer behind it or without."""
        issued = authority.issue_cert("127.0.0.1")
        issuer = authority.cert_pem.bytes() if whole else b""
        self.cert.write_bytes(issued.cert_chain_pems[0].bytes() + issuer)
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
        service.renew_certificate()
        trust = ssl.create_default_context()
        other.configure_trust(trust)
        for _ in range(2):
            async with ClientSession() as http, http.get(f"{service.url}/healthz", ssl=trust) as answer:
                assert answer.status == 200
            certificates.cert.write_text("", encoding="ascii")
            with pytest.raises(PlatformUnavailable, match="cannot be used"):
                service.renew_certificate()
    certificates.issue(certificates.authority)


def _cut_off(good: Certificates) -> None:
    text = good.cert.read_text(encoding="ascii")
    good.cert.write_text(text[: len(text) // 2], encoding="ascii")


def _issuer_cut_off(good: Certificates) -> None:
    issued = good.authority.issue_cert("127.0.0.1")
    text = (issued.cert_chain_pems[0].bytes() + good.authority.cert_pem.bytes()).decode()
    good.cert.write_text(text[:-100], encoding="ascii")
    issued.private_key_pem.write_to_path(good.key)


def _other_issuer(good: Certificates) -> None:
    issued = good.authority.issue_cert("127.0.0.1")
    good.cert.write_bytes(issued.cert_chain_pems[0].bytes() + trustme.CA().cert_pem.bytes())
    issued.private_key_pem.write_to_path(good.key)


def _issuer_missing(good: Certificates) -> None:
    issued = good.authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(good.cert)
    issued.private_key_pem.write_to_path(good.key)


def _old_key(good: Certificates) -> None:
    good.authority.issue_cert("127.0.0.1").cert_chain_pems[0].write_to_path(good.cert)


def _new_key(good: Certificates) -> None:
    good.authority.issue_cert("127.0.0.1").private_key_pem.write_to_path(good.key)


def _other_kind_of_key(good: Certificates) -> None:
    issued = good.authority.issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
    issued.private_key_pem.write_to_path(good.key)


def _expired(good: Certificates) -> None:
    issued = good.authority.issue_cert("127.0.0.1", not_after=datetime(2020, 1, 1, tzinfo=UTC))
    good.cert.write_bytes(issued.cert_chain_pems[0].bytes() + good.authority.cert_pem.bytes())
    issued.private_key_pem.write_to_path(good.key)


def _encrypted_key(good: Certificates) -> None:
    key = load_pem_private_key(good.key.read_bytes(), None)
    locked = BestAvailableEncryption(b"password")
    good.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked))


def _cut_late(good: Certificates) -> None:
    good.cert.write_bytes(good.cert.read_bytes().rstrip()[:-8])


def _key_cut_late(good: Certificates) -> None:
    good.key.write_bytes(good.key.read_bytes().rstrip()[:-8])


def _damage(name: str, old: str, new: str) -> Callable[[Certificates], object]:
    """Alter what stands first in a block."""

    def harm(good: Certificates) -> None:
        file: Path = getattr(good, name)
        head, line, rest = file.read_text(encoding="ascii").partition("-----\n")
        assert rest.startswith(old)
        file.write_text(head + line + rest.replace(old, new, 1), encoding="ascii")

    return harm


HALF_DONE = {
    "new certificate, old key": (_old_key, "the key in .* is of another one"),
    "old certificate, new key": (_new_key, "the key in .* is of another one"),
    "another kind of key": (_other_kind_of_key, "the key in .* is of another one"),
    "certificate cut off": (_cut_off, r"the certificate in .*cert\.pem cannot be used: it is cut off"),
    "issuer cut off": (_issuer_cut_off, r"the certificate in .*cert\.pem cannot be used: it is cut off"),
    "issuer missing": (_issuer_missing, "the certificates of its issuers are missing"),
    "another issuer": (_other_issuer, "the certificates behind it are not those of its issuers"),
    "expired": (_expired, "certificate has expired"),
    "encrypted key": (_encrypted_key, r"the key in .*key\.pem cannot be used: it is encrypted"),
    "empty certificate": (
        lambda good: good.cert.write_bytes(b""),
        r"the certificate in .*cert\.pem cannot be used: there is no certificate in it",
    ),
    "empty key": (
        lambda good: good.key.write_bytes(b""),
        r"the key in .*key\.pem cannot be used: there is no key in it",
    ),
    "certificate gone": (lambda good: good.cert.unlink(), "No such file"),
    "key gone": (lambda good: good.key.unlink(), r"the key in .*key\.pem cannot be used: No such file"),
    "a folder": (lambda good: (good.key.unlink(), good.key.mkdir()), r"the key in .*key\.pem .* no regular file"),
    "cut within the last line": (_cut_late, r"the certificate in .*cert\.pem cannot be used: it is cut off"),
    "key cut within the last line": (_key_cut_late, r"the key in .*key\.pem cannot be used: it is cut off"),
    "certificate damaged": (
        _damage("cert", "MII", "!II"),
        r"the certificate in .*cert\.pem .* number 1 in it is damaged",
    ),
    "certificate altered": (
        _damage("cert", "MII", "AII"),
        r"the certificate in .*cert\.pem .* number 1 in it is damaged",
    ),
    "key damaged": (_damage("key", "M", "!"), r"the key in .*key\.pem cannot be used: number 1 in it is damaged"),
    "key altered": (_damage("key", "M", "A"), r"the key in .*key\.pem cannot be used: it is damaged, or of a kind"),
    "exchanged": (
        lambda good: good.cert.write_bytes(good.key.read_bytes()),
        r"the certificate in .*cert\.pem cannot be used: there is no certificate in it",
    ),
    "not text": (lambda good: good.cert.write_bytes(bytes(range(256))), "cannot be used"),
}


@pytest.mark.parametrize(("harm", "words"), HALF_DONE.values(), ids=HALF_DONE)
async def test_a_renewal_that_fails_changes_nothing(
    tmp_path: Path, harm: Callable[[Certificates], object], words: str
) -> None:
    """Whatever is wrong with the files, every handshake goes on with the earlier certificate, until there is a whole one."""
    used = Certificates(trustme.CA(), tmp_path / "cert.pem", tmp_path / "key.pem")
    used.issue(used.authority, whole=True)
    (tmp_path / "state").mkdir()
    async with open_service(tmp_path / "state", used.settings()) as service:
        earlier = await _serial(service.port)
        harm(used)
        with pytest.raises(PlatformUnavailable, match=words):
            service.renew_certificate()
        assert await _serial(service.port) == earlier
        async with ClientSession() as http, http.get(f"{service.url}/healthz", ssl=used.client()) as answer:
            assert answer.status == 200
        if used.key.is_dir():
            used.key.rmdir()
        used.issue(used.authority, whole=True)
        service.renew_certificate()
        assert await _serial(service.port) != earlier


async def _serial(port: int) -> bytes:
    """Return the certificate that a handshake shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    assert isinstance(shown, bytes)
    return shown


async def test_a_certificate_that_clients_refuse_is_told_at_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The service starts, since some clients do not look; a chain that has become shorter, and is still one, is taken."""
    used = Certificates(trustme.CA(), tmp_path / "cert.pem", tmp_path / "key.pem")
    _expired(used)
    Certificate(str(used.cert), str(used.key))
    assert "clients will refuse the certificate" in caplog.text
    assert "certificate has expired" in caplog.text
    below = trustme.CA(parent_cert=used.authority)
    issued = below.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(used.key)
    chain = [issued.cert_chain_pems[0], below.cert_pem, used.authority.cert_pem]
    used.cert.write_bytes(b"".join(each.bytes() for each in chain))
    certificate = Certificate(str(used.cert), str(used.key))
    used.cert.write_bytes(b"".join(each.bytes() for each in chain[:2]))
    certificate.renew()


async def test_a_certificate_that_signs_itself_needs_no_issuer(tmp_path: Path) -> None:
    """From a chain to one that stands alone is no cut."""
    used = Certificates(trustme.CA(), tmp_path / "cert.pem", tmp_path / "key.pem")
    used.issue(used.authority, whole=True)
    certificate = Certificate(str(used.cert), str(used.key))
    own = trustme.CA()
    own.cert_pem.write_to_path(used.cert)
    own.private_key_pem.write_to_path(used.key)
    certificate.renew()


async def test_half_a_handshake_counts_as_a_connection(tmp_path: Path, certificates: Certificates) -> None:
    """Who connects and does not begin to speak TLS takes a place, and is the first to lose it."""
    settings = evolve(certificates.settings(), max_connections=2, head_timeout=30.0)
    async with open_service(tmp_path, settings) as service, AsyncExitStack() as stack:
        silent = [await stack.enter_async_context(connected(service.port)) for _ in range(3)]
        assert await ending(silent[0][0]) == b""
        assert service.report().gauges["connections"] == 2
        async with ClientSession() as http, http.get(f"{service.url}/healthz", ssl=certificates.client()) as answer:
            assert answer.status == 200


async def test_one_too_many_is_told_within_tls(tmp_path: Path, certificates: Certificates) -> None:
    """The refusal can be read by who speaks TLS."""
    settings = evolve(certificates.settings(), max_connections_per_address=1, head_timeout=30.0)
    async with (
        open_service(tmp_path, settings) as service,
        connected(service.port),
        ClientSession() as http,
        http.get(f"{service.url}/healthz", ssl=certificates.client()) as answer,
    ):
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")


async def test_a_peer_that_goes_on_without_end_is_left_when_the_service_stops(
    tmp_path: Path, certificates: Certificates
) -> None:
    """It was refused, and answers no end of TLS: the service leaves nothing open."""
    async with open_service(tmp_path, certificates.settings()) as service:
        peer = await asyncio.to_thread(_refused, service.port, certificates.client())
    for _ in range(3):  # the turns in which an end is told
        await asyncio.sleep(0)
    assert service.report().gauges["connections"] == 0
    peer.close()


def _refused(port: int, trust: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a connection that was told why it is refused, and is left as it is."""
    peer = trust.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1")
    peer.sendall(b"nonsense\r\n\r\n")
    assert peer.recv(12) == b"HTTP/1.1 400"
    return peer


async def test_an_answer_is_not_lost_to_a_body_that_still_comes(tmp_path: Path, certificates: Certificates) -> None:
    """The service ends nothing while its peer sends: a client that sends all of its body before it reads finds the answer."""

    def post() -> int:
        to = HTTPSConnection("127.0.0.1", service.port, context=certificates.client(), timeout=10)
        to.request("POST", "/w/?token=x", bytes(600_000), {"Authorization": "Bearer x", "Connection": "close"})
        return to.getresponse().status

    async with open_service(tmp_path, certificates.settings()) as service:
        assert [await asyncio.to_thread(post) for _ in range(5)] == [401] * 5


async def test_without_tls_there_is_nothing_to_renew(tmp_path: Path) -> None:
    """Who asks for it is told so."""
    async with open_service(tmp_path) as service:
        with pytest.raises(PlatformUnavailable, match="the service speaks no TLS"):
            service.renew_certificate()


@pytest.mark.parametrize("text", [None, "nonsense"])
async def test_a_certificate_that_cannot_be_used_is_told(tmp_path: Path, text: str | None) -> None:
    """The service does not start without it."""
    cert = tmp_path / "cert.pem"
    if text is not None:
        cert.write_text(text, encoding="ascii")
    with pytest.raises(PlatformUnavailable, match=r"the certificate in .*cert\.pem cannot be used"):
        async with open_service(tmp_path, ServiceSettings(tls_cert=str(cert))):
            pass


def test_a_key_alone_is_refused(tmp_path: Path) -> None:
    """It would mean that TLS was wanted, and there would be none."""
    with pytest.raises(InvalidArgument, match="tls_key is for the certificate that tls_cert names"):
        load_certificate(ServiceSettings(tls_key="key.pem"), tmp_path)


def test_a_pipe_is_no_certificate_and_not_waited_for(tmp_path: Path, certificates: Certificates) -> None:
    """Neither at the start nor at a renewal, when the whole service would stand still."""
    pipe = tmp_path / "pipe.pem"
    os.mkfifo(pipe)
    with pytest.raises(PlatformUnavailable, match="no regular file"):
        Certificate(str(pipe), "")
    with pytest.raises(PlatformUnavailable, match=r"the key in .*pipe\.pem cannot be used: it is no regular file"):
        Certificate(str(certificates.cert), str(pipe))
