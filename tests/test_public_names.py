"""The public names: loaded when they are used, and the same for people and for type checkers."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import anyio
import pytest

import tocsin


@pytest.mark.parametrize("name", tocsin.__all__)
def test_a_public_name_is_there(name: str) -> None:
    """Each can be had, and is listed."""
    assert getattr(tocsin, name) is not None
    assert name in dir(tocsin)


def test_type_checkers_see_the_same_names() -> None:
    """What is imported for them alone is exactly what is public, from where it is loaded."""
    tree = ast.parse(Path(tocsin.__file__).read_text(encoding="utf-8"))
    (checked,) = [node for node in tree.body if isinstance(node, ast.If)]
    seen = {
        alias.name: node.module for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == tocsin._HOME_OF
    assert sorted(seen) == sorted(tocsin.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As of any module."""
    with pytest.raises(AttributeError, match="module 'tocsin' has no attribute 'nothing'"):
        _ = tocsin.nothing


async def test_importing_loads_nothing_else() -> None:
    """A program that does not push pays nothing for the event loop, the database and the wire."""
    heavy = "('anyio', 'asyncio', 'attr', 'sqlite3')"
    script = f"import sys, tocsin; print([each for each in {heavy} if each in sys.modules])"
    done = await anyio.run_process([sys.executable, "-c", script])
    assert done.stdout.strip() == b"[]"
