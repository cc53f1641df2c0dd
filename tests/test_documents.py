"""The documents: what they link to and what they name is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("bench/results/*.md"), *ROOT.glob("packaging/**/*.md")]
)

PICTURES = ROOT / "docs" / "pictures"

_LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)")
_NAMED = re.compile(r"`((?:tocsin|tests|bench|docs|examples|packaging|findings)/[\w./-]+?)`")
_MADE = frozenset({"bench/results/NAME.md", "tocsin/agent.sock"})
"""What is named as an example, or is made elsewhere."""


def anchors(text: str) -> set[str]:
    """Return what a document's headings are linked by: lower case, words joined by hyphens, nothing else."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_links_to_is_there(document: Path) -> None:
    """Each link to a file leads to one, and each anchor to a heading."""
    broken = []
    for target, anchor in _LINK.findall(document.read_text(encoding="utf-8")):
        if "://" in target or target.startswith("mailto:"):
            continue
        found = document.parent / target if target else document
        if found.suffix == ".png" and not PICTURES.exists():
            continue  # the source distribution has none
        if not found.exists() or (anchor and anchor not in anchors(found.read_text(encoding="utf-8"))):
            broken.append(f"{target}#{anchor}")
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_that_a_document_names_is_there(document: Path) -> None:
    """What stands in backticks as a path of the checkout is one."""
    named = set(_NAMED.findall(document.read_text(encoding="utf-8"))) - _MADE
    assert sorted(path for path in named if not (ROOT / path).exists()) == []


def test_a_broken_link_is_found() -> None:
    """The patterns see a link with an anchor, one without, and a path in backticks."""
    text = "see [a](b.md#c-d), [e](../f.png) and `tocsin/g.py`"
    assert _LINK.findall(text) == [("b.md", "c-d"), ("../f.png", "")]
    assert _NAMED.findall(text) == ["tocsin/g.py"]
    assert anchors("# A hub, and `more`\n\ntext\n") == {"a-hub-and-more"}
