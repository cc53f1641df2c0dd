"""The rules of Web Push."""
