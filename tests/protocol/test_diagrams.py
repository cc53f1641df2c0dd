"""The diagrams in the docs: drawn from the tables, of every machine, and current."""

from __future__ import annotations

import re
import subprocess
import sys
from enum import Enum, auto
from pathlib import Path
from types import ModuleType

import pytest

import tocsin.protocol
from tests.protocol.diagrams import diagram, document, ends_of, machines, phases_of, start_of
from tests.protocol.tables import Table

ROOT = Path(__file__).parents[2]
COMMITTED = ROOT / "docs" / "state-machines.md"
TITLED = {module.__name__.removeprefix("tocsin.protocol."): module for module in machines()}
ARROW = re.compile(r"^    (\w+) --> (\w+): (\w+)(?: / ([\w, ]+))?$", re.MULTILINE)

each_machine = pytest.mark.parametrize("module", TITLED.values(), ids=list(TITLED))


class Phase(Enum):
    """A ring of two with a way out, behind a phase to which nothing leads back."""

    OVER = auto()
    ON = auto()
    FIRST = auto()
    OFF = auto()


class Event(Enum):
    """What happens."""

    GO = auto()
    STOP = auto()


class Effect(Enum):
    """What is asked for."""

    CLICK = auto()
    SHINE = auto()


SMALL: Table = {
    (Phase.FIRST, Event.GO): (Phase.ON, (Effect.CLICK, Effect.SHINE)),
    (Phase.ON, Event.GO): (Phase.OFF, ()),
    (Phase.OFF, Event.GO): (Phase.ON, (Effect.SHINE,)),
    (Phase.OFF, Event.STOP): (Phase.OVER, ()),
}


def block(title: str) -> str:
    """Return what the committed document draws under a heading."""
    found = re.search(
        rf"^## {title}\n\n[^\n]+\n\n```mermaid\n(.*?)```$",
        COMMITTED.read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    assert found is not None
    return found[1]


class TestDocument:
    """``docs/state-machines.md``."""

    def test_it_is_what_the_generator_writes(self) -> None:
        """After a change of a table run ``python -m tests.protocol.diagrams > docs/state-machines.md``."""
        assert COMMITTED.read_text(encoding="utf-8") == document()

    def test_the_command_prints_it(self) -> None:
        """The command that the document names writes just that, whatever the order of hashes."""
        printed = subprocess.run(
            [sys.executable, "-m", "tests.protocol.diagrams"], cwd=ROOT, capture_output=True, check=True, text=True
        )
        assert printed.stdout == document()

    def test_every_table_is_in_it(self) -> None:
        """A module whose source defines a TABLE has its heading, in the order of names."""
        folder = Path(tocsin.protocol.__path__[0])
        sources = {
            source
            for source in folder.rglob("*.py")
            if re.search(r"^TABLE\b", source.read_text(encoding="utf-8"), re.MULTILINE)
        }
        modules = sorted(".".join(source.relative_to(folder).with_suffix("").parts) for source in sources)
        assert re.findall(r"^## (.+)$", COMMITTED.read_text(encoding="utf-8"), re.MULTILINE) == modules
        assert len(modules) >= 7

    @each_machine
    def test_it_draws_every_row_and_no_other(self, module: ModuleType) -> None:
        """What the picture allows is what the table allows, with its effects."""
        rows = {
            (before.name, after.name, event.name, ", ".join(effect.name for effect in effects))
            for (before, event), (after, effects) in module.TABLE.items()
        }
        drawn = ARROW.findall(block(module.__name__.removeprefix("tocsin.protocol.")))
        assert set(drawn) == rows
        assert len(drawn) == len(rows)

    @each_machine
    def test_it_begins_with_the_first_phase(self, module: ModuleType) -> None:
        """Every machine of ours lists its start first, and the picture has one start."""
        starts = re.findall(
            r"^    \[\*\] --> (\w+)$", block(module.__name__.removeprefix("tocsin.protocol.")), re.MULTILINE
        )
        assert starts == [phases_of(module.TABLE)[0].name]


class TestDiagram:
    """A small table, drawn."""

    def test_a_table_is_drawn_row_by_row(self) -> None:
        """Start, rows in their order with the effects behind a slash, ends."""
        assert list(diagram(SMALL)) == [
            "stateDiagram-v2",
            "    [*] --> FIRST",
            "    FIRST --> ON: GO / CLICK, SHINE",
            "    ON --> OFF: GO",
            "    OFF --> ON: GO / SHINE",
            "    OFF --> OVER: STOP",
            "    OVER --> [*]",
        ]

    def test_the_table_says_where_it_begins_and_ends(self) -> None:
        """A first member that leads nowhere is no start; a phase without a row is an end."""
        assert start_of(SMALL) is Phase.FIRST
        assert ends_of(SMALL) == [Phase.OVER]

    def test_without_a_start_that_leads_everywhere_the_first_phase_is_it(self) -> None:
        """A table that is not whole is drawn all the same."""
        assert start_of({(Phase.ON, Event.GO): (Phase.OFF, ())}) is Phase.OVER
