"""An authority for development: what it signs is good for this machine's own addresses only, whatever becomes of its key."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final, Self

from attrs import field, frozen
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS: Final = 3_650
CERTIFICATE_DAYS: Final = 365
"""Below the 825 days above which some systems refuse a certificate of a private authority."""

RENEWAL_DAYS: Final = 30
"""Days before its end from which on a certificate is replaced."""

_SLACK: Final = timedelta(hours=1)  # by which a certificate is good earlier: a clock may be set back a little
_LOOPBACK: Final = x509.NameConstraints(
    permitted_subtrees=[
        x509.DNSName("localhost"),
        x509.IPAddress(IPv4Network("127.0.0.0/8")),
        x509.IPAddress(IPv6Network("::1/128")),
    ],
    excluded_subtrees=None,
)
_ALWAYS: Final = (x509.IPAddress(IPv4Address("127.0.0.1")), x509.IPAddress(IPv6Address("::1")))
_ORGANIZATION: Final = "Tocsin development"


class Unfit(Exception):
    """What was read cannot be used any longer; the text says why."""


@frozen
class KeyedCertificate:
    """A certificate and its private key, which is not shown."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def read(cls, pem: bytes) -> Self:
        """Read both from one PEM file: its first certificate and its key.

        :raises Unfit: one is missing or damaged, or they do not belong together.
        """
        try:
            certificate = x509.load_pem_x509_certificate(pem)
            key = load_pem_private_key(pem, None)
        except (ValueError, TypeError, UnsupportedAlgorithm):  # damaged, encrypted, of a kind that is not known
            raise Unfit("it is damaged") from None
        if not isinstance(key, ec.EllipticCurvePrivateKey) or _spki(key.public_key()) != _public(certificate):
            raise Unfit("its key is that of another certificate")
        return cls(certificate, key)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate alone, for others."""
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key, which is not encrypted."""
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@frozen
class DevAuthority:
    """The certificate that clients trust, whose key is gone, and the one that it has signed, whose key signs those of services.

    Some clients, such as Java's, pass over what limits the certificate that they trust, and go by what limits those below
    it. So the limits stand in both, and no key is left that could sign one without.
    """

    root: x509.Certificate
    signing: KeyedCertificate

    @classmethod
    def read(cls, pem: bytes) -> Self:
        """Read what :attr:`pem` has written.

        :raises Unfit: it is damaged.
        """
        signing = KeyedCertificate.read(pem)
        try:
            _, root = x509.load_pem_x509_certificates(pem)
            signing.certificate.verify_directly_issued_by(root)
        except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
            raise Unfit("it is damaged") from None
        return cls(root, signing)

    @property
    def root_pem(self) -> bytes:
        """What clients are to trust."""
        return self.root.public_bytes(Encoding.PEM)

    @property
    def pem(self) -> bytes:
        """All of it, with the key."""
        return self.signing.key_pem + self.signing.certificate_pem + self.root_pem

    def check(self, wall: float) -> None:
        """See that it can go on signing.

        :raises Unfit: it cannot.
        """
        for each in (self.root, self.signing.certificate):
            _check_time(each, wall)
            try:
                constraints = each.extensions.get_extension_for_class(x509.NameConstraints)
            except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
                raise Unfit("it is not limited to loopback") from None
            if constraints.value != _LOOPBACK or not constraints.critical:
                raise Unfit("it is not limited to loopback")


def make_authority(wall: float) -> DevAuthority:
    """Make an authority for loopback only, below which there is no other authority.

    :param wall: the time, in seconds since the epoch, as in all of this module.
    """
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    which = f"{x509.random_serial_number() % 2**32:08x}"  # so that two can be told apart in a list
    name = _name(f"Tocsin development authority {which}")
    root = _authority(_begin(name, name, root_key, wall, AUTHORITY_DAYS), 1).sign(root_key, SHA256())
    below = _begin(_name(f"Tocsin development signer {which}"), name, key, wall, AUTHORITY_DAYS)
    signed = _authority(below, 0).add_extension(issued_by(root), critical=False).sign(root_key, SHA256())
    return DevAuthority(root, KeyedCertificate(signed, key))


def issue(signing: KeyedCertificate, host: IPv4Address | IPv6Address | None, wall: float) -> KeyedCertificate:
    """Make a certificate for ``localhost``, 127.0.0.1, ::1 and one more address of loopback."""
    key = ec.generate_private_key(ec.SECP256R1())
    signed = (
        _begin(_name("localhost"), signing.certificate.subject, key, wall, CERTIFICATE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(authority=False), critical=True)
        .add_extension(issued_by(signing.certificate), critical=False)
        .add_extension(x509.SubjectAlternativeName(_names(host)), critical=False)
        .sign(signing.key, SHA256())
    )
    return KeyedCertificate(signed, key)


def check_issued(
    issued: KeyedCertificate, signing: KeyedCertificate, host: IPv4Address | IPv6Address | None, wall: float
) -> None:
    """See that a certificate that was read is one that this key has signed for those names.

    :raises Unfit: it is not, or it ends soon.
    """
    _check_time(issued.certificate, wall)
    try:
        issued.certificate.verify_directly_issued_by(signing.certificate)
        names = issued.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound, x509.DuplicateExtension):
        raise Unfit("its authority has not signed it") from None
    if not set(names) >= set(_names(host)):
        raise Unfit(f"it is not for {host}")


def _authority(builder: x509.CertificateBuilder, below: int) -> x509.CertificateBuilder:
    """Let a certificate be that of an authority for loopback, with that many others below it."""
    return (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=below), critical=True)
        .add_extension(key_usage(authority=True), critical=True)
        .add_extension(_LOOPBACK, critical=True)
    )


def issued_by(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """Say in a certificate whose key has signed it."""
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier)


def _begin(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, wall: float, days: int
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(int(wall), UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, _ORGANIZATION), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def key_usage(*, authority: bool) -> x509.KeyUsage:
    """Say in a certificate what its key is for: to sign others, or to prove who one is."""
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _names(host: IPv4Address | IPv6Address | None) -> Iterable[x509.GeneralName]:
    more = {x509.IPAddress(host)} - set(_ALWAYS) if host is not None else set[x509.IPAddress]()
    return [x509.DNSName("localhost"), *_ALWAYS, *more]


def _check_time(certificate: x509.Certificate, wall: float) -> None:
    left = certificate.not_valid_after_utc.timestamp() - wall
    if left <= 0:
        raise Unfit("it has expired")
    if left < RENEWAL_DAYS * 86_400:
        raise Unfit(f"it expires within {RENEWAL_DAYS} days")
    if certificate.not_valid_before_utc.timestamp() > wall:
        raise Unfit("it is not valid yet")


def _public(certificate: x509.Certificate) -> bytes:
    """Return the key that a certificate is of; empty where it is of a kind that we do not make."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return b""
    return _spki(key) if isinstance(key, ec.EllipticCurvePublicKey) else b""


def _spki(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
