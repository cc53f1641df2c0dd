"""Where the settings of the push service come from, and what may not be chosen together."""

from __future__ import annotations

from typing import Final

from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.network.addresses import is_loopback
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.operations.settings_reader import OURS, SettingsReader

_OF_COMMANDS: Final = ("TOCSIN_ID", "TOCSIN_TYPE", "TOCSIN_TAG", "TOCSIN_GROUP", "TOCSIN_ATTEMPT")
_OF_SENDERS: Final = ("TOCSIN_CHANNEL", "TOCSIN_CLIENT_ID", "TOCSIN_CLIENT_SECRET", "TOCSIN_REMOTE_ID")

OTHERS: Final = ("TOCSIN_STATE", "TOCSIN_CONFIG", *_OF_SENDERS, *_OF_COMMANDS)
"""The variables of the command that are no settings; some a payload's own command has (``tocsin listen --exec``)."""

CALLING: Final = "TOCSIN_CALLING_"
"""What the variables of the calling service begin with, which has a reader of its own."""

_ANYWHERE: Final = ("0.0.0.0", "[::]")  # noqa: S104  # to refuse them

READER: Final = SettingsReader(ServiceSettings, OURS, OTHERS, (CALLING,))
"""Reads the settings of the push service."""

check_environment = READER.check_environment
load_settings = READER.load
described = READER.described
variable = READER.variable


def check_exposure(settings: ServiceSettings) -> None:
    """Refuse to speak to other machines without TLS, unless that is wanted.

    :raises InvalidArgument: it is not; the sentence says what to do.
    """
    check_dev_tls(settings)
    if not settings.tls_cert and not settings.insecure and not is_loopback(settings.host):
        raise InvalidArgument(
            f"others can reach {settings.host}, and would see tokens and channels: give --tls-cert and --tls-key,"
            " or --insecure if something in front of it speaks TLS"
        )


def check_engine_choice(settings: ServiceSettings) -> None:
    """Refuse an engine without the URL of the whole: each node would make channels that lead to it alone.

    :raises InvalidArgument: there is none; the sentence says what to do.
    """
    if settings.engine and not settings.public_url:
        raise InvalidArgument(
            "a service whose state is in a database may have several nodes, and one address: give --public-url, the URL by"
            " which senders and devices reach it"
        )


def check_link_choice(settings: ServiceSettings) -> None:
    """Refuse a link where there are no other nodes, or one to an address that leads the others nowhere.

    :raises InvalidArgument: it is of no use; the sentence says what to do.
    """
    if (settings.link or settings.link_address) and not settings.engine:
        raise InvalidArgument(
            "only nodes over one database have a link to each other, and the state folder has one node: give --engine as"
            " well, or no --link and no --link-address"
        )
    host, _, port = (settings.link_address or settings.link).rpartition(":")
    if host in _ANYWHERE or (settings.link_address and port == "0"):
        raise InvalidArgument(
            f"the other nodes cannot connect to {host}:{port}: give --link-address, with the host and port by which they reach"
            " this one"
        )


def check_dev_tls(settings: ServiceSettings) -> None:
    """Refuse a certificate for development where it is of no use.

    :raises InvalidArgument: there is another, or other machines are to be reached; the sentence says what to do.
    """
    if settings.dev_tls and (settings.tls_cert or settings.tls_key):
        raise InvalidArgument(
            "dev_tls makes a certificate, and tls_cert and tls_key name another: give --dev-tls for tests on this"
            " machine, or --tls-cert for what others reach"
        )
    if settings.dev_tls and not is_loopback(settings.host):
        raise InvalidArgument(
            f"the certificate of dev_tls is for this machine only, and others can reach {settings.host}: give --host"
            " 127.0.0.1, ::1 or localhost, or a certificate of its own by --tls-cert"
        )
