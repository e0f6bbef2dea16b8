"""Forwarded mail: whom it is sent from (SRS), and where its bounces belong.

Mail that a recipient of ours has sent on elsewhere keeps its author and its octets; only the envelope sender becomes
an address of ours, so that SPF holds at the next host. Bounces to such an address go back to the sender.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatepost.delivery.signing import SigningSettings
from gatepost.mail.address import Address, parse_address
from gatepost.mailauth.srs import is_rewritten, restored, rewritten
from gatepost.store.failures import StoreFailed

_LOG = logging.getLogger("gatepost.delivery")


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """Rewrites, and finds back."""

    settings: Callable[[], SigningSettings]
    ours: Callable[[str], bool]
    """Is it one of our domains?"""
    secrets: Callable[[], Sequence[bytes]]
    """The newest first, which hashes; all of them are believed."""
    clock: Callable[[], float]
    """Unix seconds."""

    def sender(self, sender: str, forwarder: Address) -> str:
        """The envelope sender under which mail of `sender`, sent on by `forwarder`, leaves us for elsewhere."""
        settings = self.settings()
        address = parse_address(sender, smtputf8=True) if sender else None
        if not settings.srs or address is None or address.domain.startswith("[") or self.ours(address.domain):
            return sender
        domain = settings.srs_domain or forwarder.domain
        try:
            secret = self.secrets()[0]
        except StoreFailed as failure:  # better sent on under its own name than not at all
            _LOG.error("the sender of forwarded mail is not rewritten: %s", failure)
            return sender
        changed = rewritten(address, domain=domain, secret=secret, now=self.clock())
        return sender if changed is None else str(changed)

    def claims(self, address: Address) -> bool:
        """Does it say that it is a sender we rewrote? Then it is nobody's mailbox."""
        return is_rewritten(address)

    def bounce_for(self, address: Address) -> Address | None:
        """Whom mail to a rewritten sender is for; None when we did not make it, or it has ended."""
        if not is_rewritten(address):
            return None
        days = math.ceil(self.settings().srs_valid_s / 86_400)
        found = restored(address, secrets=self.secrets(), now=self.clock(), valid_days=days)
        return None if found is None or self.ours(found.domain) else found
