"""Who a message is proved to be from: the identity that memory and allow entries go by.

A proved identity is the author's domain, where DMARC passed, or where there is no DMARC policy and an
aligned signature or SPF passed (RFC 9989 §4.4, relaxed). Nothing unproved has an identity.
"""

from __future__ import annotations

from gatepost.dns.names import registrable_domain
from gatepost.mail.author import authors
from gatepost.mail.client import Mail

SHARED_DOMAINS = frozenset(
    [
        "gmail.com",
        "googlemail.com",
        "outlook.com",
        "hotmail.com",
        "live.com",
        "msn.com",
        "yahoo.com",
        "ymail.com",
        "aol.com",
        "icloud.com",
        "me.com",
        "mac.com",
        "proton.me",
        "protonmail.com",
        "gmx.net",
        "gmx.de",
        "web.de",
        "mail.ru",
        "yandex.ru",
        "qq.com",
        "163.com",
        "126.com",
        "t-online.de",
        "orange.fr",
        "free.fr",
        "libero.it",
        "wp.pl",
        "seznam.cz",
        "zoho.com",
        "fastmail.com",
    ]
)
"""Domains whose users are strangers to each other: one of them says nothing about the next."""


def proved_domain(mail: Mail) -> str | None:
    """The author's domain where it is proved, else None."""
    auth = mail.auth
    author = auth.dmarc.author_domain
    if author is None:
        return None
    if auth.dmarc.result == "pass":
        return author
    if auth.dmarc.result not in ("none", "permerror"):
        return None
    organisation = registrable_domain(author) or author
    if any(one.result == "pass" and one.covers_all and _same(one.domain, organisation) for one in auth.dkim):
        return author
    spf = auth.spf_mail_from
    return author if spf.result == "pass" and _same(spf.domain, organisation) else None


def claimed_identity(mail: Mail) -> str | None:
    """The identity of `correspondent`, were the author proved; None where there is no one author."""
    author = authors(mail.message)
    domain = author.domain
    if domain is None or domain not in SHARED_DOMAINS:
        return domain
    sender = mail.envelope.sender
    return sender.key if sender is not None and sender.domain == domain else author.addresses[0].key


def _same(domain: str, organisation: str) -> bool:
    return (registrable_domain(domain) or domain) == organisation


def correspondent(mail: Mail) -> str | None:
    """Under which identity memory knows the sender; None when nothing is proved.

    The proved domain; for a domain shared by strangers the envelope sender's address, if it is of that domain.
    """
    domain = proved_domain(mail)
    if domain is None or domain not in SHARED_DOMAINS:
        return domain
    sender = mail.envelope.sender
    return sender.key if sender is not None and sender.domain == domain else None
