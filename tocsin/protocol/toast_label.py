"""The label of a payload, which is what its sender says of a toast or tile beside its content; and the choice of toasts by it."""

from __future__ import annotations

import re
from typing import Final, NewType

from attrs import frozen

LabelText = NewType("LabelText", str)
"""A label as it travels, such as ``tag/group!``; empty for a payload without one, as most are."""

NO_LABEL: Final = LabelText("")

MAX_NAME: Final = 16
"""Characters of a tag or group at most."""

_NAME: Final = f"[A-Za-z0-9]{{1,{MAX_NAME}}}"
_LABEL: Final = re.compile(f"({_NAME})?(?:/({_NAME}))?(!)?")


def is_name(text: str) -> bool:
    """Tell whether a text can be a tag or a group."""
    return re.fullmatch(_NAME, text) is not None


def is_label(text: str) -> bool:
    """Tell whether a text is a label."""
    return _LABEL.fullmatch(text) is not None


@frozen
class ToastLabel:
    """Tag and group, by which a later one replaces or removes it, each empty where there is none; and whether it pops up.

    Source: "Push notification service request and response headers", ``X-WNS-Tag``, ``X-WNS-Group``, ``X-WNS-SuppressPopup``.
    """

    tag: str = ""
    group: str = ""
    suppress_popup: bool = False

    @property
    def text(self) -> LabelText:
        """The label as it travels: each has one text only."""
        group = f"/{self.group}" if self.group else ""
        return LabelText(f"{self.tag}{group}{'!' if self.suppress_popup else ''}")

    @classmethod
    def read(cls, text: str) -> ToastLabel:
        """Read a label.

        :raises ValueError: the text is none.
        """
        found = _LABEL.fullmatch(text)
        if found is None:
            shown = ascii(text[:64])
            raise ValueError(f"a label is a tag, '/' and a group, '!', each of them or none, not {shown}")
        return cls(found[1] or "", found[2] or "", found[3] is not None)


@frozen
class ToastMatch:
    """Which toasts a sender deletes: those of this tag and this group, None for any (``X-WNS-Match``)."""

    tag: str | None = None
    group: str | None = None

    def fits(self, tag: str, group: str) -> bool:
        """Tell whether a toast with this tag and group, each empty where it has none, is one of them."""
        return self.tag in {None, tag} and self.group in {None, group}
