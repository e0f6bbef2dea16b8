"""What people type when they name an address or a language: in its normal form, or what is wrong with it in words."""

from __future__ import annotations

from gatepost.mail.address import normal_domain, parse_address, printable
from gatepost.office.office import Impossible

LANGUAGES = ("en", "ja")


def address_of(text: str) -> str:
    """An address in its normal form. Raises Impossible."""
    address = parse_address(text.strip(), smtputf8=True)
    if address is None or not address.domain or address.domain.startswith("["):
        raise Impossible(f"{printable(text, 100)} is no mail address such as ana@example.net.")
    return address.key


def sender_of(text: str) -> str:
    """An address, or ``@domain`` for every address of a domain. Raises Impossible."""
    if text.strip().startswith("@"):
        domain = normal_domain(text.strip()[1:])
        if domain is None:
            raise Impossible(f"{printable(text, 100)} is no domain such as @example.net.")
        return f"@{domain}"
    return address_of(text)


def language_of(text: str) -> str:
    """One of ours. Raises Impossible."""
    if text not in LANGUAGES:
        raise Impossible(f"{printable(text, 20)} is no language of ours: {', '.join(LANGUAGES)}.")
    return text
