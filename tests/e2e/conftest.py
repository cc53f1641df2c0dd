"""The fixture of the package's own plugin; imported, so that it is there also where the package is not installed."""

import sys

from tocsin.pytest_plugin import wns

__all__ = ["wns"]

collect_ignore = (
    [] if sys.platform == "linux" else ["test_daemons.py", "test_desktops.py", "test_machine.py", "test_unifiedpush.py"]
)  # they need dbus-fast
