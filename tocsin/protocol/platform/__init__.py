"""An app and its platform: channel requests and their retries, activators and conditions, the connection to the push service and its time."""
