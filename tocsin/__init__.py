"""Push notifications that wake async Python apps."""

__version__ = "0.1.0"
