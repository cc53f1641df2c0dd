"""The page of an agent, or of a program with a platform, which ``tocsin open`` serves while it runs."""
