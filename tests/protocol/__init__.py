"""Tests of the protocol: pure values, no waiting."""
