"""The wire: framed messages over WebSocket, and the device's connection to its push service."""
