"""Judge messages from files, without a server."""
