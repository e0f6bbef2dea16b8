"""The office of one installation: who acts, with its store, clock and settings."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence

from gatepost.config.schema import Loaded
from gatepost.delivery.directory import Directory
from gatepost.dns.answer import Resolver
from gatepost.mail.address import Address, parse_address
from gatepost.office.mailsignin import MailSignIn
from gatepost.office.mailtokens import ProviderTokens
from gatepost.office.office import Office
from gatepost.office.provider import Provider, provider_of
from gatepost.store.store import Store
from gatepost.web.settings import origin_of

log = logging.getLogger("gatepost")


def office_of(loaded: Loaded, store: Store) -> Office:
    """Cheap: made anew after each reload."""
    return Office(
        store=store,
        clock=time.time,
        random=os.urandom,
        hostname=loaded.config.hostname,
        access=loaded.config.access,
        finals=finals_of(loaded),
    )


def finals_of(loaded: Loaded) -> Callable[[Address], Sequence[Address]]:
    """Where mail to an address of ours ends up; one of somebody else's is its own end."""
    directory = Directory(routes=loaded.routes, clock=time.monotonic)

    def finals(address: Address) -> list[Address]:
        if loaded.routes.find(address.domain) is None:
            return [address]
        return [one for text in directory.expand(address) if (one := parse_address(text, smtputf8=True))]

    return finals


def mail_sign_in(loaded: Loaded, store: Store, resolver: Resolver) -> MailSignIn:
    """Who hands mail in, under the present configuration."""
    office, provider = office_of(loaded, store), provider_in(loaded, resolver)
    tokens = ProviderTokens(office, provider) if provider and provider.settings.mail_audience else None
    asked = bool(loaded.config.tls.client_authorities)
    return MailSignIn(office, verifier=tokens, by_certificate=asked)


def provider_in(loaded: Loaded, resolver: Resolver) -> Provider | None:
    """The identity provider; None when there is none, or (in the log) its secret cannot be read."""
    try:
        return provider_of(
            loaded.config.identity_provider, folder=loaded.folder, resolver=resolver, clock=time.time
        )
    except ValueError as why:
        log.error("nobody signs in by the identity provider: %s", why)
        return None


def console_url(loaded: Loaded) -> str:
    """Where people reach the console, as configured; empty: nowhere yet."""
    settings = loaded.config.console
    if not settings.url and not settings.address:
        return ""
    own_tls = settings.tls and bool(settings.certificate or loaded.config.tls.certificate)
    return origin_of(settings, with_tls=own_tls)
