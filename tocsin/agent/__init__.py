"""The per-user process that owns channels, inbox and activators; apps come and go."""
