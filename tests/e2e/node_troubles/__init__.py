"""Nodes over one PostgreSQL, all of which are killed, stopped and cut off under load: what became of each notification."""
