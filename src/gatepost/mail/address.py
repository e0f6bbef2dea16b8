"""Mail addresses in one normal form (RFC 5321 §4.1.2, RFC 6531 §3.3, IDNA by RFC 5891)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox. Two addresses are the same mailbox when they compare equal by `key`."""

    local: str
    """The local part without quoting, case kept (RFC 5321 §2.4)."""
    domain: str
    """Lower-case A-labels without a final dot, or a literal such as ``[192.0.2.1]``; empty only for ``<postmaster>``."""
