"""What waits: mailboxes, the actor loop, the actors, and the topology that puts them one before the other."""
