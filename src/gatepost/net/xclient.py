"""Who the client is when a trusted front says so with XCLIENT (Postfix, XCLIENT_README).

Attributes arrive decoded from xtext. NAME, DESTADDR and DESTPORT are accepted and not used: reverse DNS is
looked up by ourselves, and the listener is the one connected to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address

from gatepost.mail.client import Client
from gatepost.smtp.proxy import unmapped

_UNKNOWN = frozenset({"[UNAVAILABLE]", "[TEMPUNAVAIL]"})
_HELLO_MAX = 255


def client_named(client: Client, attributes: Mapping[str, str]) -> Client | str:
    """The client as the front names it, everything else as it is; or what is wrong, in a few words."""
    for name, value in attributes.items():
        known = None if value.upper() in _UNKNOWN else value
        match name.upper():
            case "ADDR":
                try:
                    ip = None if known is None else unmapped(ip_address(known.upper().removeprefix("IPV6:")))
                except ValueError:
                    return "bad ADDR"
                client = replace(client, ip=ip)
            case "PORT":
                if known is not None and not (
                    known.isascii() and known.isdecimal() and int(known[:6]) <= 65535
                ):
                    return "bad PORT"
                client = replace(client, port=int(known or 0))
            case "HELO":
                client = replace(client, hello=(known or "")[:_HELLO_MAX])
            case "PROTO":
                if known is not None and known.upper() not in {"SMTP", "ESMTP"}:
                    return "bad PROTO"
                client = replace(client, extended=known is None or known.upper() == "ESMTP")
            case "LOGIN":
                client = replace(client, user=known or None)
            case "NAME" | "DESTADDR" | "DESTPORT" | "REVERSE_NAME":
                pass
            case _:
                return f"unknown attribute {name[:20]}"
    return client
