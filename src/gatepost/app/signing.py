"""Signing, put together: keys of the store, the settings of the configuration, and the domains that are ours."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from gatepost.config.schema import Loaded
from gatepost.delivery.forwarding import Forwarding
from gatepost.delivery.signing import Signer
from gatepost.dns.answer import Resolver
from gatepost.jobs.keys import KeyKeeping
from gatepost.jobs.letter import Letters
from gatepost.store.secretfile import SecretFile
from gatepost.store.signingkeys import KeysInUse, SigningKeys
from gatepost.store.store import Store

log = logging.getLogger("gatepost")


def keys_in_use(store: Store) -> KeysInUse:
    """One process's signing keys."""
    return KeysInUse(SigningKeys(store.database, store.keys), time.monotonic, on_problem=log.error)


def signer_of(loaded: Loaded, keys: KeysInUse) -> Signer:
    """Who signs under this configuration."""
    return Signer(
        keys=keys,
        ours=lambda domain: loaded.routes.find(domain) is not None,
        settings=loaded.config.signing,
        hostname=loaded.config.hostname,
    )


def forwarding_of(loaded: Callable[[], Loaded], store: Store) -> Forwarding:
    """Who rewrites the senders of forwarded mail; its secret is made when the first is to be rewritten."""
    about = "What Gatepost's rewritten senders (SRS) are hashed with, the newest first. To replace it, put a line above."
    file = SecretFile(store.folder / "keys" / "srs.secret", about)
    return Forwarding(
        settings=lambda: loaded().config.signing,
        ours=lambda domain: loaded().routes.find(domain) is not None,
        secrets=file.secrets,
        clock=time.time,
    )


def keeping_of(
    loaded: Loaded | Callable[[], Loaded], store: Store, resolver: Resolver, letters: Letters | None = None
) -> KeyKeeping:
    """The keeping of the keys; `loaded` may be asked anew each time, so that a reload reaches it."""

    def ask() -> Loaded:
        return loaded if isinstance(loaded, Loaded) else loaded()

    return KeyKeeping(
        keys=SigningKeys(store.database, store.keys),
        resolver=resolver,
        settings=lambda: ask().config.signing,
        domains=lambda: [one.name.removeprefix(".") for one in ask().routes.domains],
        clock=time.time,
        letters=letters,
    )
