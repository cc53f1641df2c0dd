"""Real notification daemons, each alone on a session bus of its own and on a screen that no monitor shows."""
