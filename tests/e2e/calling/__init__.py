"""A world with calls: a push service with a hub, a calling service, a desktop with an agent, and a phone that is not running."""
