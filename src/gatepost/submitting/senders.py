"""Who may write as whom: RFC 6409 §6.1, in words a person understands.

An account may write as its own addresses and those delegated to it; a machine of the own network that need not sign
in, as any address of our domains. What may be written as is a list of addresses and of ``@domain``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gatepost.mail.address import Address, parse_address, printable
from gatepost.mail.client import Client

NAMED = 5
"""Addresses that are named before the rest is counted."""


def allowed(client: Client) -> tuple[str, ...]:
    """The addresses (``ana@example.net``) and domains (``@example.net``) that `client` may write as, lower case.

    Where none are named, the account's login, if it is an address. Nothing for strangers.
    """
    if not client.account:
        return ()
    login = parse_address(client.user, smtputf8=True) if client.user is not None else None
    own = (login.key,) if login is not None else ()
    return tuple(dict.fromkeys(map(_normal, client.sends_as))) or own


def _normal(text: str) -> str:
    address = None if text.startswith("@") else parse_address(text, smtputf8=True)
    return text.lower() if address is None else address.key


def as_machine(client: Client, own_domains: Sequence[str], named: Sequence[str]) -> Client:
    """A machine that need not sign in, with what it may write as: `named`, or every address of `own_domains`, of which
    one that begins with a dot means all names below it. Any other client as it is."""
    if client.user is not None or not client.excused:
        return client
    return replace(client, sends_as=tuple(named) or tuple(f"@{one}" for one in own_domains))


def may_write_as(address: Address, among: Sequence[str]) -> bool:
    """Is the address one of those?"""
    if not address.domain:
        return False
    whole = f"@{address.domain}"
    return any(
        one in (address.key, whole) or (one.startswith("@.") and address.domain.endswith(one[1:]))
        for one in among
    )


def in_words(among: Sequence[str]) -> str:
    """Those addresses, for a sentence that refuses another one."""
    if not among:
        return "no address"
    told = [f"any address at {one.removeprefix('@')}" if one.startswith("@") else one for one in among]
    shown = [printable(one, 100) for one in told[:NAMED]]
    more = len(told) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
