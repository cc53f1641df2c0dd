"""How verbs call what apps have registered."""

from __future__ import annotations

from contextlib import suppress

from tocsin.protocol.platform.activation import Activators, SystemConditionType


def activator_name(number: int) -> str:
    """Return the name of an activator; of one that is not known, its number."""
    return Activators(number).name or str(number)


def condition_name(number: int) -> str:
    """Return the name of a condition; of one that is not known, its number."""
    with suppress(ValueError):
        return SystemConditionType(number).name
    return str(number)
