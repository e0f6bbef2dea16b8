"""The parameters of MAIL FROM and RCPT TO as a client says them: only as far as the other side offers them.

SIZE (RFC 1870), 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531), REQUIRETLS (RFC 8689), DSN (RFC 3461). What a message
needs and a host does not offer is a failure in words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gatepost.smtp.framing import fault_in
from gatepost.smtp.sending import Outcome, Outgoing, OutgoingRecipient, failed

CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NOT_XTEXT = re.compile(rb"[^!-*,-<>-~]")
_NOT_QCHAR = re.compile(r"[^!-*,-<>-\[\]-~]")
_ADDRESS_TYPE = re.compile(r"[A-Za-z0-9-]{1,40}")
_HEADER_END = b"\r\n\r\n"
NO_SMTPUTF8 = "The next host does not take internationalised mail (SMTPUTF8)."


def mail_parameters(
    message: Outgoing, offered: Mapping[str, str], *, verified_tls: bool, eight_bit_anyway: bool
) -> str | Outcome:
    """The parameters of MAIL FROM, or why this message cannot go to this host."""
    octets = message.octets or b""
    said: list[str] = []
    if CONTROL.search(message.sender):
        return failed("5.1.7", "The sender's address cannot be written in SMTP.")
    wide = _is_international(message, octets)
    if "SMTPUTF8" in offered:
        if wide or not all(one.address.isascii() for one in message.recipients):
            said.append("SMTPUTF8")
    elif wide:  # RFC 6531 §3.2, RFC 6533
        return failed("5.6.7", NO_SMTPUTF8)
    if fault := fault_in(octets):
        return failed("5.6.0", f"The message cannot be sent on as it is ({fault.value}).")
    if message.body == "BINARYMIME":
        return failed("5.6.1", "The message is BINARYMIME, which is not sent on.")
    if not octets.isascii() or message.body == "8BITMIME":
        if "8BITMIME" in offered:
            said.append("BODY=8BITMIME")
        elif not octets.isascii() and not eight_bit_anyway:  # RFC 6152 §3
            return failed("5.6.3", "The message has 8-bit content and the next host takes 7-bit only.")
    if "SIZE" in offered and octets:
        limit = offered["SIZE"].strip()
        if limit.isdecimal() and len(limit) < 20 and 0 < int(limit) < len(octets):
            return failed("5.3.4", f"The message has {len(octets)} octets; the next host takes {limit}.")
        said.append(f"SIZE={len(octets)}")
    if message.require_tls:
        if not (verified_tls and "REQUIRETLS" in offered):  # RFC 8689 §4.2.1
            return failed("5.7.30", "REQUIRETLS is asked for and the next host does not support it.")
        said.append("REQUIRETLS")
    if "DSN" in offered:
        if message.ret in ("FULL", "HDRS"):
            said.append(f"RET={message.ret}")
        if message.envid:
            said.append(f"ENVID={xtext(message.envid)}")
    return "".join(f" {one}" for one in said)


def unfit_recipient(recipient: OutgoingRecipient, offered: Mapping[str, str]) -> Outcome | None:
    """Why this one cannot be named to this host, whatever becomes of the others."""
    if CONTROL.search(recipient.address):
        return failed("5.1.3", "The recipient's address cannot be written in SMTP.")
    if not recipient.address.isascii() and "SMTPUTF8" not in offered:
        return failed("5.6.7", NO_SMTPUTF8)
    return None


def rcpt_parameters(recipient: OutgoingRecipient, offered: Mapping[str, str]) -> str:
    """The parameters of RCPT TO."""
    if "DSN" not in offered:
        return ""
    said = ""
    if recipient.notify:
        said += f" NOTIFY={','.join(sorted(recipient.notify))}"
    kind, _, address = (recipient.orcpt or "").partition(";")
    if address and _ADDRESS_TYPE.fullmatch(kind):
        said += f" ORCPT={kind};{unicode_xtext(address) if kind.lower() == 'utf-8' else xtext(address)}"
    return said


def xtext(text: str) -> str:
    """RFC 3461 §4: everything but printable ASCII without "+" and "=" as "+XX"."""
    octets = text.encode("utf-8", "surrogateescape")
    return _NOT_XTEXT.sub(lambda found: b"+%02X" % found[0][0], octets).decode("ascii")


def unicode_xtext(text: str) -> str:
    """RFC 6533 §3, utf-8-addr-xtext: what any host takes for an address beyond ASCII, such as ``\\x{FC}``."""
    return _NOT_QCHAR.sub(lambda found: f"\\x{{{ord(found[0]):X}}}", text)


def _is_international(message: Outgoing, octets: bytes) -> bool:
    """Does all of it need SMTPUTF8: a sender beyond ASCII, or a header that came as such (RFC 6531 §3.4)?"""
    if not message.sender.isascii():
        return True
    return message.smtputf8 and not octets[: octets.find(_HEADER_END) + 1 or None].isascii()
