"""What an app holds: the manager, its channels, operations and event arguments."""
