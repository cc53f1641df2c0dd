"""The certificate, read whole into something new and tried before connections get it: a renewal that fails changes nothing."""

from __future__ import annotations

import logging
import re
import ssl
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from tocsin.protocol.errors import InvalidArgument, NotSupported, PlatformUnavailable
from tocsin.protocol.network.addresses import read_address
from tocsin.service.operations.configuration import check_dev_tls
from tocsin.service.operations.settings import ServiceSettings

_CERTIFICATE: Final = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_KEY: Final = re.compile("-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL)
_BLOCK: Final = re.compile("-----BEGIN ([^-\n]+)-----.*?-----END \\1-----", re.DOTALL)
_OTHER_KEY: Final = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
_TURNS: Final = 8  # of a handshake, in which each side speaks two or three times

logger = logging.getLogger(__name__)


@frozen
class _Loaded:
    """A certificate that was read: what TLS is spoken with, how many are in its file, and why clients would refuse it."""

    context: ssl.SSLContext
    chain: int
    until: str
    doubt: str | None


class Certificate:
    """The certificate in use.

    :param authority: the file with the authority that clients have to be told to trust; None where there is none.
    :param prepare: called before its files are read anew.
    :raises PlatformUnavailable: it cannot be read, is not whole, or does not go with its key.
    """

    def __init__(
        self, cert: str, key: str, authority: Path | None = None, prepare: Callable[[], object] = lambda: None
    ) -> None:
        self.authority = authority
        self._cert = cert
        self._key = key
        self._prepare = prepare
        self._loaded = _load(cert, key)
        if self._loaded.doubt is not None:
            logger.warning("clients will refuse the certificate in %s: %s", cert, self._loaded.doubt)

    @property
    def context(self) -> ssl.SSLContext:
        """What TLS is spoken with on connections from now on."""
        return self._loaded.context

    def renew(self) -> None:
        """Read the files anew, for connections from now on.

        :raises PlatformUnavailable: they cannot be used, or clients would refuse them; the earlier certificate stays in use.
        """
        self._prepare()
        loaded = _load(self._cert, self._key)
        doubt = loaded.doubt
        if doubt is None and loaded.chain == 1 < self._loaded.chain and not _stands_alone(self._cert):
            doubt = "the certificates of its issuers are missing, which the earlier one had behind it"
        if doubt is not None:
            raise PlatformUnavailable(f"the certificate in {self._cert} cannot be used: {doubt}")
        self._loaded = loaded
        logger.info("the certificate in %s was read anew; it is valid until %s", self._cert, loaded.until)


def renew(certificate: Certificate | None) -> None:
    """Read a service's certificate anew, as :meth:`Certificate.renew`.

    :raises PlatformUnavailable: it cannot be used, or there is none; what was in use stays so.
    """
    if certificate is None:
        raise PlatformUnavailable("there is no certificate to be read anew: the service speaks no TLS")
    certificate.renew()


def load_certificate(settings: ServiceSettings, state: Path) -> Certificate | None:
    """Read the certificate that the settings name, or make one for development; None where no TLS is to be spoken.

    :param state: the folder in which one for development is kept.
    :raises InvalidArgument: they name a key only, or want one for development where it is of no use.
    :raises PlatformUnavailable: as :class:`Certificate`.
    """
    check_dev_tls(settings)
    if settings.dev_tls:
        return _dev_certificate(state / "dev-tls", settings.host)
    if settings.tls_key and not settings.tls_cert:
        raise InvalidArgument(
            "tls_key is for the certificate that tls_cert names, and there is none: without it there is no TLS"
        )
    return Certificate(settings.tls_cert, settings.tls_key) if settings.tls_cert else None


def _dev_certificate(folder: Path, host: str) -> Certificate:
    """Read the certificate for development, made or mended by the machine's clock, which clients judge it by."""
    try:
        from tocsin.service.web.dev_certificate import DevCertificate, ensure_dev_certificate  # noqa: PLC0415  # few pay
    except ModuleNotFoundError as missing:
        raise NotSupported(f"dev_tls needs the package {missing.name}: pip install 'tocsin[service]'") from missing

    def prepare() -> DevCertificate:
        return ensure_dev_certificate(folder, read_address(host), time.time())

    files = prepare()
    return Certificate(str(files.certificate), "", files.authority, prepare)


def _load(cert: str, key: str) -> _Loaded:
    """Read certificate and key, and shake hands with them."""
    chain = _blocks(cert, _CERTIFICATE, "certificate")
    keys = key or cert
    _blocks(keys, _KEY, "key")
    for number, each in enumerate(chain, 1):
        with _blaming("certificate", cert, f"number {number} in it is damaged"):
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=each)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    encrypted: list[str] = []

    def password() -> str:
        encrypted.append(keys)
        return ""

    try:
        context.load_cert_chain(cert, key or None, password)
        _shake_hands(context, None)
    except (OSError, ValueError) as failure:
        if encrypted:
            raise _unusable("key", keys, "it is encrypted; give one without a password") from failure
        if isinstance(failure, ssl.SSLError) and failure.reason in _OTHER_KEY:
            raise _unusable("certificate", cert, f"the key in {keys} is of another one") from failure
        reason = getattr(failure, "reason", "") or ""  # OpenSSL's, where it has one
        if reason in {"", "PEM_LIB"}:
            raise _unusable("key", keys, "it is damaged, or of a kind that TLS has no use for") from failure
        raise _unusable("certificate", cert, reason.replace("_", " ").lower()) from failure
    until, doubt = _verify(context, chain)
    return _Loaded(context, len(chain), until, doubt)


def _blocks(path: str, block: re.Pattern[str], what: str) -> list[str]:
    """Return the blocks of one kind that a PEM file holds.

    :raises PlatformUnavailable: it is no file, has none, or one that is not whole.
    """
    if Path(path).exists() and not Path(path).is_file():  # a pipe would be waited for
        raise _unusable(what, path, "it is no regular file")
    try:
        text = Path(path).read_text(encoding="latin-1")
    except OSError as failure:
        raise _unusable(what, path, failure.strerror or str(failure)) from failure
    if "-----BEGIN " in _BLOCK.sub("", text):
        raise _unusable(what, path, "it is cut off")
    found = block.findall(text)
    if not found:
        raise _unusable(what, path, f"there is no {what} in it")
    for number, each in enumerate(found, 1):
        with _blaming(what, path, f"number {number} in it is damaged"):
            b64decode("".join(line.strip() for line in each.splitlines()[1:-1] if ":" not in line), validate=True)
    return found


def _unusable(what: str, path: str, why: str) -> PlatformUnavailable:
    """Say which of the two files is at fault, and how."""
    return PlatformUnavailable(f"the {what} in {path} cannot be used: {why}")


@contextmanager
def _blaming(what: str, path: str, why: str) -> Iterator[None]:
    """Say so in our words where a block cannot be read: a library's words do not name the file."""
    try:
        yield
    except (OSError, ValueError) as failure:
        raise _unusable(what, path, why) from failure


def _verify(server: ssl.SSLContext, chain: list[str]) -> tuple[str, str | None]:
    """Look at a certificate as a client does that trusts who is last in its file; return its end, and why it is refused."""
    trust = chain[1:] or chain
    try:
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        client.load_verify_locations(cadata="\n".join(trust))
        return str(_shake_hands(server, client)["notAfter"]), None
    except ssl.SSLCertVerificationError as refused:
        words = "the certificates behind it are not those of its issuers" if len(chain) > 1 else refused.verify_message
        is_time = refused.verify_code in {9, 10}  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
        return "", refused.verify_message if is_time else words
    except (OSError, ValueError) as failure:
        return "", str(failure)


def _stands_alone(cert: str) -> bool:
    """Tell whether a certificate needs no other: it has signed itself."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.load_verify_locations(cert)
    return any(each.get("subject") == each.get("issuer") for each in client.get_ca_certs())


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext | None) -> dict[str, Any]:
    """Let a client connect, in memory, and return what it has learnt of the certificate.

    :raises ssl.SSLError: one of the two sides refuses.
    """
    if client is None:  # one that takes any certificate
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)]
    waiting = list(sides)
    for _ in range(_TURNS):
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    if waiting:
        raise ssl.SSLError("a handshake with it does not come to its end")
    return sides[0].getpeercert() or {}
