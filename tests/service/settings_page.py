"""The tables of settings in the documentation: ``python -m tests.service.settings_page``, with ``calling`` of the calling service."""

from __future__ import annotations

import sys
from typing import Any

from tocsin.calling_service.calling_settings import READER as CALLING
from tocsin.service.operations.configuration import READER
from tocsin.service.operations.settings_reader import SettingsReader, option


def table(reader: SettingsReader[Any] = READER) -> str:
    """Render it; a setting that may not be given on the command line has no option."""
    options = {name for name, _, _ in reader.described(options=True)}
    lines = ["| option | environment | default | what it is |", "| --- | --- | --- | --- |"]
    for name, default, meaning in reader.described():
        shown = f"`{option(name)}`" if name in options else "none"
        lines.append(f"| {shown} | `{reader.variable(name)}` | {_show(default)} | {meaning} |")
    return "\n".join(lines)


def _show(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:,}" if isinstance(default, int) else str(default) if default else "none"


if __name__ == "__main__":
    print(table(CALLING if sys.argv[1:] == ["calling"] else READER))  # noqa: T201 - it is to be pasted
