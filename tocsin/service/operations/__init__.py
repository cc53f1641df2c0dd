"""What an operator sets, reads and counts: settings, limits, logs, metrics, health."""
