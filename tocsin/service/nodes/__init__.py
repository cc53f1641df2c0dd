"""The connections between the nodes of one service: who may be one, and what they forward to one another."""
