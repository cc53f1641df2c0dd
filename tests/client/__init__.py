"""The sender's side."""
