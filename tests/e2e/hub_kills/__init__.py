"""Kills the push service while a hub's messages are on their way."""
