"""What outlives the process: state folders, SQLite databases, and the stores on top of them."""
