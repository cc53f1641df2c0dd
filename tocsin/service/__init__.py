"""The push service: token endpoint, channels, WNS answers, device connections."""
