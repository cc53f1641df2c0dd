"""Bytes: connections, HTTP, WebSockets and TLS, bounded on all sides; knows nothing of push."""
