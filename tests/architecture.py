"""Writes the part of docs/architecture.md that the imports know, in its place: ``python -m tests.architecture``."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = ROOT / "tocsin"

BEGIN = "<!-- from here on written by python -m tests.architecture -->\n"
END = "<!-- up to here -->\n"


def name_of(source: Path) -> str:
    """Name a module or package as it is imported."""
    parts = source.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(source): source for source in sorted(PACKAGE.rglob("*.py"))}


@cache
def tree_of(module: str) -> ast.Module:
    """Parse a module; not all of them already when tests are collected, which takes seconds."""
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


@cache
def imports_of(module: str) -> set[str]:
    """Find the modules of ours that a module imports, wherever in it."""
    found = set[str]()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            whole = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else node.module for name in whole}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & MODULES.keys()


def room_of(module: str, container: str) -> str | None:
    """Return in which room of a container a module is; None where it is in none."""
    inside = module.removeprefix(f"{container}.")
    return inside.partition(".")[0] if inside != module else None


def arrows(container: str) -> dict[str, set[str]]:
    """Return which other rooms of a container each of its rooms imports."""
    found: dict[str, set[str]] = {}
    for module in MODULES:
        room = room_of(module, container)
        if room is not None:
            targets = {room_of(imported, container) for imported in imports_of(module)} - {None, room}
            found.setdefault(room, set()).update(target for target in targets if target is not None)
    return found


def floors() -> Iterator[tuple[str, str, list[list[str]]]]:
    """List the import contracts that build floors: name, container, and the rooms of each floor, the highest first."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for contract in settings["tool"]["importlinter"]["contracts"]:
        if contract["type"] == "layers":
            (container,) = contract["containers"]
            yield contract["name"], container, [layer.split(" | ") for layer in contract["layers"]]


def section(name: str, container: str, layers: list[list[str]]) -> str:
    """Write what is said of one container."""
    imported = arrows(container)
    lines = [f"### {name}", "", "| floor | room | what it is | imports |", "| --- | --- | --- | --- |"]
    for floor, rooms in zip(range(len(layers), 0, -1), layers, strict=True):
        for room in rooms:
            said = (ast.get_docstring(tree_of(f"{container}.{room}")) or "").partition("\n")[0].replace("``", "`")
            others = ", ".join(sorted(imported.get(room, set())))
            lines.append(f"| {floor} | `{container.removeprefix('tocsin.')}.{room}` | {said} | {others} |")
    return "\n".join(lines).replace("| `tocsin.", "| `") + "\n"


def generated() -> str:
    """Write the part of the page that the imports know."""
    return BEGIN + "\n" + "\n".join(section(*each) for each in floors()) + "\n" + END


def parted(page: str) -> tuple[str, str, str]:
    """Return what is written by hand before the generated part, that part, and what is written behind it."""
    before, begin, rest = page.partition(BEGIN)
    inside, end, behind = rest.partition(END)
    return before, begin + inside + end, behind


if __name__ == "__main__":
    written, _, behind_it = parted(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(written + generated() + behind_it, encoding="utf-8")
