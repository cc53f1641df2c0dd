"""Who is called and who calls, by raw ids such as ``8:acs:contoso_ann``."""

from __future__ import annotations

import re
from enum import StrEnum, unique
from typing import Final

from attrs import frozen

from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted

MAX_RAW_ID: Final = 256
"""Characters of a raw id at most."""


@unique
class IdentifierKind(StrEnum):
    """What a raw id stands for, by the words of Azure Communication Services."""

    COMMUNICATION_USER = "communicationUser"
    """``8:acs:<resource>_<user>``"""
    MICROSOFT_TEAMS_USER = "microsoftTeamsUser"
    """``8:orgid:<guid>``"""
    PHONE_NUMBER = "phoneNumber"
    """``4:+<number>``, the number with its country and without blanks."""
    UNKNOWN = "unknown"
    """Any other, such as that of a bot."""


_FORMS: Final = {
    IdentifierKind.COMMUNICATION_USER: re.compile(r"8:acs:[^_]+_.+"),
    IdentifierKind.MICROSOFT_TEAMS_USER: re.compile(r"8:orgid:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    IdentifierKind.PHONE_NUMBER: re.compile(r"4:\+[1-9][0-9]{1,14}"),
}


@frozen
class CommunicationIdentifier:
    """A user, a phone number or a bot. Two are the same where their raw ids are, character by character."""

    raw_id: str
    kind: IdentifierKind

    def __str__(self) -> str:
        return self.raw_id


def read_raw_id(text: str, what: str = "a raw id") -> CommunicationIdentifier:
    """Read a raw id: 1 to ``MAX_RAW_ID`` printable characters without a blank.

    :param what: what the sentence calls it.
    :raises InvalidArgument: it is none.
    """
    check_kind(text, what, str)
    if not 1 <= len(text) <= MAX_RAW_ID or not text.isprintable() or " " in text:
        raise InvalidArgument(
            f"{what} is such as 8:acs:contoso_ann, 1 to {MAX_RAW_ID} printable characters without a blank, not {quoted(text)}"
        )
    kind = next((kind for kind, form in _FORMS.items() if form.fullmatch(text)), IdentifierKind.UNKNOWN)
    return CommunicationIdentifier(text, kind)
