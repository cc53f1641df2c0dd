"""The name of a hub: the first piece of the path of every request to it."""

from __future__ import annotations

import re
from typing import Final

from tocsin.protocol.arguments import check_kind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.text import quoted

MAX_HUB_NAME: Final = 260
"""Characters of a hub's name at most, as Notification Hubs has it."""

_NAME: Final = re.compile("[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")


def check_hub_name(name: str) -> None:
    """Refuse what no hub can have for a name.

    :raises InvalidArgument: it is no such text.
    """
    check_kind(name, "a hub's name", str)
    if len(name) > MAX_HUB_NAME or not _NAME.fullmatch(name):
        raise InvalidArgument(
            f"a hub's name has 1 to {MAX_HUB_NAME} letters, digits, dots, dashes and underscores, and begins and ends with"
            f" a letter or digit, unlike {quoted(name)}"
        )
