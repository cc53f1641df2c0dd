"""The calling service: it rings the devices of its users, by connections and by raw pushes, and settles who answers."""
