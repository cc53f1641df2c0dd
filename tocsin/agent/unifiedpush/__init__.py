"""The agent as a distributor of UnifiedPush: apps of the desktop register over the session bus, and get their pushes there.

It is a client of the platform: each registration is an app of its own, with a session in this process.
"""
