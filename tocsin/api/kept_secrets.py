"""The client secrets that ``tocsin listen`` keeps in its state folder, so that what was pasted once stays good.

A service keeps the SHA-256 of a secret only. For an app that is no one's but this user's, on this machine, the secret itself is
kept beside it, in a file that its user alone may open. No other service keeps one.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tocsin.private_file import read_private, write_private
from tocsin.protocol.errors import InvalidArgument, StateUnavailable
from tocsin.protocol.json_text import parse_json_text

_NAME: Final = "secrets.json"
_MOST: Final = 64 * 1024  # bytes of the file


def kept_secrets(folder: Path) -> dict[str, str]:
    """Return the secrets that are kept in a state folder, by app; of what cannot be read there are none."""
    try:
        content = read_private(folder / _NAME, _MOST + 1)
        found = {} if content is None else parse_json_text(content, _NAME, _MOST)
    except (OSError, InvalidArgument):
        return {}
    if not isinstance(found, dict):
        return {}
    return {app: secret for app, secret in found.items() if isinstance(secret, str)}


def keep_secret(folder: Path, app: str, secret: str) -> None:
    """Keep the secret of an app in a state folder that the caller holds.

    :raises StateUnavailable: it could not be written.
    """
    kept = kept_secrets(folder)
    if kept.get(app) == secret:
        return
    content = json.dumps(kept | {app: secret}, indent=2).encode() + b"\n"
    if len(content) > _MOST:
        content = json.dumps({app: secret}).encode() + b"\n"
    try:
        write_private(folder / _NAME, content)
    except OSError as failure:
        raise StateUnavailable(f"{folder / _NAME} cannot be written: {failure.strerror or failure}") from failure
