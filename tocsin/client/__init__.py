"""The sender's side: a client of WNS, and of every push service that speaks its protocol."""
