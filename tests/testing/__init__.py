"""The room for other people's tests."""
