"""The table of the settings in ``docs/operating.md``: ``python -m tests.service.settings_page``."""

from __future__ import annotations

from tocsin.service.operations.configuration import described, variable
from tocsin.service.operations.settings_reader import option


def table() -> str:
    """Render it."""
    lines = ["| option | environment | default | what it is |", "| --- | --- | --- | --- |"]
    for name, default, meaning in described():
        lines.append(f"| `{option(name)}` | `{variable(name)}` | {_show(default)} | {meaning} |")
    return "\n".join(lines)


def _show(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:,}" if isinstance(default, int) else str(default) if default else "none"


if __name__ == "__main__":
    print(table())  # noqa: T201 - it is to be pasted
