"""The authority of a service's nodes: who has its key may be a node; what it signs is good for links between nodes only."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tocsin.protocol.errors import InvalidArgument, PlatformUnavailable
from tocsin.protocol.text import quoted
from tocsin.service.web.dev_authority import KeyedCertificate, Unfit, issued_by, key_usage

LIFETIME: Final = 86_400.0
"""Seconds for which a node's certificate is good, from when it is made."""

_SLACK: Final = timedelta(
    days=1
)  # by which it is good earlier: the clocks of machines differ, and none is trusted for leases
_FOR_EVER: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # as RFC 5280 §4.1.2.5 has it for what has no end
_DOMAIN: Final = "node.tocsin.internal"  # ICANN has reserved ``internal``: no server has such a name
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LIMITS: Final = x509.NameConstraints(permitted_subtrees=[x509.DNSName(_DOMAIN)], excluded_subtrees=None)


class AuthorityStore(Protocol):
    """Where all nodes of a service find the same authority."""

    async def keep_authority(self, made: bytes) -> bytes:
        """Keep this one if there is none, as a step that no other node's comes between; return the one that is kept.

        :raises StateUnavailable: the store cannot be used.
        """
        ...


async def authority_of(store: AuthorityStore, wall: float) -> KeyedCertificate:
    """Return the authority of the nodes, made if there is none.

    :param wall: the time, in seconds since the epoch, as in all of this module.
    :raises PlatformUnavailable: the one that is kept cannot be used, or the store cannot.
    """
    made = make_node_authority(wall)
    kept = await store.keep_authority(made.key_pem + made.certificate_pem)
    try:
        authority = KeyedCertificate.read(kept)
        _check(authority.certificate)
    except Unfit as why:
        raise PlatformUnavailable(f"the authority of the nodes that the store keeps cannot be used: {why}") from None
    return authority


def make_node_authority(wall: float) -> KeyedCertificate:
    """Make an authority that has no end: it is replaced where it is kept, and all nodes are restarted."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name("Tocsin nodes")
    builder = (
        _begin(name, name, key, wall, _FOR_EVER)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(authority=True), critical=True)
        .add_extension(_LIMITS, critical=True)
    )
    return KeyedCertificate(builder.sign(key, SHA256()), key)


def issue_node(authority: KeyedCertificate, node: str, wall: float) -> KeyedCertificate:
    """Make a certificate by which a node proves its name to those that it dials, and to those that dial it."""
    key = ec.generate_private_key(ec.SECP256R1())
    until = datetime.fromtimestamp(int(wall + LIFETIME), UTC)
    purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        _begin(_name(node), authority.certificate.subject, key, wall, until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
        .add_extension(issued_by(authority.certificate), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host_of(node))]), critical=False)
    )
    return KeyedCertificate(builder.sign(authority.key, SHA256()), key)


def host_of(node: str) -> str:
    """Return the name that a node's certificate has.

    :raises InvalidArgument: it is no name of a node.
    """
    if not _NAME.fullmatch(node):
        shown = quoted(node)
        raise InvalidArgument(f"a node's name is 1 to 63 lower-case letters, digits and hyphens within, not {shown}")
    return f"{node}.{_DOMAIN}"


def node_of(names: object) -> str:
    """Return which node a certificate is of, by its alternative names as :mod:`ssl` gives them; empty where it is of none."""
    match names:
        case (("DNS", str(host)),) if host.endswith(f".{_DOMAIN}"):
            return host.removesuffix(f".{_DOMAIN}")
    return ""


def _check(certificate: x509.Certificate) -> None:
    try:
        limits = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        raise Unfit("it is none for nodes") from None
    if limits.value != _LIMITS or not basic.value.ca:
        raise Unfit("it is none for nodes")


def _begin(
    name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, wall: float, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.fromtimestamp(int(wall), UTC) - _SLACK)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
