"""What a trusted forwarder sealed about a message: ARC-Authentication-Results (RFC 8617 §4.1.1).

A seal is believed only where it and every later one are of trusted domains: whoever seals last vouches
for all that the message became on its way. Left out: everything but DMARC's result and its ``header.from``.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatepost.mail.authresults import ArcResult
from gatepost.mailauth.header import parse_authentication_results


def sealed_pass(arc: ArcResult, author_domain: str | None, trusted: Sequence[str]) -> str | None:
    """The trusted domain whose sealed results say that DMARC passed for `author_domain`, else None."""
    if arc.result != "pass" or author_domain is None or not trusted:
        return None
    for sealer, payload in zip(reversed(arc.sealers), reversed(arc.authentication_results), strict=False):
        if sealer.lower() not in trusted:
            return None
        if says_dmarc_pass(payload, author_domain):
            return sealer
    return None


def says_dmarc_pass(payload: str, author_domain: str) -> bool:
    """Does an Authentication-Results payload hold ``dmarc=pass`` for this very domain?

    One that names no domain, or is malformed anywhere, says nothing.
    """
    parsed = parse_authentication_results(payload)
    if parsed is None:
        return False
    return any(
        one.method == "dmarc"
        and one.result == "pass"
        and any(name == "header.from" and value.lower() == author_domain for name, value in one.properties)
        for one in parsed.results
    )
