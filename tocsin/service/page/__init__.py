"""The page at ``/``: what the service is doing just now, for who runs it."""
