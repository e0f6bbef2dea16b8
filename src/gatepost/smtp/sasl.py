"""Server side of the SASL exchanges: PLAIN, LOGIN, SCRAM-SHA-256, OAUTHBEARER, EXTERNAL (RFC 4616, 5802, 7677, 7628,
4422), XOAUTH2.

Each exchange turns lines into a `Credentials` value; whether it is good is decided elsewhere. Nothing here
keeps or shows a secret: no repr has one. Leaves out channel binding (SCRAM-SHA-256-PLUS).
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Generator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Password:
    """PLAIN or LOGIN: a name and the password in the clear."""

    user: str
    password: str = field(repr=False)
    authorize_as: str = ""
    """The identity to act as (RFC 4616 §2); empty: the user's own."""


@dataclass(frozen=True, slots=True)
class Token:
    """OAUTHBEARER or XOAUTH2: a bearer token (RFC 7628 §3.1)."""

    user: str
    """The gs2 authorization identity; may be empty, the token then says who it is."""
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Proof:
    """SCRAM: whether the client proved that it knows the password; the machine has checked it against the keys."""

    user: str
    proven: bool
    authorize_as: str = ""


@dataclass(frozen=True, slots=True)
class External:
    """EXTERNAL: what the connection proves, a client certificate (RFC 4422 appendix A)."""

    authorize_as: str = ""
    """The identity to act as; empty: what the certificate says."""


Credentials = Password | Token | Proof | External


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What is stored instead of a password (RFC 5802 §3). For an unknown user give keys that look alike."""

    salt: bytes = field(repr=False)
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)
    nonce: str = ""
    """Fresh for each exchange, printable ASCII without comma, 18 random octets at least."""

    @classmethod
    def of_password(cls, password: str, *, salt: bytes, iterations: int, nonce: str = "") -> ScramKeys:
        """Derive them (RFC 5802 §3, RFC 7677): slow on purpose."""
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
        client_key = _hmac(salted, b"Client Key")
        return cls(salt, iterations, hashlib.sha256(client_key).digest(), _hmac(salted, b"Server Key"), nonce)


@dataclass(frozen=True, slots=True)
class KeysFor:
    """The exchange needs the stored keys of this user before it can go on."""

    user: str


class Malformed(Exception):
    """The client's line is not what the mechanism says. It never leaves this module."""


# An exchange yields the challenge to send (octets before base64), or KeysFor; it is sent the client's response,
# or ScramKeys; it returns the credentials.
_Exchange = Generator["bytes | KeysFor", "bytes | ScramKeys", Credentials]


class Exchange:
    """One AUTH in progress."""

    __slots__ = ("_running", "mechanism")

    def __init__(self, mechanism: str) -> None:
        self.mechanism = mechanism
        self._running = _EXCHANGES[mechanism]()

    def start(self, initial: str | None) -> bytes | KeysFor | Credentials | None:
        """Begin, with the initial response of the AUTH command if there was one (RFC 4954 §4); None: malformed."""
        first = next(self._running)
        if initial is None:
            return first
        return self.respond("" if initial == "=" else initial)

    def respond(self, line: str) -> bytes | KeysFor | Credentials | None:
        """The client's next line, in base64: a challenge, a question for keys, the credentials, or None: malformed."""
        try:
            return self._send(b64decode(line, validate=True))
        except (binascii.Error, ValueError):
            return None

    def keys(self, keys: ScramKeys) -> bytes | KeysFor | Credentials | None:
        """The answer to `KeysFor`."""
        return self._send(keys)

    def _send(self, value: bytes | ScramKeys) -> bytes | KeysFor | Credentials | None:
        try:
            return self._running.send(value)
        except StopIteration as finished:
            credentials: Credentials = finished.value
            return credentials
        except (Malformed, UnicodeDecodeError):
            return None


def encoded(challenge: bytes) -> str:
    """The text of a 334 reply."""
    return b64encode(challenge).decode("ascii")


# RFC 7628 §3.2.2: the error goes out as a challenge, and the client answers before the 535.
TOKEN_REFUSED = b'{"status":"invalid_token"}'


def _plain() -> _Exchange:
    """message = [authzid] UTF8NUL authcid UTF8NUL passwd   RFC 4616 §2"""
    response = yield b""
    parts = _text(response).split("\0")
    if len(parts) != 3 or not parts[1] or not parts[2]:
        raise Malformed
    return Password(parts[1], parts[2], parts[0])


def _login() -> _Exchange:
    """Two prompts; never standardised, and still what many devices speak."""
    user = _text((yield b"Username:"))
    password = _text((yield b"Password:"))
    if not user or not password or "\0" in user + password:
        raise Malformed
    return Password(user, password)


# client-resp = (gs2-header kvsep *kvpair kvsep); kvpair = key "=" value kvsep; kvsep = %x01   RFC 7628 §3.1
_BEARER = re.compile(r"n,(?:a=([^,\x01]*))?,\x01((?:[A-Za-z]+=[^\x01]*\x01)*)\x01")


def _oauthbearer() -> _Exchange:
    match = _BEARER.fullmatch(_text((yield b"")))
    if not match:
        raise Malformed
    pairs = dict(pair.split("=", 1) for pair in match[2].split("\x01") if pair)
    scheme, _, token = pairs.get("auth", "").partition(" ")
    if scheme.lower() != "bearer" or not re.fullmatch(r"[A-Za-z0-9._~+/-]+=*", token):
        raise Malformed
    return Token(_saslname(match[1] or ""), token)


# "user=" user ^A "auth=Bearer " token ^A ^A: what was spoken before RFC 7628, and still is by most mail programs.
_XOAUTH2 = re.compile(r"user=([^\x01]*)\x01auth=[Bb]earer ([A-Za-z0-9._~+/-]+=*)\x01\x01")


def _xoauth2() -> _Exchange:
    """Never standardised. A refusal goes as OAUTHBEARER's does, but the client's nod is an empty line."""
    match = _XOAUTH2.fullmatch(_text((yield b"")))
    if not match or "\0" in match[1]:
        raise Malformed
    return Token(match[1], match[2])


def _external() -> _Exchange:
    """The authorization identity, mostly empty   RFC 4422 appendix A.1"""
    name = _text((yield b""))
    if "\0" in name:
        raise Malformed
    return External(name)


# client-first-message = gs2-header "n=" saslname ",r=" c-nonce; no mandatory extensions   RFC 5802 §7
_CLIENT_FIRST = re.compile(r"([ny],(?:a=([^,]*))?,)(n=([^,]+),r=([!-+\--~]+))(?:,[A-Za-z]=[^,]*)*")
# client-final-message = "c=" base64 ",r=" nonce *("," ext) ",p=" base64
_CLIENT_FINAL = re.compile(r"(c=([A-Za-z0-9+/=]+),r=([!-+\--~]+)(?:,[A-Za-z]=[^,]*)*),p=([A-Za-z0-9+/=]+)")


def _scram_sha_256() -> _Exchange:
    first = _CLIENT_FIRST.fullmatch(_text((yield b"")))
    if not first:
        raise Malformed
    header, authorize_as, bare, user = (
        first[1],
        _saslname(first[2] or ""),
        first[0][len(first[1]) :],
        _saslname(first[4]),
    )
    keys = yield KeysFor(user)
    if not isinstance(keys, ScramKeys):
        raise Malformed
    nonce = first[5] + keys.nonce
    server_first = f"r={nonce},s={encoded(keys.salt)},i={keys.iterations}"
    final = _CLIENT_FINAL.fullmatch(_text((yield server_first.encode())))
    if not final:
        raise Malformed
    signed = f"{bare},{server_first},{final[1]}".encode()
    signature = _hmac(keys.stored_key, signed)
    proof = _unbase64(final[4])
    client_key = bytes(a ^ b for a, b in zip(proof, signature, strict=False))
    proven = (
        hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key)
        and len(proof) == len(signature)
        and hmac.compare_digest(final[3], nonce)
        and _unbase64(final[2]) == header.encode()
    )
    if proven:
        # The last word is the server's, and the client nods with an empty line (RFC 5802 §5, RFC 4954 §4).
        nod = yield b"v=" + b64encode(_hmac(keys.server_key, signed))
        if nod != b"":
            raise Malformed
    return Proof(user, proven, authorize_as)


_EXCHANGES = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "SCRAM-SHA-256": _scram_sha_256,
    "OAUTHBEARER": _oauthbearer,
    "XOAUTH2": _xoauth2,
    "EXTERNAL": _external,
}
MECHANISMS = tuple(_EXCHANGES)
"""What `dialect.Offers.auth` may name."""


def _text(response: bytes | ScramKeys) -> str:
    if isinstance(response, ScramKeys):
        raise Malformed
    return response.decode("utf-8")


def _saslname(text: str) -> str:
    """=2C and =3D stand for comma and equals (RFC 5802 §5.1); any other use of "=" is an error."""
    if re.search(r"=(?!2C|3D)", text) or "\0" in text:
        raise Malformed
    return text.replace("=2C", ",").replace("=3D", "=")


def _unbase64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed from None


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
