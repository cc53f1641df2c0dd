"""Web Push: what its senders say (RFC 8030), how they show who they are (RFC 8292), and how their messages are encrypted (RFC 8291)."""
