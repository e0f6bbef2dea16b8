"""The mail transfer protocol as state machines: bytes in, events out, no sockets and no clock."""
