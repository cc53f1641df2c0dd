"""What a node proves itself with: a certificate that is renewed as connections are made, and never written to a disk in clear."""

from __future__ import annotations

import os
import secrets
import ssl
import time
from collections.abc import Callable
from tempfile import mkstemp

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from tocsin.service.nodes.node_authority import LIFETIME, host_of, issue_node
from tocsin.service.web.dev_authority import KeyedCertificate


class NodeIdentity:
    """A node's name, and what TLS is spoken with by it: 1.3, with a certificate of the nodes' authority at each end.

    :param node: its name.
    :param authority: that of the service's nodes.
    :param wall: the machine's time, in seconds since the epoch: what TLS judges certificates by.
    :raises InvalidArgument: it is no name of a node.
    """

    def __init__(self, node: str, authority: KeyedCertificate, wall: Callable[[], float] = time.time) -> None:
        host_of(node)
        self.node = node
        self._authority = authority
        self._wall = wall
        self._made: float | None = None
        self._server = _context(ssl.PROTOCOL_TLS_SERVER, authority)
        self._server.options |= ssl.OP_NO_TICKET  # a connection is made once, and stays
        self._client = _context(ssl.PROTOCOL_TLS_CLIENT, authority)

    def for_dialling(self) -> ssl.SSLContext:
        """Return what TLS is spoken with on the next connection to another node."""
        self._renew()
        return self._client

    def for_taking(self) -> ssl.SSLContext:
        """Return what TLS is spoken with on the next connection of another node."""
        self._renew()
        return self._server

    def _renew(self) -> None:
        """Make a new certificate where half of the time of the last is over, or the clock was set."""
        now = self._wall()
        if self._made is not None and 0 <= now - self._made < LIFETIME / 2:
            return
        issued = issue_node(self._authority, self.node, now)
        for context in (self._server, self._client):
            _load(context, issued)
        self._made = now


def _context(protocol: ssl._SSLMethod, authority: KeyedCertificate) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=authority.certificate_pem.decode())
    return context


def _load(context: ssl.SSLContext, issued: KeyedCertificate) -> None:
    """Let a context speak with a certificate: :mod:`ssl` reads files only, so this one is encrypted with a password of its own."""
    password = secrets.token_bytes(32).hex()
    encryption = BestAvailableEncryption(password.encode())
    descriptor, name = mkstemp(prefix="tocsin-node-", suffix=".pem")
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor is no path
            file.write(issued.certificate_pem + issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
        context.load_cert_chain(name, password=password)
    finally:
        os.unlink(name)  # noqa: PTH108  # as it was made
