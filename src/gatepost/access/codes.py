"""One-time codes of an authenticator app: TOTP (RFC 6238) with the usual six digits, 30 seconds and SHA-1."""

from __future__ import annotations

import hmac
from base64 import b32encode

import pyotp

STEP_S = 30
SEED_OCTETS = 20


def fitting_step(seed: bytes, code: str, *, now: float, after: int) -> int | None:
    """The step this code belongs to: this one or a neighbour (RFC 6238 §5.2), later than `after`; None: it does not fit.

    Keep the step, and give it as `after` next time: then no code is taken twice.
    """
    typed = "".join(code.split())
    generator = pyotp.TOTP(b32encode(seed).decode())
    current = int(now // STEP_S)
    found = None
    for step in (current - 1, current, current + 1):  # always all three: the same work for every code
        right = hmac.compare_digest(generator.generate_otp(step), typed) if typed.isascii() else False
        if right and step > after:
            found = step
    return found


def shown(seed: bytes, *, login: str, issuer: str) -> tuple[str, str]:
    """The seed as a person types it, and as the URI of a QR code."""
    secret = b32encode(seed).decode()
    return secret, pyotp.TOTP(secret).provisioning_uri(name=login, issuer_name=issuer)
