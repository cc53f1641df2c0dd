"""Why a call has ended: each pair of code and subcode with its category, what it means, and what the bell does.

Source: the table of call end codes of Azure Communication Services, "Troubleshooting call end response codes", and that of its
web SDK 2.0.0. A code is one of SIP's, or 0 for a plain end.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum, unique
from typing import Final

from attrs import frozen


@unique
class EndCategory(StrEnum):
    """What kind of end it is, by the words of Azure Communication Services."""

    SUCCESS = "Success"
    EXPECTED_ERROR = "ExpectedError"
    """What may happen at any time, such as a callee who is not there."""
    UNEXPECTED_CLIENT_ERROR = "UnexpectedClientError"
    UNEXPECTED_SERVER_ERROR = "UnexpectedServerError"


@unique
class Bell(StrEnum):
    """What becomes of a bell that still rings when the call ends: the call was neither accepted nor declined on this device."""

    SILENT = "silent"
    """It stops without a word: the user has answered, declined, or has been in the call, or is spared it."""
    MISSED = "missed"
    """It stops, and the user is told of a missed call."""


@frozen
class CallEndReason:
    """A reason; ``meaning`` is a sentence for people."""

    code: int
    subcode: int
    category: EndCategory
    meaning: str
    bell: Bell

    def __str__(self) -> str:
        return f"{self.code}/{self.subcode}: {self.meaning}"


HUNG_UP: Final = CallEndReason(0, 0, EndCategory.SUCCESS, "A participant hung up.", Bell.SILENT)
CANCELLED: Final = CallEndReason(
    487, 0, EndCategory.SUCCESS, "The caller hung up before the call was answered.", Bell.MISSED
)
DECLINED: Final = CallEndReason(603, 0, EndCategory.SUCCESS, "The callee declined.", Bell.SILENT)
ANSWERED_ELSEWHERE: Final = CallEndReason(
    487, 10003, EndCategory.SUCCESS, "The user has accepted the call on another device.", Bell.SILENT
)
NOT_ANSWERED: Final = CallEndReason(
    487, 10004, EndCategory.EXPECTED_ERROR, "The callee did not answer in time.", Bell.MISSED
)
NO_ENDPOINT: Final = CallEndReason(
    480, 10037, EndCategory.EXPECTED_ERROR, "The callee has no device that could ring.", Bell.MISSED
)
NOT_ONLINE: Final = CallEndReason(
    480,
    10077,
    EndCategory.EXPECTED_ERROR,
    "The callee's devices are registered, for pushes too, but none is online.",
    Bell.MISSED,
)
SETUP_FAILED: Final = CallEndReason(
    408,
    10057,
    EndCategory.EXPECTED_ERROR,
    "The callee's device did not finish setting up the call: it lost the network, or its app was ended.",
    Bell.MISSED,
)
APP_CLOSED: Final = CallEndReason(
    0, 4521, EndCategory.EXPECTED_ERROR, "The app of a participant was closed without hanging up.", Bell.SILENT
)
REMOVED: Final = CallEndReason(
    0, 5300, EndCategory.SUCCESS, "A participant, or the service, removed this user from the call.", Bell.SILENT
)
TOKEN_INVALID: Final = CallEndReason(
    495,
    4507,
    EndCategory.UNEXPECTED_CLIENT_ERROR,
    "The app has no valid token: see that it refreshes its token before that expires.",
    Bell.MISSED,
)

_FINE, _EXPECTED, _CLIENT = EndCategory.SUCCESS, EndCategory.EXPECTED_ERROR, EndCategory.UNEXPECTED_CLIENT_ERROR
_SILENT, _MISSED = Bell.SILENT, Bell.MISSED

_ALL: Final = (
    HUNG_UP,
    CANCELLED,
    DECLINED,
    ANSWERED_ELSEWHERE,
    NOT_ANSWERED,
    NO_ENDPOINT,
    NOT_ONLINE,
    SETUP_FAILED,
    APP_CLOSED,
    REMOVED,
    TOKEN_INVALID,
    CallEndReason(487, 540487, _FINE, "The caller at a phone hung up before the call was answered.", _MISSED),
    CallEndReason(487, 10024, _FINE, "The callee declined on every device.", _SILENT),
    CallEndReason(0, 5003, _FINE, "The callee declined on every device, and the call is over.", _SILENT),
    CallEndReason(480, 10076, _EXPECTED, "The callee's devices are registered, but none is online.", _MISSED),
    CallEndReason(480, 10078, _EXPECTED, "The other device is not registered, or cannot be reached.", _MISSED),
    CallEndReason(408, 4506, _CLIENT, "The call timed out: see whether the callee got and accepted it.", _MISSED),
    CallEndReason(408, 10056, _CLIENT, "The device that starts or joins the call did not respond in time.", _MISSED),
    # The page has UnexpectedClientError for it, the web SDK ExpectedError: a token expires sooner or later.
    CallEndReason(401, 10009, _EXPECTED, "The user is not signed in: the token is wrong or has expired.", _MISSED),
    CallEndReason(401, 71005, _EXPECTED, "The service has found a mistake in what the app asked for.", _MISSED),
    CallEndReason(496, 7, _EXPECTED, "This device lost the network, and found no way back into the call.", _MISSED),
    CallEndReason(490, 4502, _CLIENT, "A request failed because of the network.", _MISSED),
    CallEndReason(
        410, 3100, _CLIENT, "The call could not be set up: this device has trouble with the network.", _MISSED
    ),
    CallEndReason(410, 3101, _CLIENT, "The call was dropped: this device has trouble with the network.", _SILENT),
    CallEndReason(410, 3111, _CLIENT, "The call could not be set up: the media that it offers make no sense.", _MISSED),
    CallEndReason(410, 3112, _EXPECTED, "The call could not be set up: the network does not let it through.", _MISSED),
    CallEndReason(410, 301004, _CLIENT, "No sound or picture got through when the call was set up.", _MISSED),
    CallEndReason(410, 301005, _CLIENT, "Sound and picture got through no longer.", _SILENT),
    CallEndReason(0, 4097, _FINE, "The organiser ended the call for all participants.", _MISSED),
    CallEndReason(0, 5000, _FINE, "Another participant removed this user from the call.", _SILENT),
    CallEndReason(0, 5317, _EXPECTED, "This user was removed from the call because of another role.", _SILENT),
    CallEndReason(0, 7000, _FINE, "A program, such as Call Automation or a bot, ended the call.", _MISSED),
    CallEndReason(403, 5828, _CLIENT, "The user is not invited to the room.", _SILENT),
    CallEndReason(403, 5829, _CLIENT, "The room is not open yet, or no longer.", _SILENT),
    CallEndReason(403, 5830, _EXPECTED, "Only users of Communication Services may join the room.", _SILENT),
    CallEndReason(403, 510403, _EXPECTED, "The call was taken for spam, and is blocked.", _SILENT),
    CallEndReason(0, 540000, _FINE, "The participant at a phone hung up.", _MISSED),
    CallEndReason(0, 560000, _FINE, "The participant at a phone, or its network, ended the call.", _MISSED),
    CallEndReason(486, 560486, _FINE, "The phone that was called is busy.", _SILENT),
)

END_REASONS: Final[Mapping[tuple[int, int], CallEndReason]] = {(each.code, each.subcode): each for each in _ALL}
"""The pairs that are known, by code and subcode."""

_LOCAL_NETWORK: Final = (_CLIENT, "This device has trouble with its network.", _MISSED)
_SERVICE_ERROR: Final = (EndCategory.UNEXPECTED_SERVER_ERROR, "The calling service has failed.", _MISSED)

_BY_CODE: Final[Mapping[int, tuple[EndCategory, str, Bell]]] = {
    0: (_FINE, "The call has ended.", _SILENT),
    403: (_EXPECTED, "The call is not allowed.", _SILENT),
    404: (_CLIENT, "There is no such call, or no such number.", _MISSED),
    408: (_EXPECTED, "The service waited too long for a device of a participant.", _MISSED),
    410: (_CLIENT, "Sound and picture have failed, on this device or on the way.", _MISSED),
    430: (_CLIENT, "The app of a participant could not be reached.", _MISSED),
    480: (_EXPECTED, "The other device is not registered.", _MISSED),
    481: (_CLIENT, "The incoming call could not be handled.", _MISSED),
    486: (_EXPECTED, "The callee is busy.", _SILENT),
    487: (_EXPECTED, "The call was ended before it was answered.", _MISSED),
    490: _LOCAL_NETWORK,
    491: _LOCAL_NETWORK,
    496: _LOCAL_NETWORK,
    497: _LOCAL_NETWORK,
    498: _LOCAL_NETWORK,
    500: _SERVICE_ERROR,
    503: _SERVICE_ERROR,
    504: _SERVICE_ERROR,
    603: (_FINE, "The callee declined.", _SILENT),
}
"""What a code means alone, or with a subcode that is not known."""

_BY_CLASS: Final[Mapping[int, tuple[EndCategory, str, Bell]]] = {
    2: (_FINE, "The call has ended.", _SILENT),
    4: (_CLIENT, "The call has failed at a device of a participant.", _MISSED),
    5: _SERVICE_ERROR,
    6: (_EXPECTED, "The callee does not take the call on any device.", _SILENT),
}
"""The same by the first of a code's three digits."""

_UNKNOWN: Final = (
    EndCategory.UNEXPECTED_SERVER_ERROR,
    "The call has ended for a reason that is not known here.",
    _MISSED,
)


def end_reason(code: int, subcode: int) -> CallEndReason:
    """Return the reason that a code and a subcode stand for; of a pair that is not known, what its code says, or its class."""
    known = END_REASONS.get((code, subcode))
    if known is not None:
        return known
    return CallEndReason(code, subcode, *(_BY_CODE.get(code) or _BY_CLASS.get(code // 100) or _UNKNOWN))
