"""The connections between nodes."""
