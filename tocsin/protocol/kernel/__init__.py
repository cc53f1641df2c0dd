"""What all else is run by: state machines and their steps, restarts, commits, deadlines, limits on what comes too often."""
