"""Tests of the calling service."""
