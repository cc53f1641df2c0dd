"""The fixture of the package's own plugin; imported, so that it is there also where the package is not installed."""

from tocsin.pytest_plugin import wns

__all__ = ["wns"]
