"""The cryptography of Web Push: signatures of senders (RFC 8292), and messages that only their device can read (RFC 8291)."""

from tocsin.protocol.errors import NotSupported

try:
    import cryptography  # noqa: F401  # here, so that all that is in this package says the same where it is not there
    import jwt  # noqa: F401  # as above
except ModuleNotFoundError as missing:
    raise NotSupported(f"Web Push needs the package {missing.name}: pip install 'tocsin[webpush]'") from missing
