"""Sockets: the drivers of the pure protocol machines."""
