"""Tests of ``tocsin.protocol.calling``."""
