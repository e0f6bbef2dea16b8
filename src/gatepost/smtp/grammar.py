"""Command arguments: ABNF as compiled patterns, quoted above each. Text in, a value or a refusal out.

RFC 5321 §4.1, RFC 1870 (SIZE), RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8), RFC 3461 (DSN), RFC 4954 §5 (AUTH=),
RFC 8689 (REQUIRETLS), and Postfix's XCLIENT. Leaves out whether a command may be said now: that is the machine's.
"""

from __future__ import annotations

import re
from functools import lru_cache

from gatepost.mail.address import Address, normal_domain, parse_address
from gatepost.mail.client import Recipient
from gatepost.smtp.dialect import XCLIENT_ATTRIBUTES
from gatepost.smtp.events import MailFrom, RcptTo, XClient
from gatepost.smtp.reply import BAD_ARGUMENT, Reply

# Path = "<" [ A-d-l ":" ] Mailbox ">"; the mailbox itself is read by mail.address   RFC 5321 §4.1.2
# Blanks behind the colon are no part of the grammar, but of much mail (RFC 5321 §3.3 speaks of them).
_PATH = r' *<([^">]*(?:"(?:[^"\\]|\\.)*"[^">]*)*)>(?: +(.*))?'
_MAIL = re.compile(r"FROM:" + _PATH, re.IGNORECASE)
_RCPT = re.compile(r"TO:" + _PATH, re.IGNORECASE)
# A-d-l = At-domain *( "," At-domain ); "MUST BE accepted, SHOULD NOT be generated, and SHOULD be ignored"
_ROUTE = re.compile(r"@([^@:,\"]+)(?:,@([^@:,\"]+))*:")
# esmtp-param = esmtp-keyword ["=" esmtp-value]   RFC 5321 §4.1.2; "=" within a value is seen in the wild
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*)(?:=([^\x00-\x20\x7f]+))?")
# xtext = *( xchar / hexchar ); hexchar = "+" 2(%x30-39 / %x41-46)   RFC 3461 §4
_XTEXT = re.compile(r"(?:[!-*,-~]|\+[0-9A-Fa-f]{2})*")
_HEXCHAR = re.compile(r"\+([0-9A-Fa-f]{2})")
# EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"   RFC 6533 §3
_EMBEDDED = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_SIZE = re.compile(r"[0-9]{1,20}")
_CHUNK = re.compile(r"([0-9]{1,20})(?: +(LAST))? *", re.IGNORECASE)
# Domain / address-literal (RFC 5321 §4.1.1.1); real clients say stranger names, and a check judges those.
_HELLO = re.compile(r"[!-~]{1,255}")
_NOTIFY = frozenset({"NEVER", "SUCCESS", "FAILURE", "DELAY"})
_BODIES = frozenset({"7BIT", "8BITMIME", "BINARYMIME"})
_MOST_PARAMETERS = 20
_NO_FIELDS: dict[str, object] = {}

# Whoever says these speaks HTTP, or was sent here by a browser or a proxy that does.
_HTTP = frozenset(["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PRI", "PUT", "TRACE"])
# A header field where a command should be: HTTP again, or a message whose DATA was refused.
_FIELD = re.compile(r"[A-Z0-9-]+:")

MAIL_SYNTAX = Reply(501, "5.5.4", "Syntax: MAIL FROM:<address> [parameters]")
RCPT_SYNTAX = Reply(501, "5.5.4", "Syntax: RCPT TO:<address> [parameters]")
BAD_SENDER = Reply(501, "5.1.7", "Bad sender address syntax")
BAD_RECIPIENT = Reply(501, "5.1.3", "Bad recipient address syntax")
NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "Addresses beyond ASCII need SMTPUTF8")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "Parameter not recognised or not implemented")
BAD_PARAMETER = Reply(501, "5.5.4", "Parameter value not valid")


def foreign(verb: str) -> str | None:
    """Which other language a line speaks that starts with this word, in upper case: ``http``, ``header-field``."""
    if verb in _HTTP:
        return "http"
    return "header-field" if verb.endswith(":") and _FIELD.fullmatch(verb) else None


def parse_hello(argument: str) -> str | None:
    """The name a client gives itself, exactly as said; None when it is empty or has blanks or worse."""
    return argument if _HELLO.fullmatch(argument) else None


def parse_mail(argument: str, *, binarymime: bool, requiretls: bool) -> MailFrom | Reply:
    """The argument of MAIL (RFC 5321 §4.1.1.2), or the refusal of it."""
    match = _MAIL.fullmatch(argument)
    if not match:
        return MAIL_SYNTAX
    path, trailer = match.groups()
    smtputf8, fields = False, _NO_FIELDS
    if trailer:
        parameters = _parameters(trailer)
        if isinstance(parameters, Reply):
            return parameters
        read = _mail_parameters(parameters, binarymime=binarymime, requiretls=requiretls)
        if isinstance(read, Reply):
            return read
        smtputf8, fields = "SMTPUTF8" in parameters, read
    if not smtputf8 and not argument.isascii():
        return NEEDS_SMTPUTF8
    sender = None
    if path:
        sender = parse_address(_without_route(path), smtputf8=smtputf8)
        if sender is None:
            return BAD_SENDER
    return MailFrom(sender, smtputf8=smtputf8, **fields)  # type: ignore[arg-type]


def parse_rcpt(argument: str, *, smtputf8: bool) -> RcptTo | Reply:
    """The argument of RCPT (RFC 5321 §4.1.1.3), or the refusal of it; `smtputf8`: as MAIL declared."""
    return _rcpt(argument, smtputf8)


@lru_cache(maxsize=1024)
def _rcpt(argument: str, smtputf8: bool) -> RcptTo | Reply:
    # Remembered, because mail is for the same people all the time.
    match = _RCPT.fullmatch(argument)
    if not match:
        return RCPT_SYNTAX
    if not smtputf8 and not argument.isascii():
        return NEEDS_SMTPUTF8
    path, trailer = match.groups()
    if path.lower() == "postmaster":
        address: Address | None = Address("postmaster", "")
    else:
        address = parse_address(_without_route(path), smtputf8=smtputf8)
    if address is None:
        return BAD_RECIPIENT
    if not trailer:
        return RcptTo(Recipient(address=address))
    parameters = _parameters(trailer)
    if isinstance(parameters, Reply):
        return parameters
    notify: frozenset[str] = frozenset()
    orcpt = None
    for keyword, value in parameters.items():
        if keyword == "NOTIFY":
            notify = frozenset((value or "").upper().split(","))
            if not notify <= _NOTIFY or ("NEVER" in notify and len(notify) > 1):
                return BAD_PARAMETER
        elif keyword == "ORCPT":
            orcpt = _original_recipient(value or "")
            if orcpt is None:
                return BAD_PARAMETER
        else:
            return UNKNOWN_PARAMETER
    return RcptTo(Recipient(address=address, notify=notify, orcpt=orcpt))


def parse_chunk(argument: str) -> tuple[int, bool] | None:
    """Octets of a BDAT chunk, and whether it is the LAST (RFC 3030 §2)."""
    match = _CHUNK.fullmatch(argument)
    return (int(match[1]), match[2] is not None) if match else None


def parse_xclient(argument: str) -> XClient | Reply:
    """Attributes of XCLIENT, names in upper case, values xtext decoded; ``[UNAVAILABLE]`` stays as it is."""
    attributes: dict[str, str] = {}
    for pair in argument.split():
        name, equals, value = pair.partition("=")
        decoded = decode_xtext(value)
        name = name.upper()
        if not equals or name not in XCLIENT_ATTRIBUTES or name in attributes or decoded is None:
            return BAD_ARGUMENT
        attributes[name] = decoded
    return XClient(attributes) if attributes else BAD_ARGUMENT


def decode_xtext(text: str) -> str | None:
    """RFC 3461 §4; None when it is no xtext, or when what it hides is not printable ASCII."""
    if not _XTEXT.fullmatch(text):
        return None
    if "+" not in text:
        return text
    decoded = _HEXCHAR.sub(lambda match: chr(int(match[1], 16)), text)
    return decoded if decoded.isascii() and decoded.isprintable() else None


def _without_route(path: str) -> str:
    """The mailbox behind a source route (RFC 5321 §4.1.2, appendix C); what is no route stays, and is refused."""
    if not path.startswith("@"):
        return path
    match = _ROUTE.match(path)
    if match and all(normal_domain(hop[1:]) for hop in match[0][:-1].split(",")):
        return path[match.end() :]
    return path


def _parameters(trailer: str) -> dict[str, str | None] | Reply:
    parameters: dict[str, str | None] = {}
    words = trailer.split()
    if len(words) > _MOST_PARAMETERS:
        return BAD_PARAMETER
    for word in words:
        match = _PARAMETER.fullmatch(word)
        if not match:
            return BAD_PARAMETER
        keyword, value = match.groups()
        parameters[keyword.upper()] = value
    if len(parameters) != len(words):
        return BAD_PARAMETER
    return parameters


def _mail_parameters(
    parameters: dict[str, str | None], *, binarymime: bool, requiretls: bool
) -> dict[str, object] | Reply:
    """Fields of MailFrom; those for extensions that are not offered are unknown."""
    fields: dict[str, object] = {}
    for keyword, value in parameters.items():
        match keyword:
            case "SIZE" if value and _SIZE.fullmatch(value):
                fields["size"] = int(value)
            case "BODY" if value and value.upper() in _BODIES:
                fields["body"] = value.upper()
                if value.upper() == "BINARYMIME" and not binarymime:
                    return UNKNOWN_PARAMETER
            case "SMTPUTF8" if value is None:
                pass
            case "RET" if value and value.upper() in {"FULL", "HDRS"}:
                fields["ret"] = value.upper()
            case "ENVID" if value and len(value) <= 100 and decode_xtext(value):
                fields["envid"] = decode_xtext(value)
            case "AUTH" if value and (value == "<>" or decode_xtext(value) is not None):
                # RFC 4954 §5 lets a server that trusts nobody take every value for <>.
                pass
            case "REQUIRETLS" if requiretls and value is None:
                fields["require_tls"] = True
            case "SIZE" | "BODY" | "SMTPUTF8" | "RET" | "ENVID" | "AUTH":
                return BAD_PARAMETER
            case _:
                return UNKNOWN_PARAMETER
    return fields


def _original_recipient(value: str) -> str | None:
    """ORCPT as ``type;address``, decoded (RFC 3461 §4.2, RFC 6533 §3); None when it is not well-formed."""
    kind, semicolon, encoded = value.partition(";")
    if not semicolon or not encoded or len(value) > 500 or not re.fullmatch(r"[A-Za-z0-9-]+", kind):
        return None
    if kind.lower() != "utf-8":
        address = decode_xtext(encoded)
    elif encoded.isascii() and not _XTEXT.fullmatch(encoded):
        return None
    else:
        address = _HEXCHAR.sub(lambda match: chr(int(match[1], 16)), encoded)
        address = _EMBEDDED.sub(lambda match: _code_point(match[1]), address)
        if not address.isprintable():
            return None
    return f"{kind};{address}" if address else None


def _code_point(digits: str) -> str:
    number = int(digits, 16)
    return chr(number) if number <= 0x10FFFF else "\0"
