"""Letters about held mail wired up: for the console, which opens the links in them, and for the clock, which sends them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from gatepost.app.office import console_url, office_of
from gatepost.app.parts import fresh_ref
from gatepost.config.schema import Loaded
from gatepost.office.digests import Digests
from gatepost.office.holding import Holding
from gatepost.office.office import Office
from gatepost.store import accounts
from gatepost.store.secretfile import SecretFile
from gatepost.store.store import Store

log = logging.getLogger("gatepost.jobs")

LINKS = "keys/links.key"
LINKS_ABOUT = (
    "What the links in Gatepost's letters are signed with. A new line in front ends all links sent before."
)


def holding_of(loaded: Callable[[], Loaded], office: Office) -> Holding:
    """The quarantine in people's hands."""
    return Holding(office=office, people_may_release=frozenset(loaded().config.quarantine.people_may_release))


def digests_of(loaded: Callable[[], Loaded], office: Office, holding: Holding) -> Digests:
    """For the console, which opens the links, and for the clock, which sends them."""
    secret = SecretFile(office.store.folder / LINKS, LINKS_ABOUT)

    return Digests(
        office=office, holding=holding, key=secret.secrets()[0], origin=lambda: console_url(loaded()).rstrip("/"),
        settings=lambda: loaded().config.digests, language=partial(language_of, loaded, office), new_ref=fresh_ref,
    )  # fmt: skip


async def send_digests(loaded: Callable[[], Loaded], store: Store) -> None:
    """What is due."""
    office = office_of(loaded(), store)
    sent = await digests_of(loaded, office, holding_of(loaded, office)).send()
    if sent:
        log.info("%d letters about held mail went out", sent)


def language_of(loaded: Callable[[], Loaded], office: Office, address: str) -> str:
    """The account's, else that of the banners."""
    account = office.store.database.read(lambda connection: accounts.owner_of(connection, address.lower()))
    return account.language if account is not None else loaded().config.marking.language.value
