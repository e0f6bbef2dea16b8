"""An identity provider's word: what we ask it (OpenID Connect Core 1.0, RFC 7636), and what its tokens prove.

Pure: keys and answers come from the caller. Everything in them was written by somebody else.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from joserfc import jwk, jws, jwt
from joserfc.errors import InvalidKeyIdError, JoseError

from gatepost.mail.address import parse_address, printable

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519",
)  # fmt: skip
"""Signatures alone: a shared secret would let whoever verifies also sign."""
TOKEN_LONGEST = 16 * 1024
KEYS_MOST = 50
RSA_BITS = 2048
ANEW_S = 300.0
"""A proof that was to be made anew is no older."""
SUBJECT_LONGEST = 255
"""OpenID Connect Core §2."""
SIGN_IN_TYPES = frozenset({"", "jwt"})
"""What the header of an ID token may call itself (RFC 8725 §3.11): a token for another purpose says so."""
MAIL_TYPES = SIGN_IN_TYPES | {"at+jwt"}
"""The same for mail programs' tokens (RFC 9068 §2.1)."""
ID_TOKEN_ONLY = ("nonce", "at_hash", "c_hash", "s_hash")
"""Claims by which a token shows that it is for signing in here, not for handing mail in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """The identity provider of the company (OpenID Connect), for the console and for mail programs."""

    issuer: str = ""
    """Its issuer, such as `https://login.example.net/realms/staff`, exactly as it names itself; empty: there is none."""
    client_id: str = ""
    """What it knows the console as."""
    client_secret_file: str = ""
    """A file with the secret it knows the console by, ``%d/NAME`` for a systemd credential; empty: a public client."""
    name: str = "single sign-on"
    """What the sign-in page calls it."""
    scopes: tuple[str, ...] = ("openid", "email")
    """What is asked for; without `openid` nothing is proved."""
    link_claims: tuple[str, ...] = ("email",)
    """Claims whose address finds the account at the first sign-in, the first that is there; later ones go by the provider's own
    number of the person. `email` counts only when the provider says that it verified it; others, such as `upn`, only where
    people cannot choose them there. Empty: accounts are linked by hand (`gatepost user identity`). Administrators' never are."""
    second_factor: tuple[str, ...] = ("mfa", "hwk", "swk", "otp", "sc")
    """Values of `amr` (RFC 8176) or `acr` that say more was asked for than a password. Without one of them the person gives
    a one-time code of ours."""
    always_two_factors: bool = False
    """The provider asks everybody for a second factor, though it does not say so: you vouch for it."""
    trust_anchors: str = ""
    """A PEM file of certificates trusted besides the system's."""
    private_network: bool = False
    """It may have an address of the own network."""
    keys_s: float = 3600.0
    """How long its keys and addresses are kept before they are fetched again."""
    skew_s: float = 60.0
    """How far its clock may be from ours."""
    mail_audience: str = ""
    """Tokens for this audience sign mail programs in (OAUTHBEARER, XOAUTH2); empty: none do."""
    mail_scope: str = ""
    """And only those with this scope; empty: whatever the scope."""
    mail_claims: tuple[str, ...] = ("email",)
    """Claims that name the account in such a token, the first that is there: `email` counts only when verified; others, such
    as `preferred_username` or `upn`, only as the provider cannot be told them by the person."""
    mail_introspect: bool = False
    """Ask the provider about every token (RFC 7662) instead of checking its signature; needed where tokens are opaque."""
    mail_cached_s: float = 60.0
    """How long a token's answer is kept: so long a revoked one may still sign in."""


class NotProved(Exception):
    """The provider's answer or token proves nothing; `str()` is one sentence, for the log and the journal."""


class UnknownKey(NotProved):
    """It is signed with a key we do not have: it may be a new one."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One sign-in that is under way: kept with us, known to one browser by a token in a cookie."""

    state: str
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    anew: bool = False
    """The person must prove it there now, whether or not they are signed in there."""

    def octets(self) -> bytes:
        """To keep."""
        return json.dumps([self.state, self.nonce, self.verifier, self.anew]).encode()

    @classmethod
    def read(cls, octets: bytes) -> Flow:
        """As kept."""
        return cls(*json.loads(octets))


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who somebody is, by the provider's word."""

    issuer: str
    subject: str
    """The provider's own number of the person."""
    address: str
    """What `link_claims` say, normal form; empty when they say nothing."""
    name: str
    more_than_password: bool
    proved_at: float
    """When the provider asked for it last, Unix seconds; 0 when it does not say."""


def provider_problems(settings: ProviderSettings) -> list[str]:
    """What is wrong with the settings, one sentence each."""
    if not settings.issuer:
        return []
    wrong = []
    parts = urlsplit(settings.issuer)
    if parts.scheme != "https" or not parts.hostname or parts.query or parts.fragment:
        wrong.append(f'issuer: "{settings.issuer}" is no https address without a query')
    if not settings.client_id:
        wrong.append("client_id: is missing: the provider gives it when the console is registered there")
    if "openid" not in settings.scopes:
        wrong.append('scopes: must have "openid"')
    if not settings.mail_claims:
        wrong.append("mail_claims: names no claim")
    return wrong


def authorization_url(
    endpoint: str, settings: ProviderSettings, flow: Flow, redirect_uri: str, *, hint: str = ""
) -> str:
    """Where the browser is sent (Core §3.1.2.1, with PKCE: RFC 7636 §4.3)."""
    asked = {
        "response_type": "code", "client_id": settings.client_id, "redirect_uri": redirect_uri,
        "scope": " ".join(settings.scopes), "state": flow.state, "nonce": flow.nonce,
        "code_challenge": challenge(flow.verifier), "code_challenge_method": "S256",
    }  # fmt: skip
    if hint:
        asked["login_hint"] = hint
    if flow.anew:
        asked |= {"prompt": "login", "max_age": "0"}
    return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"


def challenge(verifier: str) -> str:
    """RFC 7636 §4.2, S256."""
    return urlsafe_b64encode(hashlib.sha256(verifier.encode("ascii")).digest()).decode().rstrip("=")


def answered(query: Mapping[str, str], flow: Flow, issuer: str, *, says_issuer: bool = False) -> str:
    """The code in what the browser brought back; `says_issuer`: the provider always names itself. Raises NotProved."""
    if not hmac.compare_digest(query.get("state", "").encode(), flow.state.encode()):
        raise NotProved("the answer belongs to another sign-in")
    if query.get("iss", "" if says_issuer else issuer) != issuer:  # RFC 9207 §2.4, RFC 9700 §4.4.2
        raise NotProved("the answer comes from another provider")
    if query.get("error"):
        raise NotProved(f"the provider refused: {printable(query['error'], 60)}")
    code = query.get("code", "")
    if not code or len(code) > TOKEN_LONGEST:
        raise NotProved("the answer has no code")
    return code


def public_keys(document: object) -> jwk.KeySet:
    """The usable signing keys of a JWK set (RFC 7517 §5); others are left out."""
    listed = document.get("keys") if isinstance(document, dict) else None
    found: list[Any] = []
    for one in (listed if isinstance(listed, list) else [])[:KEYS_MOST]:
        key = _public_key(one)
        if key is not None:
            found.append(key)
    return jwk.KeySet(found)


def claims_of(token: str, keys: jwk.KeySet, types: Set[str] = SIGN_IN_TYPES) -> dict[str, Any]:
    """The claims of a signed token of one of these types (RFC 7519 §7.2), nothing of them judged yet.

    Raises UnknownKey and NotProved.
    """
    if len(token) > TOKEN_LONGEST or not token.isascii():
        raise NotProved("the token is no signed token")
    try:
        read = jwt.decode(token, keys, algorithms=ALGORITHMS)
    except InvalidKeyIdError:
        raise UnknownKey("the token is signed with a key that the provider does not publish") from None
    except (JoseError, ValueError, TypeError, KeyError, RecursionError) as fault:
        raise NotProved(f"the token does not hold ({type(fault).__name__})") from None
    kind = str(read.header.get("typ", "")).lower().removeprefix("application/")
    if kind not in types:
        raise NotProved(f"the token is for something else ({printable(kind, 40)})")
    return dict(read.claims)


def looks_signed(token: str) -> bool:
    """Has it the form of a signed token, rather than being opaque?"""
    try:
        return token.count(".") == 2 and bool(jws.extract_compact(token.encode("ascii", "replace")).headers())
    except (JoseError, ValueError, TypeError, KeyError, RecursionError):
        return False


def identity_of(
    claims: Mapping[str, Any], settings: ProviderSettings, *, nonce: str, now: float, anew: bool = False
) -> Identity:
    """Who signed in, by the claims of an ID token (Core §3.1.3.7); `anew`: within the last minutes. Raises NotProved."""
    _insist_on_issuer_and_time(claims, settings, now, needs_expiry=True)
    audience = _audience(claims)
    if settings.client_id not in audience:
        raise NotProved("the token is for somebody else")
    if claims.get("azp", settings.client_id) != settings.client_id or (
        len(audience) > 1 and "azp" not in claims
    ):
        raise NotProved("the token was given to somebody else")
    if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
        raise NotProved("the token belongs to another sign-in")
    if not isinstance(claims.get("iat"), int | float):
        raise NotProved("the token does not say when it was made")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= SUBJECT_LONGEST:
        raise NotProved("the token does not say who it is about")
    name, asked_at = claims.get("name"), claims.get("auth_time")
    proved_at = (
        float(asked_at)
        if isinstance(asked_at, int | float) and 0 < asked_at <= now + settings.skew_s
        else 0.0
    )
    if anew and proved_at < now - ANEW_S:
        raise NotProved("the provider did not ask anew")
    return Identity(
        issuer=settings.issuer,
        subject=subject,
        address=named(claims, settings.link_claims),
        name=printable(name, 100) if isinstance(name, str) else "",
        more_than_password=more_than_password(claims, settings),
        proved_at=min(proved_at, now),
    )


def verified_email(claims: Mapping[str, Any]) -> str:
    """The address in normal form, if the provider says that it verified it; else empty."""
    email = claims.get("email")
    if not isinstance(email, str) or claims.get("email_verified") not in (True, "true"):
        return ""
    return _address(email)


def named(claims: Mapping[str, Any], names: Sequence[str]) -> str:
    """The address in the first of these claims that has one, normal form; ``email`` only when it was verified."""
    for name in names:
        value = claims.get(name)
        found = (
            verified_email(claims) if name == "email" else _address(value) if isinstance(value, str) else ""
        )
        if found:
            return found
    return ""


def more_than_password(claims: Mapping[str, Any], settings: ProviderSettings) -> bool:
    """Did the provider ask for more than a password?"""
    methods = claims.get("amr")
    said = {one for one in methods if isinstance(one, str)} if isinstance(methods, list) else set()
    if isinstance(claims.get("acr"), str):
        said.add(claims["acr"])
    return settings.always_two_factors or not said.isdisjoint(settings.second_factor)


def bearer_of(
    claims: Mapping[str, Any], settings: ProviderSettings, *, now: float, introspected: bool = False
) -> tuple[tuple[str, ...], str, float]:
    """What a mail program's token proves: addresses or logins, the provider's number of the person, and until when.

    RFC 9068 §4, RFC 7662 §2.2; an introspected token may leave issuer and expiry out, for the provider just said that it
    is active. Raises NotProved.
    """
    if introspected and claims.get("active") is not True:
        raise NotProved("the provider says that the token is not active")
    _insist_on_issuer_and_time(
        claims, settings, now, needs_expiry=not introspected, may_lack_issuer=introspected
    )
    if any(name in claims for name in ID_TOKEN_ONLY):
        raise NotProved("this is a token for signing in at a site, not for mail")
    audience = _audience(claims)
    if settings.mail_audience not in audience and not (introspected and not audience and settings.mail_scope):
        raise NotProved("the token is for something else than mail here")
    if settings.mail_scope and settings.mail_scope not in _scopes(claims):
        raise NotProved("the token lacks the scope for mail")
    name = named(claims, settings.mail_claims)
    subject = claims.get("sub")
    expires = claims.get("exp")
    return (
        (name,) if name else (),
        subject if isinstance(subject, str) and len(subject) <= SUBJECT_LONGEST else "",
        float(expires) if isinstance(expires, int | float) else now + settings.mail_cached_s,
    )


def _insist_on_issuer_and_time(
    claims: Mapping[str, Any],
    settings: ProviderSettings,
    now: float,
    *,
    needs_expiry: bool,
    may_lack_issuer: bool = False,
) -> None:
    issuer = claims.get("iss", settings.issuer if may_lack_issuer else None)
    if issuer != settings.issuer:
        raise NotProved("the token comes from another provider")
    times = {name: claims.get(name) for name in ("exp", "nbf", "iat")}
    for value in times.values():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise NotProved("the token has a time that is none")
    ends, begins, made = times["exp"], times["nbf"], times["iat"]
    if ends is None and needs_expiry:
        raise NotProved("the token does not say when it ends")
    if ends is not None and now >= ends + settings.skew_s:
        raise NotProved("the token has ended")
    if any(one is not None and one > now + settings.skew_s for one in (begins, made)):
        raise NotProved("the token is not good yet")


def _audience(claims: Mapping[str, Any]) -> tuple[str, ...]:
    said = claims.get("aud")
    listed = said if isinstance(said, list) else [said]
    return tuple(one for one in listed if isinstance(one, str))


def _scopes(claims: Mapping[str, Any]) -> set[str]:
    """`scope` (RFC 9068 §2.2.3), or `scp` as some providers write it."""
    found: set[str] = set()
    for name in ("scope", "scp"):
        said = claims.get(name)
        if isinstance(said, str):
            found.update(said.split(" "))
        elif isinstance(said, list):
            found.update(one for one in said if isinstance(one, str))
    return found


def _address(text: str) -> str:
    address = parse_address(text, smtputf8=True) if len(text) <= 320 else None
    return address.key if address is not None and address.domain else ""


def _public_key(one: object) -> Any:
    """One key of a set; None when it is of no use here."""
    if (
        not isinstance(one, dict)
        or one.get("kty") not in ("RSA", "EC", "OKP")
        or one.get("use", "sig") != "sig"
    ):
        return None
    modulus = one.get("n", "")
    if one["kty"] == "RSA" and (not isinstance(modulus, str) or len(modulus) * 6 < RSA_BITS):
        return None
    public = {
        name: value for name, value in one.items() if name not in ("d", "p", "q", "dp", "dq", "qi", "oth")
    }
    try:
        return jwk.import_key(public)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
