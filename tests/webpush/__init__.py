"""The cryptography of Web Push."""
