"""The console's certificate: looked at by who checks a configuration, without the pages."""

from __future__ import annotations

from gatepost.config.schema import Loaded
from gatepost.net.tls import ServerTls, TlsSettings


def console_tls(loaded: Loaded) -> ServerTls | None:
    """Its own certificate, else the gate's; None for plain HTTP on loopback. Raises TlsUnusable."""
    settings, tls = loaded.config.console, loaded.config.tls
    if not settings.tls:
        return None
    if settings.certificate:
        return ServerTls(
            TlsSettings(certificate=settings.certificate, key=settings.key), folder=loaded.folder
        )
    if settings.url.startswith("http:") or not tls.certificate:
        return None
    return ServerTls(tls, folder=loaded.folder)
