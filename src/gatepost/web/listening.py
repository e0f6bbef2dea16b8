"""The console's socket, bound while the process still may, long before anything that serves it is loaded."""

from __future__ import annotations

import socket


def listening(host: str, port: int, *, backlog: int = 128) -> socket.socket:
    """Bound and ready to be served. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((host, port))
        found.listen(backlog)
        found.setblocking(False)
    except BaseException:
        found.close()
        raise
    return found
