"""Tests of the push service: real sockets, real SQLite."""
