"""``python -m tocsin`` is the ``tocsin`` command."""

import sys

from tocsin.cli import main

sys.exit(main())
