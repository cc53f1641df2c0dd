"""A sender's side: its access token, its attempts, and what an answer means."""
