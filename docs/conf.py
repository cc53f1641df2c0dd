"""How Sphinx builds the documents: ``python -m sphinx -W --keep-going docs build/docs``."""

from __future__ import annotations

import tocsin

project = "Tocsin"
author = "The Tocsin developers"
copyright = "2026, the Tocsin developers"  # noqa: A001  # Sphinx reads this name
version = release = tocsin.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinxcontrib.mermaid"]
myst_fence_as_directive = ["mermaid"]
root_doc = "index"
html_theme = "furo"
html_title = f"Tocsin {version}"
html_show_sphinx = False

myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_default_options = {"members": True, "show-inheritance": True}
