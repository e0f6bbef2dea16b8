"""Who handed the mail to a front of ours, read from the trace field the front wrote (RFC 5321 §4.4).

Only the field on top is believed, and only because the host that wrote it is ours; below it anything may
be forged. The usual forms are understood: ``from HELO (NAME [IP])`` (Postfix, Sendmail, Exim with
``helo=``) and ``from HELO (IP)`` (Exchange).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Network, ip_address

from gatepost.mail.client import Client, IpAddress
from gatepost.mail.message import Message

Networks = Collection[IPv4Network | IPv6Network]

MAX_FIELD_OCTETS = 2000
MAX_HOPS = 10
FROM_CLAUSE = re.compile(rb"\s*from\s+(\S{1,255})(.{0,600})", re.IGNORECASE | re.DOTALL)
BY_CLAUSE = re.compile(rb"\sby\s", re.IGNORECASE)
ADDRESS = re.compile(rb"[\[(](?:IPv6:)?([0-9A-Fa-f:.]{3,45})[\])]", re.IGNORECASE)
HELO_COMMENT = re.compile(rb"helo=([^\s()\[\]]{1,255})", re.IGNORECASE)


def within(ip: IpAddress | None, networks: Networks) -> bool:
    """Is the address in one of the networks?"""
    return ip is not None and any(ip.version == network.version and ip in network for network in networks)


def client_behind(client: Client, message: Message, trusted: Networks) -> Client:
    """The client that a trusted relay took the mail from; `client` itself when it is no relay of ours.

    Each Received field names the host its writer took the mail from; as long as that is again a relay of
    ours the next field down is believed as well. When the trail ends inside, the address is None: the
    mail was born on our side, and nobody's address can be looked up.
    """
    if not within(client.ip, trusted):
        return client
    for value in message.values(b"received")[:MAX_HOPS]:
        seen = read_from_clause(value)
        if seen is None:
            break
        ip, hello = seen
        if not within(ip, trusted):
            return replace(client, ip=ip, hello=hello, port=0, tls=None)
    return replace(client, ip=None, hello="", port=0, tls=None)


def topmost_client(message: Message, trusted: Networks) -> tuple[IpAddress, str] | None:
    """For a message from a file: the client in the topmost Received that no relay of ours appears in."""
    for value in message.values(b"received")[:MAX_HOPS]:
        seen = read_from_clause(value)
        if seen is None:
            return None
        if not within(seen[0], trusted):
            return seen
    return None


def read_from_clause(value: bytes) -> tuple[IpAddress, str] | None:
    """The address and EHLO name of a Received field's ``from`` clause; None when it has no address."""
    match = FROM_CLAUSE.match(value[:MAX_FIELD_OCTETS])
    if match is None:
        return None
    hello, rest = match[1], match[2]
    by = BY_CLAUSE.search(rest)
    clause = rest[: by.start()] if by else rest
    found = ADDRESS.search(clause) or ADDRESS.search(hello)
    if found is None:
        return None
    try:
        ip = ip_address(found[1].decode("ascii"))
    except ValueError:
        return None
    told = HELO_COMMENT.search(clause)
    return ip, (told[1] if told else hello).decode("ascii", "replace")
