"""An app's badge and tiles: what they show until they are set anew (``BadgeUpdater`` and ``TileUpdater`` of Windows)."""

from __future__ import annotations

from datetime import UTC, datetime

from attrs import frozen

from tocsin.api.session import Session
from tocsin.api.toast_notifier import check_label, xml_of
from tocsin.protocol import messages as m
from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted
from tocsin.protocol.toasts.notifier import HasXml
from tocsin.protocol.toasts.tile_content import GLYPHS, read_badge

MAX_BADGE = 2**31 - 1
"""The greatest number of a badge; what shows it writes 99+ for more than 99."""


@frozen
class KeptTile:
    """What a tile shows."""

    tile: str
    """Its name; empty for the app's own tile."""
    tag: str
    """Names the notification, as ``X-WNS-Tag`` of a push does."""
    content: str
    """Its XML."""
    expires: datetime | None
    """When it will be cleared, in UTC; None where it is kept until it is set anew."""


class Tiles:
    """The tiles of one app; ``tiles`` of its manager. What each method asks for is done when it returns."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def update(self, content: HasXml | str | bytes, tile: str = "", tag: str = "") -> None:
        """Have a tile show content: XML of at most 5,120 characters, or what can say itself in XML.

        Where the user has switched tiles off, nothing is set, which is no error.

        :param tile: names a secondary tile; by default it is the app's own; up to 64 printable characters.
        :param tag: names the notification; up to 64 printable characters.
        :raises InvalidArgument: an argument cannot be right, or the content is no tile (E_INVALIDARG).
        :raises NotShown: group policy forbids tiles (WPN_E_NOTIFICATION_TYPE_DISABLED).
        :raises NotSupported: the platform shows nothing.
        """
        number = self._session.questions.number()
        question = m.SetTile(number, check_label(tile, "a tile"), check_label(tag, "a tag"), xml_of(content))
        await self._session.questions.ask(question, number)

    async def clear(self, tile: str = "") -> None:
        """Have a tile show nothing; that it shows nothing already is no error.

        :raises InvalidArgument: the name cannot be one.
        :raises NotSupported: the platform shows nothing.
        """
        number = self._session.questions.number()
        await self._session.questions.ask(m.SetTile(number, check_label(tile, "a tile"), "", b""), number)

    async def get(self) -> list[KeptTile]:
        """Return what the app's tiles show, by pushes or by the app, the newest first; those that show nothing are left out.

        :raises NotSupported: the platform shows nothing.
        """
        answer = await _ask(self._session)
        return [_kept(m.TileRow(*row)) for row in answer.rows]


class Badge:
    """The badge of one app; ``badge`` of its manager. What each method asks for is done when it returns.

    Example::

        await manager.badge.set(3)
        print(await manager.badge.get())
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    async def set(self, value: int | str) -> None:
        """Have the badge show a number, where 0 clears it, or a glyph, such as ``newMessage``.

        Where the user has switched badges off, nothing is set, which is no error.

        :raises InvalidArgument: it is neither a number from 0 up nor the name of a glyph (E_INVALIDARG).
        :raises NotShown: group policy forbids badges (WPN_E_NOTIFICATION_TYPE_DISABLED).
        :raises NotSupported: the platform shows nothing.
        """
        check_kind(value, "the value of a badge", int, str)
        if not (0 <= value <= MAX_BADGE if isinstance(value, int) else value in GLYPHS):
            raise InvalidArgument(
                f"the value of a badge is from 0 to {MAX_BADGE} or one of {', '.join(GLYPHS)}, not {quoted(value)}"
            )
        await self._set(f'<badge value="{value}"/>'.encode())

    async def clear(self) -> None:
        """Have the badge show nothing; that it shows nothing already is no error.

        :raises NotSupported: the platform shows nothing.
        """
        await self._set(b"")

    async def get(self) -> int | str | None:
        """Return the number or the glyph of the badge, set by a push or by the app; None where it shows nothing.

        :raises NotSupported: the platform shows nothing.
        """
        badge = (await _ask(self._session)).badge
        if not badge:
            return None
        content = read_badge(badge)
        return content.glyph if content.number is None else content.number

    async def _set(self, content: bytes) -> None:
        number = self._session.questions.number()
        await self._session.questions.ask(m.SetBadge(number, content), number)


async def _ask(session: Session) -> m.TileList:
    number = session.questions.number()
    return await session.questions.ask_for(m.TileList, m.AskTiles(number), number)


def _kept(row: m.TileRow) -> KeptTile:
    expires = None if row.expires is None else datetime.fromtimestamp(row.expires, UTC)
    return KeptTile(row.tile, row.tag, row.content.decode(errors="replace"), expires)
