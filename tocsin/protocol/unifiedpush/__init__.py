"""The rules of a UnifiedPush distributor on D-Bus: what is asked and answered, how a registration lives, what a delivery's result means."""
