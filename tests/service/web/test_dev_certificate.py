"""The certificate for development: who trusts it, for which names, how long it lasts, and what becomes of its files."""

from __future__ import annotations

import os
import ssl
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from aiohttp import ClientConnectorCertificateError, ClientSession
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from tests.e2e.terminal import ipv6
from tocsin.protocol.errors import InvalidArgument, PlatformUnavailable
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import open_service
from tocsin.service.web.dev_authority import DevAuthority, KeyedCertificate, issue, make_authority
from tocsin.service.web.dev_certificate import DevCertificate, ensure_dev_certificate

DAY = 86_400.0


def trusting(authority: Path) -> ssl.SSLContext:
    """Return a client that trusts this authority, as strictly as a Python of today does."""
    client = ssl.create_default_context(cafile=str(authority))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    return client


def shake_hands(client: ssl.SSLContext, certificate: Path, name: str) -> None:
    """Let a client connect to a server with that certificate, under that name.

    :raises ssl.SSLCertVerificationError: the client refuses.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    connecting = client.wrap_bio(back, there, server_hostname=name)
    serving = server.wrap_bio(there, back, server_side=True)
    for _ in range(4):
        for side in (connecting, serving):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
    assert connecting.getpeercert() is not None


def contents(folder: Path) -> dict[str, bytes]:
    """Return what the files in a folder hold."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def ensure(folder: Path, wall: float | None = None, host: str = "127.0.0.1") -> DevCertificate:
    """Make or mend the certificate at that time."""
    return ensure_dev_certificate(folder, ip_address(host), time.time() if wall is None else wall)


async def test_a_service_is_reached_under_its_own_names_with_the_authority_only(tmp_path: Path) -> None:
    """A client that trusts the authority is answered on the address and on ``localhost``; one that does not refuses."""
    async with open_service(tmp_path, ServiceSettings(dev_tls=True)) as service, ClientSession() as http:
        assert service.url == f"https://127.0.0.1:{service.port}"
        assert service.authority is not None
        trust = trusting(service.authority)
        for host in ("127.0.0.1", "localhost"):
            async with http.get(f"https://{host}:{service.port}/healthz", ssl=trust) as answer:
                assert answer.status == 200
        with pytest.raises(ClientConnectorCertificateError):
            await http.get(f"{service.url}/healthz")
    async with open_service(tmp_path) as service:
        assert (service.authority, service.url) == (None, f"http://127.0.0.1:{service.port}")


@pytest.mark.skipif(not ipv6(), reason="this machine has no IPv6")
async def test_it_is_good_for_ipv6(tmp_path: Path) -> None:
    """As for IPv4."""
    settings = ServiceSettings(dev_tls=True, host="::1")
    async with open_service(tmp_path, settings) as service, ClientSession() as http:
        assert service.authority is not None
        async with http.get(f"{service.url}/healthz", ssl=trusting(service.authority)) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "127.0.0.5"])
def test_each_of_its_names_is_verified(tmp_path: Path, name: str) -> None:
    """Also one more address of loopback, where the service listens on it."""
    made = ensure(tmp_path / "tls", host="127.0.0.5")
    shake_hands(trusting(made.authority), made.certificate, name)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (x509.DNSName("push.example"), "permitted subtree violation"),
        (x509.DNSName("localhost.example"), "permitted subtree violation"),
        (x509.IPAddress(ip_address("10.0.0.1")), "permitted subtree violation"),
        (x509.IPAddress(ip_address("::2")), "permitted subtree violation"),
    ],
    ids=str,
)
def test_its_authority_vouches_for_no_other_name(tmp_path: Path, name: x509.GeneralName, told: str) -> None:
    """A certificate for another host, signed with the authority's own key, is refused by a client that trusts the authority."""
    made = ensure(tmp_path / "tls")
    signing = DevAuthority.read((tmp_path / "tls" / "ca-key.pem").read_bytes()).signing
    good = issue(signing, None, time.time())
    forged = tmp_path / "forged.pem"
    signed = again(good.certificate, x509.SubjectAlternativeName([name])).sign(signing.key, SHA256())
    forged.write_bytes(KeyedCertificate(signed, good.key).certificate_pem + signing.certificate_pem + good.key_pem)
    with pytest.raises(ssl.SSLCertVerificationError, match=told):
        shake_hands(trusting(made.authority), forged, str(name.value))


def again(certificate: x509.Certificate, *instead: x509.ExtensionType) -> x509.CertificateBuilder:
    """Begin a certificate like that one, with some extensions replaced."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(certificate.subject)
        .issuer_name(certificate.issuer)
        .public_key(certificate.public_key())
        .serial_number(certificate.serial_number)
        .not_valid_before(certificate.not_valid_before_utc)
        .not_valid_after(certificate.not_valid_after_utc)
    )
    kinds = {type(each): each for each in instead}
    for extension in certificate.extensions:
        value: x509.ExtensionType = extension.value
        builder = builder.add_extension(kinds.get(type(value)) or value, extension.critical)
    return builder


def test_its_authority_makes_no_other_authority(tmp_path: Path) -> None:
    """What an authority signed by it has signed is refused."""
    made = ensure(tmp_path / "tls")
    signing = DevAuthority.read((tmp_path / "tls" / "ca-key.pem").read_bytes()).signing
    below = issue(signing, None, time.time())
    usage = signing.certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    builder = again(below.certificate, x509.BasicConstraints(ca=True, path_length=0), usage)
    other = KeyedCertificate(builder.sign(signing.key, SHA256()), below.key)
    issued = issue(other, None, time.time())
    chain = tmp_path / "chain.pem"
    whole = issued.certificate_pem + other.certificate_pem + signing.certificate_pem + issued.key_pem
    chain.write_bytes(whole)
    with pytest.raises(ssl.SSLCertVerificationError, match="path length constraint exceeded"):
        shake_hands(trusting(made.authority), chain, "localhost")


def test_the_key_of_what_clients_trust_is_gone(tmp_path: Path) -> None:
    """Java goes by no limit of a certificate that it trusts: the one key that is kept has the limits in its own certificate."""
    made = ensure(tmp_path / "tls")
    kept = (tmp_path / "tls" / "ca-key.pem").read_bytes()
    assert kept.count(b"PRIVATE KEY-----\n") == 2
    signing = DevAuthority.read(kept).signing.certificate
    root = x509.load_pem_x509_certificate(made.authority.read_bytes())
    assert root.public_key() != signing.public_key()
    signing.verify_directly_issued_by(root)
    limits = signing.extensions.get_extension_for_class(x509.NameConstraints)
    assert limits.critical
    assert {str(each.value) for each in limits.value.permitted_subtrees or ()} == {
        "localhost",
        "127.0.0.0/8",
        "::1/128",
    }


def test_only_its_user_may_read_it(tmp_path: Path) -> None:
    """The folder has mode 0700, each file 0600, and what was opened for others is closed at the next start."""
    folder = tmp_path / "tls"
    ensure(folder)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    ensure(folder)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())}
    assert modes == {"tls": 0o700, "ca.pem": 0o600, "ca-key.pem": 0o600, "localhost.pem": 0o600}


def test_it_is_used_on_later_starts(tmp_path: Path) -> None:
    """Nothing is written again while it is good: not on the last day before its renewal either."""
    ensure(tmp_path / "tls", 0.0)
    first = contents(tmp_path / "tls")
    for wall in (1.0, 334 * DAY):
        ensure(tmp_path / "tls", wall)
        assert contents(tmp_path / "tls") == first


def test_it_is_renewed_and_its_authority_is_kept(tmp_path: Path) -> None:
    """With less than 30 days left there is another certificate, and clients trust it by the authority that they have."""
    start = time.time() - 336 * DAY
    made = ensure(tmp_path / "tls", start)
    first = contents(tmp_path / "tls")
    ensure(tmp_path / "tls")
    second = contents(tmp_path / "tls")
    assert {name for name in first if first[name] != second[name]} == {"localhost.pem"}
    shake_hands(trusting(made.authority), made.certificate, "localhost")


@pytest.mark.parametrize("days", [3_621, 4_000, -1])
def test_an_authority_near_its_end_is_replaced(tmp_path: Path, days: int, caplog: pytest.LogCaptureFixture) -> None:
    """So is one that has ended or has not begun; the log says that clients have to trust the new one."""
    now = time.time()
    made = ensure(tmp_path / "tls", now - days * DAY)
    first = contents(tmp_path / "tls")
    ensure(tmp_path / "tls", now)
    second = contents(tmp_path / "tls")
    assert all(first[name] != second[name] for name in first)
    assert "clients have to trust the new one" in caplog.text
    shake_hands(trusting(made.authority), made.certificate, "127.0.0.1")


def _move_behind_link(path: Path) -> None:
    moved = path.rename(path.with_suffix(".moved"))
    path.symlink_to(moved)


def _exchange_for_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


HARMS: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "not text": lambda path: path.write_bytes(bytes(range(256))),
    "a link": _move_behind_link,
    "a pipe": _exchange_for_pipe,
    "of another": lambda path: path.write_bytes(
        contents(ensure(path.parent.parent / "other").authority.parent)[path.name]
    ),
}


@pytest.mark.parametrize("harm", HARMS.values(), ids=HARMS)
@pytest.mark.parametrize("name", ["ca.pem", "localhost.pem"])
def test_a_file_that_is_damaged_is_made_anew_and_trust_lasts(
    tmp_path: Path, name: str, harm: Callable[[Path], object]
) -> None:
    """Whatever has become of the certificate or of the authority's copy, clients go on trusting the same authority."""
    made = ensure(tmp_path / "tls")
    trust = trusting(made.authority)
    harm(tmp_path / "tls" / name)
    ensure(tmp_path / "tls")
    shake_hands(trust, made.certificate, "localhost")
    shake_hands(trusting(made.authority), made.certificate, "localhost")


@pytest.mark.parametrize("harm", [*HARMS.values()][:-1], ids=[*HARMS][:-1])
def test_an_authority_without_its_key_is_replaced(tmp_path: Path, harm: Callable[[Path], object]) -> None:
    """What is made then goes together."""
    made = ensure(tmp_path / "tls")
    first = made.authority.read_bytes()
    harm(tmp_path / "tls" / "ca-key.pem")
    ensure(tmp_path / "tls")
    assert made.authority.read_bytes() != first
    shake_hands(trusting(made.authority), made.certificate, "localhost")


def test_an_authority_that_is_not_limited_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that another program has put there might vouch for all names."""
    made = ensure(tmp_path / "tls")
    other = make_authority(time.time())
    wider = x509.NameConstraints([x509.DNSName("example")], None)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = again(other.root, wider)
    builder._public_key = key.public_key()
    root = builder.sign(key, SHA256())
    signed = again(other.signing.certificate).sign(key, SHA256())
    unlimited = DevAuthority(root, KeyedCertificate(signed, other.signing.key))
    (tmp_path / "tls" / "ca-key.pem").write_bytes(unlimited.pem)
    ensure(tmp_path / "tls")
    assert "it is not limited to loopback" in caplog.text
    shake_hands(trusting(made.authority), made.certificate, "localhost")


@pytest.mark.parametrize("step", range(3))
def test_a_crash_within_a_write_leaves_the_earlier_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """At whichever file it comes, before its name leads to the new one: what is there can be read, and the next start mends it."""
    now = time.time()
    made = ensure(tmp_path / "tls", now - 3_640 * DAY)
    first = contents(tmp_path / "tls")
    steps = iter(range(3))

    def crash(descriptor: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode) and next(steps) == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", crash)
        with pytest.raises(KeyboardInterrupt):
            ensure(tmp_path / "tls", now)
    second = contents(tmp_path / "tls")
    assert sum(first[name] == second[name] for name in first) == 3 - step
    ensure(tmp_path / "tls", now)
    shake_hands(trusting(made.authority), made.certificate, "localhost")
    assert not list((tmp_path / "tls").glob("*.new"))


def test_a_disk_that_is_full_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a sentence that names the folder."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PlatformUnavailable, match=r"for development in .*tls cannot be used: No space left on device"):
        ensure(tmp_path / "tls")


def test_what_is_no_folder_is_told(tmp_path: Path) -> None:
    """It is not written over."""
    (tmp_path / "tls").write_bytes(b"mine")
    with pytest.raises(PlatformUnavailable, match=r"tls cannot be used"):
        ensure(tmp_path / "tls")
    assert (tmp_path / "tls").read_bytes() == b"mine"


async def test_a_running_service_takes_the_renewed_one(tmp_path: Path) -> None:
    """What a hangup does: the file is mended before it is read."""
    async with open_service(tmp_path, ServiceSettings(dev_tls=True)) as service, ClientSession() as http:
        assert service.authority is not None
        trust = trusting(service.authority)
        (tmp_path / "dev-tls" / "localhost.pem").unlink()
        service.renew_certificate()
        async with http.get(f"{service.url}/healthz", ssl=trust) as answer:
            assert answer.status == 200


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            ServiceSettings(dev_tls=True, tls_cert="cert.pem"),
            "dev_tls makes a certificate, and tls_cert and tls_key name",
        ),
        (
            ServiceSettings(dev_tls=True, tls_key="key.pem"),
            "dev_tls makes a certificate, and tls_cert and tls_key name",
        ),
        (ServiceSettings(dev_tls=True, host="0.0.0.0"), "is for this machine only, and others can reach 0.0.0.0"),  # noqa: S104
        (ServiceSettings(dev_tls=True, host="::", insecure=True), "is for this machine only, and others can reach ::"),
        (ServiceSettings(dev_tls=True, host="push.example"), "is for this machine only, and others can reach push"),
    ],
)
async def test_it_is_refused_where_it_is_of_no_use(tmp_path: Path, settings: ServiceSettings, words: str) -> None:
    """With another certificate, or where other machines are to be reached; nothing is written."""
    with pytest.raises(InvalidArgument, match=words):
        async with open_service(tmp_path, settings):
            pass
    assert contents(tmp_path) == {}
