"""Notification hubs: what their clients ask for over HTTP, and the sending of messages to many devices."""
