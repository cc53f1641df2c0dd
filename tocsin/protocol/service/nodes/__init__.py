"""Several nodes over one database: who holds a lease, where a device is, and the way of a post to it."""
