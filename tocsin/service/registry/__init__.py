"""What the service knows: apps and their secrets, channels, access tokens, its time, in its store."""
