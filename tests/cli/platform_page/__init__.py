"""Tests of the page of a platform."""
