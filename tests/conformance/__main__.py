"""``python -m tests.conformance > docs/conformance.md``."""

from __future__ import annotations

import sys

from tests.conformance.page import page

if __name__ == "__main__":
    sys.stdout.write(page())
