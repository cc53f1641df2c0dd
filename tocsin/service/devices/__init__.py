"""Who receives: the connections of devices, what is on its way to them, and what is kept for them."""
