"""What can be wrong with a configuration beyond its own words: files that cannot be read, lists without an end."""

from __future__ import annotations

from gatepost.config.schema import Loaded
from gatepost.delivery.routes import ListedIn
from gatepost.net.acceptor import CannotListen, host_and_port
from gatepost.net.tls import ServerTls, TlsUnusable
from gatepost.smtp.dialect import Dialect


def examine(loaded: Loaded) -> list[str]:
    """One sentence for each thing that would keep this configuration from working as this user."""
    config = loaded.config
    problems = []
    if not config.listeners:
        problems.append("listeners: names no address to listen on.")
    if not config.domains:
        problems.append("domains: names no domain to take mail for.")
    for listener in config.listeners:
        try:
            host_and_port(listener.address)
        except CannotListen as fault:
            problems.append(f"listeners: {fault}")
    if config.tls.certificate or config.tls.key:
        try:
            ServerTls(config.tls, folder=loaded.folder)
        except TlsUnusable as fault:
            problems.append(f"tls: {fault}")
    elif any(one.role in (Dialect.SUBMISSION, Dialect.SUBMISSIONS) for one in config.listeners):
        problems.append("tls: a submission listener needs tls.certificate and tls.key.")
    problems += [
        f"domains: {domain.recipients.path}, the recipients of {domain.name}, is no file."
        for domain in loaded.routes.domains
        if isinstance(domain.recipients, ListedIn) and not domain.recipients.path.is_file()
    ]
    return problems
