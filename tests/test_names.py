"""One word for one thing: what has the same name in two places says why."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

import tocsin
from tocsin.protocol.kernel import machine

PACKAGE = Path(tocsin.__file__).parent
OF_EACH_MACHINE = {"Phase", "Event", "Effect"}


@pytest.fixture(scope="module")
def sources() -> dict[Path, ast.Module]:
    """Parse all modules; not when tests are collected, which takes seconds."""
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}


def dotted(path: Path) -> str:
    """Name a module as it is imported."""
    return ".".join(("tocsin", *path.relative_to(PACKAGE).with_suffix("").parts))


def test_modules_of_one_name_name_each_other(sources: dict[Path, ast.Module]) -> None:
    """Such as a table and its driver; else one of them needs a better name."""
    alike = defaultdict[str, list[Path]](list)
    for path in sources:
        if not path.stem.startswith("__"):
            alike[path.stem].append(path)
    assert len(alike) > 100
    for paths in alike.values():
        for path in paths:
            said = ast.get_docstring(sources[path]) or ""
            assert all(dotted(other) in said for other in paths if other != path), f"why is {path} not named otherwise?"


def test_classes_have_names_of_their_own(sources: dict[Path, ast.Module]) -> None:
    """Only each state machine has its ``Phase``, ``Event`` and ``Effect``, as the module that runs them all says."""
    alike = defaultdict[str, list[str]](list)
    for path, tree in sources.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                alike[node.name].append(dotted(path))
    assert all(f"``{name}``" in (machine.__doc__ or "") for name in OF_EACH_MACHINE)
    tables = {dotted(path) for path, tree in sources.items() if any(_assigns_table(node) for node in tree.body)}
    for name in OF_EACH_MACHINE:
        assert set(alike.pop(name)) == tables, f"{name} is a word of the state machines"
    assert {name: places for name, places in alike.items() if len(places) > 1} == {}


def _assigns_table(node: ast.stmt) -> bool:
    targets = [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == "TABLE" for target in targets)
