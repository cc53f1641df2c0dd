"""Kills the calling service at random moments of calls."""
