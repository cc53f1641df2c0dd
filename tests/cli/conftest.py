"""The fixture under test; imported, so that it is there also where the package is not installed."""

from pytest_tocsin import wns

__all__ = ["wns"]
