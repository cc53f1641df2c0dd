"""The folder with the certificate for development: made at the first start, kept, and mended file by file."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Final

from attrs import frozen

from tocsin.protocol.errors import PlatformUnavailable
from tocsin.service.web.dev_authority import (
    DevAuthority,
    KeyedCertificate,
    Unfit,
    check_issued,
    issue,
    make_authority,
)

_MAX_FILE: Final = 64 * 1024  # bytes; ours have two thousand

logger = logging.getLogger(__name__)


@frozen
class DevCertificate:
    """Where the files of a certificate for development are."""

    authority: Path
    """The certificate of the authority: what clients are to trust. It is no secret."""
    certificate: Path
    """The certificate for ``localhost``, that of its issuer behind it, and its key; its mode is 0600."""


def ensure_dev_certificate(folder: Path, host: IPv4Address | IPv6Address | None, wall: float) -> DevCertificate:
    """Make what is missing, damaged or near its end, and leave what is good: clients go on trusting the same authority.

    The authority's key stands in one file with its certificates, and so does that of ``localhost``: each is replaced in one
    step, and no key is ever beside the certificate of another.

    :param folder: in a folder that only this user may write, and one process uses.
    :param host: one more address of loopback that the certificate is to be for.
    :param wall: the time, in seconds since the epoch.
    :raises PlatformUnavailable: the folder cannot be written or read.
    """
    paths = DevCertificate(folder / "ca.pem", folder / "localhost.pem")
    keyed = folder / "ca-key.pem"
    try:
        _make_private(folder)
        authority = _keep_authority(keyed, wall)
        if authority is None:
            authority = make_authority(wall)
            _replace(keyed, authority.pem)
        if _read(paths.authority) != authority.root_pem:
            _replace(paths.authority, authority.root_pem)
        if not _is_good(paths.certificate, authority, host, wall):
            _replace(paths.certificate, _whole(issue(authority.signing, host, wall), authority))
    except OSError as failure:
        words = f"the certificate for development in {folder} cannot be used: {failure.strerror or failure}"
        raise PlatformUnavailable(words) from failure
    return paths


def _keep_authority(path: Path, wall: float) -> DevAuthority | None:
    """Return the authority that is there, if it is good."""
    pem = _read(path)
    if pem is None:
        logger.info("a new authority for development is made in %s", path.parent)
        return None
    try:
        authority = DevAuthority.read(pem)
        authority.check(wall)
    except Unfit as why:
        logger.warning(
            "the authority for development in %s is replaced, and clients have to trust the new one: %s", path, why
        )
        return None
    return authority


def _is_good(path: Path, authority: DevAuthority, host: IPv4Address | IPv6Address | None, wall: float) -> bool:
    """Tell whether the certificate that is there can be used, and say so where it has to be replaced."""
    pem = _read(path)
    if pem is None:
        return False
    why: object = "it is not as it was written"
    try:
        issued = KeyedCertificate.read(pem)
        check_issued(issued, authority.signing, host, wall)
        if pem == _whole(issued, authority):
            return True
    except Unfit as unfit:
        why = unfit
    logger.info("the certificate for development in %s is replaced: %s", path, why)
    return False


def _whole(issued: KeyedCertificate, authority: DevAuthority) -> bytes:
    """Return what stands in the file of a certificate: its chain up to what clients trust, and its key."""
    return issued.certificate_pem + authority.signing.certificate_pem + issued.key_pem


def _make_private(folder: Path) -> None:
    """Make the folder, or close one that others may look into."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        folder.chmod(0o700)
    else:
        _give(folder)


def _read(path: Path) -> bytes | None:
    """Return what a file of ours holds, and close it for others; None where there is none."""
    if path.is_symlink() or not path.is_file():  # a pipe would be waited for
        return None
    path.chmod(0o600)
    with path.open("rb") as file:
        return file.read(_MAX_FILE)


def _replace(path: Path, content: bytes) -> None:
    """Write a file whole, for this user only; a crash leaves the one that was there."""
    beside = path.with_suffix(".new")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123  # a descriptor is no path
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    _give(beside)
    beside.replace(path)
    with suppress(OSError, AttributeError):  # where a folder cannot be opened, its system keeps the order by itself
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _give(path: Path) -> None:
    """Let what the superuser has made belong to who owns the folder around it, whose service reads it later."""
    if sys.platform != "win32" and os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
