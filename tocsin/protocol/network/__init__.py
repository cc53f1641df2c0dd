"""What the network says and means: addresses, proxies, why there is no connection, how long to wait, whose turn it is."""
