"""The HRESULT codes of the push platform, by the names that Windows gives them.

Sources: MicrosoftDocs/win32 ``com-error-codes-9`` (facility 0x3E), ``winerror.h`` (``SEC_E_``, ``CERT_E_`` and the rest),
and the retry table of ``PushNotificationManager.cpp`` (the ``WNP_E_`` codes).
"""

from __future__ import annotations

from enum import IntEnum


class HResult(IntEnum):
    """A result code of the push platform as an unsigned 32-bit number; success is 0."""

    S_OK = 0x00000000
    E_PENDING = 0x8000000A
    E_ILLEGAL_METHOD_CALL = 0x8000000E
    E_NOTIMPL = 0x80004001
    E_FAIL = 0x80004005
    E_UNEXPECTED = 0x8000FFFF
    E_ACCESSDENIED = 0x80070005
    E_INVALIDARG = 0x80070057
    ERROR_NOT_SUPPORTED = 0x80070032
    ERROR_OPERATION_IN_PROGRESS = 0x80070149
    ERROR_NOT_FOUND = 0x80070490
    ERROR_NO_NETWORK = 0x800704C6
    ERROR_CANCELLED = 0x800704C7
    ERROR_ALREADY_REGISTERED = 0x800704DA
    ERROR_TIMEOUT = 0x800705B4
    RPC_S_SERVER_UNAVAILABLE = 0x800706BA
    ERROR_INVALID_STATE = 0x8007139F
    SEC_E_ILLEGAL_MESSAGE = 0x80090326
    CERT_E_UNTRUSTEDROOT = 0x800B0109
    CERT_E_CN_NO_MATCH = 0x800B010F
    WNP_E_NOT_CONNECTED = 0x880403E8
    WNP_E_RECONNECTING = 0x880403E9
    WNP_E_BIND_USER_BUSY = 0x880403FE
    WPN_E_CHANNEL_CLOSED = 0x803E0100
    WPN_E_INVALID_APP = 0x803E0102
    WPN_E_OUTSTANDING_CHANNEL_REQUEST = 0x803E0103
    WPN_E_PLATFORM_UNAVAILABLE = 0x803E0105
    WPN_E_CLOUD_DISABLED = 0x803E0109
    WPN_E_NOTIFICATION_DISABLED = 0x803E0111
    WPN_E_NOTIFICATION_TYPE_DISABLED = 0x803E0114
    WPN_E_DUPLICATE_REGISTRATION = 0x803E0118

    def __str__(self) -> str:
        return f"{self.name} (0x{self.value:08X})"


def named(code: int) -> int:
    """Return a result code as one that shows its name, where it has one."""
    try:
        return HResult(code)
    except ValueError:
        return code


def describe(code: int) -> str:
    """Name a result code as people search for it; a code without a name stays a hexadecimal number."""
    try:
        return str(HResult(code))
    except ValueError:
        return f"0x{code:08X}"
