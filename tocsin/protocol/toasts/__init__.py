"""Toasts, tiles and badges: their content, what a desktop shows of it, and the life of what is shown."""
