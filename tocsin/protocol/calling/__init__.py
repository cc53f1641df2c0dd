"""Incoming calls over push: what a push says, how a call stands at its service and in an agent, why it ends."""
