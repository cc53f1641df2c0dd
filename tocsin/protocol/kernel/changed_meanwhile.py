"""What a caller is told whose decision is worth nothing any more."""

from __future__ import annotations


class ChangedMeanwhile(Exception):
    """What a change was decided from has been changed by another: nothing was written, and it is to be read and decided anew."""
