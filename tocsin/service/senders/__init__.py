"""Who asks: notifications and tokens, as WNS has them."""
