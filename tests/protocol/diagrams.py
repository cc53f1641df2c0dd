"""Draws the state machines of the protocol from their tables: ``python -m tests.protocol.diagrams > docs/state-machines.md``."""

from __future__ import annotations

import pkgutil
import sys
from collections.abc import Iterator
from enum import Enum
from importlib import import_module
from types import ModuleType

import tocsin.protocol
from tests.protocol.tables import Table, reachable

HEAD = """\
# State machines

Each machine of `tocsin.protocol` is one table, and nothing else says what is legal. These diagrams are generated from the
tables by `python -m tests.protocol.diagrams`; a test holds them current. An arrow is labelled with its event and, behind
the slash, with the effects that it asks for; an event without an arrow is illegal in that phase and changes nothing.
"""


def machines() -> list[ModuleType]:
    """Find the modules of the protocol that have a table, by name."""
    names = sorted(found.name for found in pkgutil.walk_packages(tocsin.protocol.__path__, "tocsin.protocol."))
    return [module for module in map(import_module, names) if hasattr(module, "TABLE")]


def phases_of(table: Table) -> list[Enum]:
    """List the phases of a table in the order of their enumeration."""
    first, _ = next(iter(table))
    kind: type[Enum] = type(first)
    return list(kind)


def start_of(table: Table) -> Enum:
    """Find the start: the first phase from which the table leads to every other."""
    phases = phases_of(table)
    return next((phase for phase in phases if reachable(table, phase) == set(phases)), phases[0])


def ends_of(table: Table) -> list[Enum]:
    """List the phases in which nothing is legal any more."""
    return [phase for phase in phases_of(table) if all(before is not phase for before, _ in table)]


def diagram(table: Table) -> Iterator[str]:
    """Draw a table in mermaid, its rows in their order."""
    yield "stateDiagram-v2"
    yield f"    [*] --> {start_of(table).name}"
    for (before, event), (after, effects) in table.items():
        label = " / ".join(filter(None, [event.name, ", ".join(effect.name for effect in effects)]))
        yield f"    {before.name} --> {after.name}: {label}"
    for end in ends_of(table):
        yield f"    {end.name} --> [*]"


def section(module: ModuleType) -> str:
    """Write what is said of one machine."""
    claim = (module.__doc__ or "").partition("\n")[0]
    drawn = "\n".join(diagram(module.TABLE))
    return f"\n## {module.__name__.removeprefix('tocsin.protocol.')}\n\n{claim}\n\n```mermaid\n{drawn}\n```\n"


def document() -> str:
    """Write the whole document."""
    return HEAD + "".join(map(section, machines()))


if __name__ == "__main__":
    sys.stdout.write(document())
