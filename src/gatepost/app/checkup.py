"""What can be wrong with a configuration beyond its own words: files that cannot be read, lists without an end."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gatepost.app.consoletls import console_tls
from gatepost.app.secretfiles import exposed
from gatepost.app.unixaccount import unix_account
from gatepost.app.wire import rooted
from gatepost.config.schema import Loaded
from gatepost.delivery.routes import ListedIn
from gatepost.mail.address import parse_address
from gatepost.net.acceptor import CannotListen, host_and_port
from gatepost.net.census import networks
from gatepost.net.destinations import destination_problems
from gatepost.net.sandbox import obstacle
from gatepost.net.tls import ServerTls, TlsUnusable, expand
from gatepost.smtp.dialect import Dialect
from gatepost.store.failures import StoreFailed
from gatepost.store.store import keyring


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
            networks(
                (
                    *listener.proxy_protocol_from,
                    *listener.xclient_from,
                    *listener.relay_for,
                    *listener.bare_lf_from,
                )
            )
        except (CannotListen, ValueError) as fault:
            problems.append(f"listeners: {fault}.")
        if listener.relay_for and listener.role not in (Dialect.SUBMISSION, Dialect.SUBMISSIONS):
            problems.append(
                f"listeners: relay_for stands with {listener.address}, whose role is {listener.role.value}; "
                "it counts on submission and submissions listeners only."
            )
    try:
        networks(config.limits.connections.unlimited_clients)
    except ValueError as fault:
        problems.append(f"limits.connections.unlimited_clients: {fault}.")
    if to_be_got(loaded):
        pass  # the gate makes one to begin with
    elif config.tls.certificate or config.tls.key:
        try:
            ServerTls(config.tls, folder=loaded.folder)
        except TlsUnusable as fault:
            problems.append(f"tls: {fault}")
    elif any(one.role in (Dialect.SUBMISSION, Dialect.SUBMISSIONS) for one in config.listeners):
        problems.append("tls: a submission listener needs tls.certificate and tls.key.")
    if config.console.address:
        try:
            console_tls(loaded)
        except TlsUnusable as fault:
            problems.append(f"console: {fault}")
    problems += [
        f"domains: {domain.recipients.path}, the recipients of {domain.name}, is no file."
        for domain in loaded.routes.domains
        if isinstance(domain.recipients, ListedIn) and not domain.recipients.path.is_file()
    ]
    if config.delivery.postmaster and parse_address(config.delivery.postmaster) is None:
        problems.append(f'delivery.postmaster: "{config.delivery.postmaster}" is no address.')
    problems += anchors(loaded)
    problems += [f"outbound: {one}" for one in destination_problems(rooted(loaded), reads=True)]
    problems += sandbox(loaded)
    problems += key_file(loaded)
    problems += exposed(loaded)
    if not problems:
        problems += unreadable_later(loaded)
    return problems


def anchors(loaded: Loaded) -> Iterator[str]:
    """What is wrong with the certificates trusted besides the system's."""
    if loaded.config.outbound.trust_anchors:
        path = loaded.folder / loaded.config.outbound.trust_anchors
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
        except OSError as fault:  # SSLError is one
            yield f"outbound.trust_anchors: {path}: {fault.strerror or 'no certificate in it'}."


def key_file(loaded: Loaded) -> Iterator[str]:
    """Can held mail be sealed and opened with the master keys? Changes nothing; where they are yet to be made, that is well."""
    path = loaded.key_file
    if path is None:
        path = loaded.state / "keys" / "quarantine.key"
    elif not path.is_absolute() and str(path).startswith("%d/"):
        yield f"quarantine.key_file: {path}: no CREDENTIALS_DIRECTORY here (LoadCredential= in the systemd unit sets it)."
        return
    keys = keyring(loaded.state, loaded.key_file)
    try:
        there = bool(keys.ids())
    except (OSError, StoreFailed) as fault:
        yield f"quarantine.key_file: {fault}."
        return
    if not there and loaded.key_file is not None and not os.access(path.parent, os.W_OK):
        yield f"quarantine.key_file: {path} is not there, and cannot be made there."


def sandbox(loaded: Loaded) -> Iterator[str]:
    """Why attachments could not be looked into here; a child is started to see."""
    with ThreadPoolExecutor(1) as thread:  # whoever calls may have a loop running
        why = thread.submit(asyncio.run, obstacle(loaded.config.sandbox)).result()
    if why:
        yield f"sandbox: {why}."


def unreadable_later(loaded: Loaded) -> Iterator[str]:
    """What a reload could not read any more, once root has become the account of the setting `user`."""
    user = loaded.config.user
    if not user or os.geteuid() != 0:
        return
    later = unix_account(user)
    if later is None:
        yield f"user: there is no account {user} on this machine."
        return
    why = later.cannot_run_us()
    if why:
        yield f"user: {why}"
    for setting, path in files(loaded):
        if not later.reads(path):
            yield f"{setting}: {path} is readable for root but not for {user}: a reload could not read it."


def files(loaded: Loaded) -> Iterator[tuple[str, Path]]:
    """Every file that a reload reads, with the setting that names it; systemd hands its credentials to the account itself."""
    config = loaded.config
    if loaded.path is not None:
        yield "user", loaded.path
    pairs = [
        (config.tls.certificate, config.tls.key),
        *((one.certificate, one.key) for one in config.tls.more),
    ]
    if not to_be_got(loaded):
        yield from (
            ("tls", expand(name, loaded.folder)) for pair in pairs for name in pair if name and ours(name)
        )
    if config.outbound.trust_anchors:
        yield "outbound.trust_anchors", loaded.folder / config.outbound.trust_anchors
    outbound = rooted(loaded)
    for name in (outbound.smarthost_password_file, *(one.password_file for one in outbound.destinations)):
        if name and ours(name):
            yield "outbound", expand(name, loaded.folder)
    if loaded.key_file is not None and ours(config.quarantine.key_file) and loaded.key_file.exists():
        yield "quarantine.key_file", loaded.key_file
    for domain in loaded.routes.domains:
        if isinstance(domain.recipients, ListedIn):
            yield "domains", domain.recipients.path


def ours(name: str) -> bool:
    """Is it a file that we open by its own path?"""
    return not name.startswith("%d/")


def to_be_got(loaded: Loaded) -> bool:
    """Does the gate get its certificates itself, and has not begun to?"""
    return bool(loaded.config.certificates.acme) and not (loaded.state / "certificates").exists()
