"""A whole mail world on loopback: names, keys, senders and mail, so that the product can be seen at work."""
