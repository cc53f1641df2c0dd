"""What shows toasts: the desktop over D-Bus, that of macOS and Windows, or a terminal, behind one promise."""
