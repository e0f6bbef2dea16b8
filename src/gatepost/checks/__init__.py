"""What do we see? One file a check; `registry.ALL_CHECKS` is a tuple you can read."""
