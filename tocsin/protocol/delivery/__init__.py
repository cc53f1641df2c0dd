"""A payload's way from the device's inbox to the app's handler: windows, queues, and its one life."""
