"""Bearer tokens of mail programs (RFC 7628, XOAUTH2): checked by the provider's keys, or asked of it, and kept for a moment.

Implements `mailsignin.TokenVerifier`.
"""

from __future__ import annotations

import hashlib
import logging

from gatepost.access import oidc
from gatepost.access.oidc import NotProved
from gatepost.office.office import Office
from gatepost.office.provider import Provider
from gatepost.store import identities

log = logging.getLogger("gatepost.office")

KEPT_MOST = 10_000
WRONG_KEPT_S = 10.0


class ProviderTokens:
    """Tokens of one identity provider."""

    def __init__(self, office: Office, provider: Provider) -> None:
        self.office = office
        self.provider = provider
        self._known: dict[bytes, tuple[tuple[str, ...] | None, float]] = {}

    async def verify(self, token: str) -> tuple[str, ...] | None:
        """Logins or addresses that the token proves; None when it proves nothing. Raises Unavailable."""
        if not token or len(token) > oidc.TOKEN_LONGEST or not token.isascii() or not token.isprintable():
            return None
        key, now = hashlib.sha256(token.encode()).digest(), self.office.clock()
        known = self._known.get(key)
        if known is not None and now < known[1]:
            return known[0]
        names, until = await self._judged(token, now)
        while len(self._known) >= KEPT_MOST:
            del self._known[next(iter(self._known))]
        self._known[key] = (names, until)
        return names

    async def _judged(self, token: str, now: float) -> tuple[tuple[str, ...] | None, float]:
        settings = self.provider.settings
        asks = settings.mail_introspect
        try:
            if not asks and not oidc.looks_signed(token):
                raise NotProved("it is opaque, and mail_introspect is off")
            claims = await (
                self.provider.introspect(token) if asks else self.provider.claims(token, oidc.MAIL_TYPES)
            )
            names, subject, ends = oidc.bearer_of(claims, settings, now=now, introspected=asks)
        except NotProved as why:
            log.info("a mail program's token proves nothing: %s", why)
            return None, now + WRONG_KEPT_S
        linked = self.office.store.database.read(
            lambda connection: (
                identities.account_of(connection, settings.issuer, subject) if subject else None
            )
        )
        found = (linked.login,) if linked is not None else names
        return found or None, min(now + settings.mail_cached_s, max(ends, now))
