"""The rules of notification hubs: signatures, registrations, installations, templates, tag expressions, and what becomes of a message."""
