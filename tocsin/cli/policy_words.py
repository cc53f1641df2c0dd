"""How verbs write a setting of the group policy."""

from __future__ import annotations

from typing import Any

from tocsin.protocol.platform.effective_policy import value_words


def setting_words(row: dict[str, Any]) -> str:
    """Write the value of a setting, as a platform tells it, for a person."""
    value = row["value"]
    if isinstance(value, dict):
        return f"{value['begin']} to {value['end']}"
    if value is None:
        return "as the user has them" if row["setting"] == "quiet_hours" else "no limit"
    return value_words(value)
