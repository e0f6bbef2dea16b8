"""DNS lists of clients, and of names in links: one mechanism for settings, asking and health (RFC 5782)."""
