"""Secrets that we make: session tokens, links, recovery codes, app passwords. Random and long, so a hash keeps them.

`random` octets come from the caller. What is kept is never what is shown.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b32encode, urlsafe_b64encode
from dataclasses import dataclass, field

TOKEN_OCTETS = 32
RECOVERY_CODES = 10
RECOVERY_OCTETS = 10
"""80 bits: 16 characters."""
SELECTOR_OCTETS = 4
SECRET_OCTETS = 15
"""120 bits: 24 characters."""
_APP_PASSWORD = re.compile(r"([0-9a-f]{8})([a-z2-7]{24})")
_RECOVERY = re.compile(r"[a-z2-7]{16}")


def token(random: bytes) -> str:
    """A token of 256 bits for a cookie or a link."""
    return urlsafe_b64encode(random).decode().rstrip("=")


def digest(secret: str) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def recovery_code(random: bytes) -> str:
    """As it is shown: four groups of four."""
    return _grouped(b32encode(random).decode().lower())


def recovery_digest(account: int, typed: str) -> bytes:
    """What is kept of a recovery code of this account, however it is typed; what is none has a digest, too."""
    plain = _plain(typed)
    return digest(f"{account}:{plain if _RECOVERY.fullmatch(plain) else ''}")


@dataclass(frozen=True, slots=True)
class AppPassword:
    """An app password, taken apart."""

    selector: str
    """Finds it; no secret."""
    secret: str = field(repr=False)

    def __str__(self) -> str:
        """As it is shown."""
        return f"{self.selector}-{_grouped(self.secret)}"


def app_password(random: bytes) -> AppPassword:
    """Made of `SELECTOR_OCTETS` and `SECRET_OCTETS` random octets."""
    selector, secret = random[:SELECTOR_OCTETS], random[SELECTOR_OCTETS:]
    return AppPassword(selector.hex(), b32encode(secret).decode().lower())


def read_app_password(typed: str) -> AppPassword | None:
    """With or without blanks and dashes, in either case; None when it cannot be one: perhaps it is the account's."""
    match = _APP_PASSWORD.fullmatch(_plain(typed))
    return AppPassword(match[1], match[2]) if match else None


def app_password_digest(secret: str, salt: bytes) -> bytes:
    """What is kept of an app password's secret."""
    return hashlib.sha256(salt + secret.encode("ascii")).digest()


def same(one: bytes, other: bytes) -> bool:
    """Equal? Takes as long either way."""
    return hmac.compare_digest(one, other)


def _plain(typed: str) -> str:
    return "".join(typed[:200].split()).replace("-", "").lower()


def _grouped(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))
