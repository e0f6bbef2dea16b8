"""The identity provider, asked over HTTPS: its metadata and keys (kept for a while), codes and tokens.

OpenID Connect Discovery 1.0 §4, RFC 8414, RFC 7517, RFC 6749 §4.1.3, RFC 7662. Its answers are bounded and believed only as
far as `access.oidc` says.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode

from joserfc import jwk

from gatepost.access.oidc import SIGN_IN_TYPES, ProviderSettings, UnknownKey, claims_of, public_keys
from gatepost.dns.answer import Resolver
from gatepost.mail.address import printable
from gatepost.net.fetch import Fetched, FetchFailed, FetchKind, FetchLimits, Header, fetch
from gatepost.net.tls import TlsUnusable, expand
from gatepost.tools import Unavailable

LIMITS = FetchLimits(total_s=15.0, connect_s=5.0, octets=256 * 1024)
KEYS_AGAIN_S = 30.0
"""A token with an unknown key has the keys fetched again, at most so often."""
STALE_S = 86_400.0
"""While it cannot be asked, what it said before is believed for so long."""
DOWN_S = 5.0
"""After it failed it is not asked for so long."""
QUESTIONS = 8
"""So many go out at a time."""
FORM = ("Content-Type", "application/x-www-form-urlencoded")


class Fetch(Protocol):
    """As `net.fetch.fetch` with limits and clock settled."""

    def __call__(
        self, url: str, *, method: str = "GET", body: bytes = b"", headers: Sequence[Header] = ()
    ) -> Awaitable[Fetched]: ...


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the provider says of itself."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str
    introspection_endpoint: str
    end_session_endpoint: str
    """Where a person signs out there (OpenID Connect RP-Initiated Logout 1.0 §2); empty: nowhere."""
    says_issuer: bool
    """It names itself in each answer (RFC 9207 §3)."""
    takes_basic: bool
    """The client proves itself in the header; else in the body."""


@dataclass(slots=True)
class Provider:
    """One provider; one for each process."""

    settings: ProviderSettings
    fetch: Fetch
    clock: Callable[[], float]
    """Unix seconds."""
    secret: str = field(default="", repr=False)
    _metadata: Metadata | None = None
    _metadata_at: float = float("-inf")
    _keys: jwk.KeySet | None = None
    _keys_at: float = float("-inf")
    _down: str = ""
    _down_at: float = float("-inf")
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _questions: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(QUESTIONS))

    async def metadata(self) -> Metadata:
        """Raises Unavailable."""
        async with self._one_at_a_time:
            return await self._fresh_metadata()

    async def claims(self, token: str, types: Set[str] = SIGN_IN_TYPES) -> dict[str, Any]:
        """The claims of a token of these types that the provider signed. Raises oidc.NotProved, Unavailable."""
        keys = await self._known_keys(older_than=self.settings.keys_s)
        try:
            return claims_of(token, keys, types)
        except UnknownKey:
            return claims_of(token, await self._known_keys(older_than=KEYS_AGAIN_S), types)

    def way_out(self, back: str) -> str:
        """Where a browser is sent to sign out there, too, and then `back`; empty where that is not known or not offered."""
        at = self._metadata.end_session_endpoint if self._metadata is not None else ""
        if not at:
            return ""
        asked = urlencode({"client_id": self.settings.client_id, "post_logout_redirect_uri": back})
        return f"{at}{'&' if '?' in at else '?'}{asked}"

    async def keys(self) -> None:
        """Fetch its keys unless they are known. Raises Unavailable."""
        await self._known_keys(older_than=self.settings.keys_s)

    async def exchange(self, code: str, verifier: str, redirect_uri: str) -> dict[str, Any]:
        """A code for tokens (RFC 6749 §4.1.3). Raises Unavailable."""
        about = await self.metadata()
        form = {
            "grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }  # fmt: skip
        return await self._ask(about.token_endpoint, form, about)

    async def userinfo(self, access_token: str) -> dict[str, Any]:
        """What the provider says of the person besides (Core §5.3); empty when it does not offer it. Raises Unavailable."""
        about = await self.metadata()
        if not about.userinfo_endpoint:
            return {}
        return await self._json(
            about.userinfo_endpoint, headers=[("Authorization", f"Bearer {access_token}")]
        )

    async def introspect(self, token: str) -> dict[str, Any]:
        """What the provider says of a token (RFC 7662 §2). Raises Unavailable."""
        about = await self.metadata()
        if not about.introspection_endpoint:
            raise Unavailable(f"{self.settings.issuer} offers no introspection of tokens (RFC 7662)")
        return await self._ask(about.introspection_endpoint, {"token": token}, about)

    async def _known_keys(self, *, older_than: float) -> jwk.KeySet:
        async with self._one_at_a_time:
            now = self.clock()
            if self._keys is None or not 0 <= now - self._keys_at < older_than:
                try:
                    about = await self._fresh_metadata()
                    keys = public_keys(await self._unless_down(about.jwks_uri))
                    if not keys.keys:
                        raise Unavailable(f"{self.settings.issuer} publishes no key that can be used")
                except Unavailable:
                    if self._keys is None or not 0 <= now - self._keys_at < STALE_S:
                        raise
                    return self._keys
                self._keys, self._keys_at = keys, now
            return self._keys

    async def _fresh_metadata(self) -> Metadata:
        now = self.clock()
        if self._metadata is None or not 0 <= now - self._metadata_at < self.settings.keys_s:
            issuer = self.settings.issuer
            try:
                said = await self._unless_down(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
                if said.get("issuer") != issuer:  # Discovery §4.3
                    other = printable(str(said.get("issuer")), 200)
                    raise Unavailable(f"the provider at {issuer} calls itself {other}: write that as issuer")
                found = _metadata(said, issuer)
            except Unavailable:
                if self._metadata is None or not 0 <= now - self._metadata_at < STALE_S:
                    raise
                return self._metadata
            self._metadata, self._metadata_at = found, now
        return self._metadata

    async def _unless_down(self, url: str) -> dict[str, Any]:
        """Ask, but not again right after it failed: everybody would wait for everybody else's try. Raises Unavailable."""
        if 0 <= self.clock() - self._down_at < DOWN_S:
            raise Unavailable(self._down)
        try:
            return await self._json(url)
        except Unavailable as why:
            self._down, self._down_at = str(why), self.clock()
            raise

    async def _ask(self, url: str, form: dict[str, str], about: Metadata) -> dict[str, Any]:
        """POST a form as the client we are (RFC 6749 §2.3.1)."""
        headers = [FORM]
        if self.secret and about.takes_basic:
            both = f"{quote_plus(self.settings.client_id)}:{quote_plus(self.secret)}"
            headers.append(("Authorization", f"Basic {b64encode(both.encode()).decode()}"))
        else:
            form = form | {"client_id": self.settings.client_id}
            if self.secret:
                form["client_secret"] = self.secret
        return await self._json(url, body=urlencode(form).encode(), headers=headers)

    async def _json(self, url: str, *, body: bytes = b"", headers: Sequence[Header] = ()) -> dict[str, Any]:
        try:
            async with self._questions:
                fetched = await self.fetch(
                    url,
                    method="POST" if body else "GET",
                    body=body,
                    headers=[("Accept", "application/json"), *headers],
                )
            said = json.loads(fetched.body)
        except FetchFailed as failure:
            raise Unavailable(_why(failure)) from None
        except (ValueError, RecursionError):
            raise Unavailable(f"{self.settings.issuer} answered with something that is no JSON") from None
        if not isinstance(said, dict):
            raise Unavailable(f"{self.settings.issuer} answered with something else than was asked for")
        return said


def provider_of(
    settings: ProviderSettings, *, folder: Path, resolver: Resolver, clock: Callable[[], float]
) -> Provider | None:
    """The configured provider; None when there is none. Raises ValueError (one sentence) when its secret cannot be read."""
    if not settings.issuer:
        return None
    anchors = str(expand(settings.trust_anchors, folder)) if settings.trust_anchors else ""

    async def ask(
        url: str, *, method: str = "GET", body: bytes = b"", headers: Sequence[Header] = ()
    ) -> Fetched:
        return await fetch(
            url, resolver=resolver, limits=LIMITS, method=method, body=body, headers=headers, trust_anchors=anchors,
            allow_private=settings.private_network, clock=clock,
        )  # fmt: skip

    secret = secret_in(settings.client_secret_file, folder) if settings.client_secret_file else ""
    return Provider(settings, ask, clock, secret)


def secret_in(name: str, folder: Path) -> str:
    """The one line of a secret's file. Raises ValueError: one sentence."""
    try:
        secret = expand(name, folder).read_text("utf-8").strip()
    except TlsUnusable as fault:
        raise ValueError(str(fault)) from None
    except (OSError, UnicodeDecodeError) as fault:
        raise ValueError(
            f"{name} cannot be read: {getattr(fault, 'strerror', None) or 'it is no text'}"
        ) from None
    if not secret or "\n" in secret:
        raise ValueError(f"{name} must hold one line, the secret")
    return secret


def _metadata(said: dict[str, Any], issuer: str) -> Metadata:
    def endpoint(name: str, *, needed: bool) -> str:
        value = said.get(name, "")
        if not isinstance(value, str) or not value.startswith("https://"):
            if needed or value:
                raise Unavailable(f"{issuer} names no https address as {name}")
            return ""
        return value

    ways = said.get("token_endpoint_auth_methods_supported")
    return Metadata(
        authorization_endpoint=endpoint("authorization_endpoint", needed=True),
        token_endpoint=endpoint("token_endpoint", needed=True),
        jwks_uri=endpoint("jwks_uri", needed=True),
        userinfo_endpoint=endpoint("userinfo_endpoint", needed=False),
        introspection_endpoint=endpoint("introspection_endpoint", needed=False),
        end_session_endpoint=endpoint("end_session_endpoint", needed=False),
        says_issuer=said.get("authorization_response_iss_parameter_supported") is True,
        takes_basic=not isinstance(ways, list)
        or "client_secret_basic" in ways
        or "client_secret_post" not in ways,
    )


def _why(failure: FetchFailed) -> str:
    """With the provider's own word for what is wrong (RFC 6749 §5.2), where it gives one."""
    if failure.kind is FetchKind.STATUS:
        try:
            word = json.loads(failure.body).get("error", "")
        except (ValueError, AttributeError, RecursionError):
            word = ""
        if isinstance(word, str) and word:
            return f"{failure} ({printable(word, 60)})"
    return str(failure)
