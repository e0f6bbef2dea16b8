"""Is this mail going round in circles? Received fields are counted (RFC 5321 §6.3), Delivered-To is read (RFC 9228)."""

from __future__ import annotations

from gatepost.mail.address import Address

_HEADER_MOST_OCTETS = 1 << 20


def loop_in(octets: bytes, to: str, *, received_most: int) -> str | None:
    """One sentence when the message has been here before, else None. `to` is the address it is delivered to now."""
    header = octets[: octets.find(b"\r\n\r\n", 0, _HEADER_MOST_OCTETS) + 2 or _HEADER_MOST_OCTETS]
    lower = b"\n" + header.lower()
    hops = lower.count(b"\nreceived:")
    if hops > received_most:
        return f"The message has {hops} Received fields: it is in a loop."
    start = lower.find(b"\ndelivered-to:")
    wanted = to.lower().encode()
    while start >= 0:
        end = lower.find(b"\r\n", start)
        value = lower[start + 14 : end if end >= 0 else None].strip().strip(b"<>")
        if value == wanted:
            return f"The message was delivered to {to} before: it is in a loop."
        start = lower.find(b"\ndelivered-to:", start + 14)
    return None


def trace_of(to: Address, sender: str | None = None) -> bytes:
    """Delivered-To (RFC 9228) and, for final delivery, Return-Path (RFC 5321 §4.4) in front of it."""
    return_path = b"" if sender is None else f"Return-Path: <{sender}>\r\n".encode()
    return return_path + f"Delivered-To: {to}\r\n".encode()
