"""``docs/architecture.md``: its rooms, floors and arrows are those of the imports, and all that it names exists."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

import tocsin.protocol.messages
from tests.architecture import MODULES, PAGE, ROOT, arrows, floors, generated, parted, tree_of

TEXT = PAGE.read_text(encoding="utf-8")
BEFORE, INSIDE, BEHIND = parted(TEXT)
BY_HAND = BEFORE + BEHIND
ROOMS = "|".join(sorted({name.split(".")[1] for name in MODULES if "." in name}))
NAMED = re.compile(rf"(?<![\w./])((?:{ROOMS})(?:\.[a-z_]+)*)(?::([\w.]+\w))?(?![\w/])")
TICKED = re.compile(r"`([^`\n]+)`")


def is_defined(tree: ast.Module | ast.ClassDef, name: str) -> bool:
    """Tell whether a module or class has a function, class or method of that name in it."""
    first, _, rest = name.partition(".")
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name == first:
            return not rest or is_defined(node, rest)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == first:
            return not rest
    return False


def missing(name: str) -> str:
    """Say what is wrong with a name in ticks; empty where nothing is."""
    if name[0].isupper():
        return "" if name in tocsin.protocol.messages.__all__ else f"{name} is no message"
    module, _, inside = name.partition(":")
    if f"tocsin.{module}" not in MODULES:
        return f"there is no module {module}"
    return "" if not inside or is_defined(tree_of(f"tocsin.{module}"), inside) else f"{module} has no {inside}"


def test_rooms_floors_and_arrows_are_those_of_the_imports() -> None:
    """A change of rooms or imports is written down by ``python -m tests.architecture``."""
    assert generated() == INSIDE


def test_every_contract_with_floors_is_on_the_page() -> None:
    """As many tables as pyproject.toml has contracts of layers, and each room has a line that says what it is."""
    for name, container, layers in floors():
        assert f"### {name}\n" in INSIDE
        for room in (room for rooms in layers for room in rooms):
            inside = f"{container}.{room}".removeprefix("tocsin.")
            assert re.search(rf"^\| \d+ \| `{inside}` \| \S.+ \| .* \|$", INSIDE, re.MULTILINE), inside
    assert len(list(floors())) >= 4


def test_every_room_has_floors() -> None:
    """A new package has a contract, and a new module has its place in one: else import-linter would not look at it."""
    packages = {name.rpartition(".")[0] for name in MODULES if "." in name}
    assert {container for _, container, _ in floors()} == packages
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    assert all(contract["exhaustive"] for contract in contracts if contract["type"] == "layers")


def test_arrows_go_down() -> None:
    """No room imports one of its own floor or of a higher one: what import-linter says, seen by another reader."""
    for _, container, layers in floors():
        drawn = arrows(container)
        assert any(drawn.values())
        for higher, lower in pairwise(layers):
            above = {room for rooms in layers[: layers.index(lower)] for room in rooms}
            for room in lower:
                assert not drawn.get(room, set()) & (above | set(lower)), (container, room, higher)


@pytest.mark.parametrize("name", sorted(set(TICKED.findall(BY_HAND)) - {"python -m tests.architecture"}))
def test_what_is_named_in_ticks_exists(name: str) -> None:
    """A module, a function or method in it behind a colon, or a message."""
    assert missing(name) == ""


def test_what_the_drawings_name_exists() -> None:
    """Each box and participant with a dotted name is a module, and they are many."""
    drawings = re.findall(r"```mermaid\n(.*?)```", BY_HAND, re.DOTALL)
    names = [match[0] for drawing in drawings for match in NAMED.finditer(drawing) if "." in match[0]]
    assert len(drawings) == 5
    assert len(names) > 20
    assert [missing(name) for name in names if missing(name)] == []


def test_a_wrong_name_is_noticed() -> None:
    """Of a module, of a function, of a method, of a message."""
    wrong = ("actors.intake", "tasks:together", "mailbox:Mailbox.put", "Inlet")
    assert [missing(name) for name in wrong] == [
        "there is no module actors.intake",
        "tasks has no together",
        "mailbox has no Mailbox.put",
        "Inlet is no message",
    ]


def test_the_command_writes_that_part_and_leaves_the_rest(tmp_path: Path) -> None:
    """What is written by hand, before and behind it, stays; what the imports know is as it should be."""
    for name in ("tests", "tocsin", "docs"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    page = tmp_path / "docs" / "architecture.md"
    page.write_text(
        TEXT.replace(
            INSIDE, "".join((INSIDE.splitlines(keepends=True)[0], "old\n", INSIDE.splitlines(keepends=True)[-1]))
        )
    )
    subprocess.run([sys.executable, "-m", "tests.architecture"], cwd=tmp_path, check=True)
    assert page.read_text(encoding="utf-8") == TEXT
