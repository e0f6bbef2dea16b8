"""Authentication-Results and Received: written so that nothing attacker-chosen breaks out, read with bounds.

RFC 8601 for the results field, RFC 5321 §4.4 for the trace field. What we write is ASCII throughout;
what is neither a token nor an address becomes a quoted-string of printable characters. Left out:
Received-SPF, which says the same again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from ipaddress import IPv6Address

from gatepost.mail.address import Address, normal_domain
from gatepost.mail.authresults import ArcResult, AuthResults, DkimResult, DmarcResult, SpfResult
from gatepost.mail.client import Client
from gatepost.mail.message import Message

LONGEST_VALUE = 256
"""Characters kept of any one value."""
# RFC 2045 §5.1 token, which RFC 8601 §2.2 uses; and local@domain or @domain with nothing to quote.
PLAIN_VALUE = re.compile(r"[A-Za-z0-9!#$%&'*+._`{|}~^-]+(?:@[A-Za-z0-9._-]+)?\Z")
UNPRINTABLE = re.compile(r"[^ -~]")


def authentication_results(authserv_id: str, results: AuthResults, *, with_arc: bool = True) -> bytes:
    """One whole Authentication-Results field for `results`, folded, ending in CRLF (RFC 8601 §2.2)."""
    return fold_results("Authentication-Results", authserv_id, results_clauses(results, with_arc=with_arc))


def results_clauses(results: AuthResults, *, with_arc: bool = True) -> list[list[str]]:
    """Each result as its words, ``method=result`` first: also what an ARC-Authentication-Results says.

    Where nobody was asked nothing is claimed: the one word ``none`` (RFC 8601 §2.2, no-result).
    """
    if not results.asked:
        return [["none"]]
    clauses = [spf_clause(results.spf_mail_from, "smtp.mailfrom"), spf_clause(results.spf_hello, "smtp.helo")]
    clauses += [dkim_clause(each) for each in results.dkim] or [["dkim=none"]]
    if with_arc:
        clauses.append(arc_clause(results.arc))
    clauses.append(dmarc_clause(results.dmarc))
    return clauses


def fold_results(name: str, authserv_id: str, clauses: Iterable[list[str]]) -> bytes:
    """A field of `clauses` with lines of at most 78 characters where words allow (RFC 5322 §2.1.1)."""
    lines = [f"{name}: {value_text(authserv_id)};"]
    for clause in clauses:
        line = ""
        for word in clause:
            if line and len(line) + len(word) + 1 > 76:
                lines.append(line)
                line = "   " + word
            else:
                line = f"{line} {word}" if line else " " + word
        lines.append(line + ";")
    return ("\r\n".join(lines).removesuffix(";") + "\r\n").encode("ascii")


def spf_clause(spf: SpfResult, ptype: str) -> list[str]:
    return method("spf", spf.result, spf.problem if spf.result.endswith("error") else None) + prop(
        ptype, spf.domain
    )


def dkim_clause(dkim: DkimResult) -> list[str]:
    return [
        *method("dkim", dkim.result, dkim.reason),
        *prop("header.d", dkim.domain),
        *prop("header.i", dkim.identity),
        *prop("header.s", dkim.selector),
        *prop("header.a", dkim.algorithm),
        *prop("header.b", dkim.signature),
    ]


def arc_clause(arc: ArcResult) -> list[str]:
    return method("arc", arc.result, arc.reason)


def dmarc_clause(dmarc: DmarcResult) -> list[str]:
    return [
        *method("dmarc", dmarc.result, dmarc.reason),
        *prop("header.from", dmarc.author_domain),
        *prop("policy.dmarc", dmarc.policy),
    ]


RESULT = re.compile(r"[a-z]+\Z")


def method(name: str, result: str, reason: str | None) -> list[str]:
    words = [f"{name}={result if RESULT.match(result) else 'none'}"]
    if reason and result != "pass":
        words.append(f"reason={quoted(reason)}")
    return words


def prop(name: str, value: str | None) -> list[str]:
    return [f"{name}={value_text(value)}"] if value else []


def value_text(text: str) -> str:
    """A pvalue or authserv-id: as it is where that is safe, else a quoted-string."""
    if len(text) <= LONGEST_VALUE and PLAIN_VALUE.match(text):
        return text
    return quoted(text)


def quoted(text: str) -> str:
    """A quoted-string of printable ASCII (RFC 5322 §3.2.4); anything else shows as a question mark."""
    safe = UNPRINTABLE.sub("?", text[:LONGEST_VALUE]).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{safe}"'


HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9])?\Z")
REFERENCE = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
CIPHER = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
# RFC 5321 §4.1.2 Mailbox without anything to quote, RFC 6531 left out: the field is ASCII.
PLAIN_MAILBOX = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.:\[\]_-]{1,253}\Z")


def received_field(
    client: Client,
    *,
    receiver: str,
    ref: str,
    now: float,
    recipient: Address | None = None,
    reverse_name: str | None = None,
    smtputf8: bool = False,
) -> bytes:
    """Our Received field, folded, ending in CRLF (RFC 5321 §4.4).

    `reverse_name` is the client's confirmed name; `recipient` is given only when there is exactly
    one, so that no recipient learns of another (RFC 5321 §7.2). `now` is Unix seconds.
    """
    if client.ip is None:
        address = "[unknown]"
    else:
        address = f"[IPv6:{client.ip}]" if isinstance(client.ip, IPv6Address) else f"[{client.ip}]"
    hello = hello_text(client.hello)
    name = f"{reverse_name} " if reverse_name is not None and HOST.match(reverse_name) else ""
    lines = [f"Received: from {hello} ({name}{address})"]
    if client.tls is not None:
        version = client.tls.version if CIPHER.match(client.tls.version) else "unknown"
        cipher = client.tls.cipher if CIPHER.match(client.tls.cipher) else "unknown"
        lines.append(f" (using {version} with cipher {cipher})")
    reference = f" id {ref}" if REFERENCE.match(ref) else ""
    by = receiver if HOST.match(receiver) else "localhost"
    lines.append(f" by {by} with {protocol(client, smtputf8=smtputf8)}{reference}")
    if recipient is not None and PLAIN_MAILBOX.match(shown := str(recipient)):
        lines.append(f" for <{shown}>")
    return ("\r\n".join(lines) + f";\r\n {date_text(int(now))}\r\n").encode("ascii")


def submission_field(
    client: Client,
    *,
    receiver: str,
    ref: str,
    now: float,
    recipient: Address | None = None,
    smtputf8: bool = False,
) -> bytes:
    """The Received field of mail that our own people hand in: from whom it came is in our history, and nobody else's
    business, so there is no address, no host name and no TLS in it. Folded, ending in CRLF.
    """
    by = receiver if HOST.match(receiver) else "localhost"
    reference = f" id {ref}" if REFERENCE.match(ref) else ""
    lines = [f"Received: by {by} with {protocol(client, smtputf8=smtputf8)}{reference}"]
    if recipient is not None and PLAIN_MAILBOX.match(shown := str(recipient)):
        lines.append(f" for <{shown}>")
    return ("\r\n".join(lines) + f";\r\n {date_text(int(now))}\r\n").encode("ascii")


@lru_cache(maxsize=8)
def date_text(second: int) -> str:
    """A moment as a date-time of RFC 5322 §3.3; many messages come in the same second."""
    return format_datetime(datetime.fromtimestamp(second, UTC))


LITERAL = re.compile(r"\[(?:[0-9.]{7,15}|IPv6:[0-9A-Fa-f:.]{2,45})\]\Z")


def hello_text(hello: str) -> str:
    """The HELO argument where it is a name or literal; ``unknown`` for anything else, which the log keeps."""
    return hello if HOST.match(hello) or LITERAL.match(hello) else "unknown"


def protocol(client: Client, *, smtputf8: bool) -> str:
    """RFC 3848, RFC 6531 §4.3."""
    if client.role == "lmtp":
        base = "UTF8LMTP" if smtputf8 else "LMTP"
    elif not client.extended:
        return "SMTP"
    else:
        base = "UTF8SMTP" if smtputf8 else "ESMTP"
    return base + ("S" if client.tls is not None else "") + ("A" if client.user is not None else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodResult:
    """One ``method=result`` with its properties (RFC 8601 §2.2 resinfo)."""

    method: str
    """Lower case."""
    result: str
    """Lower case."""
    reason: str | None = None
    properties: tuple[tuple[str, str], ...] = ()
    """``("header.d", "example.com")``; names in lower case, values unquoted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedResults:
    """A well-formed Authentication-Results field."""

    authserv_id: str
    """Unquoted, as written."""
    results: tuple[MethodResult, ...]
    """Empty for ``none``."""


LONGEST_FIELD = 65_536
MOST_RESULTS = 200
MOST_PROPERTIES = 100
# A word (token or address), a quoted-string, one of the specials; blanks. Comments are counted apart, they nest.
WORD = re.compile(
    r"""([^\x00-\x20"();=\\\x7f]++)|"((?:[^"\\]++|\\.)*+)"|([;=])|[ \t\r\n]++""",
    re.DOTALL,
)
IN_COMMENT = re.compile(r"[()]|\\.", re.DOTALL)


def parse_authentication_results(value: bytes | str) -> ParsedResults | None:
    """Read a field's value; None when it is malformed or unreasonably large. Never raises."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if len(text) > LONGEST_FIELD:
        return None
    words = words_of(text)
    if words is None:
        return None
    clauses: list[list[str]] = [[]]
    for kind, word in words:
        if kind == ";":
            clauses.append([])
        else:
            clauses[-1].append("=" if kind == "=" else "w" + word)
    head, *rest = clauses
    if not head or head[0] == "=" or len(head) > 2 or len(rest) > MOST_RESULTS:
        return None
    if len(head) == 2 and not head[1][1:].isdigit():
        return None  # RFC 8601 §2.2: only a version may follow the authserv-id
    if rest and not rest[-1]:
        rest.pop()
    results = []
    if [clause[0].lower() for clause in rest if len(clause) == 1] != ["wnone"] or len(rest) != 1:
        for clause in rest:
            result = read_clause(clause)
            if result is None:
                return None
            results.append(result)
    return ParsedResults(authserv_id=head[0][1:], results=tuple(results))


def words_of(text: str) -> list[tuple[str, str]] | None:
    """Kind (``w``, ``;`` or ``=``) and text of each word, comments left out; None when malformed."""
    words: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        if text[at] == "(":
            at = comment_end(text, at)
            if at < 0:
                return None
            continue
        match = WORD.match(text, at)
        if match is None:
            return None
        at = match.end()
        token, quoted_text, special = match.groups()
        if token is not None:
            words.append(("w", token))
        elif quoted_text is not None:
            words.append(("w", re.sub(r"\\(.)", r"\1", quoted_text, flags=re.DOTALL)))
        elif special is not None:
            words.append((special, special))
    return words


def comment_end(text: str, start: int) -> int:
    """Just behind the parenthesis that closes the one at `start`; -1 when it stays open."""
    depth = 0
    for match in IN_COMMENT.finditer(text, start):
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
            if not depth:
                return match.end()
    return -1


def read_clause(clause: list[str]) -> MethodResult | None:
    """``method [/version] = result [reason=…] ptype.property=value …``."""
    pairs: list[tuple[str, str]] = []
    if len(clause) % 3 or not clause or len(clause) > 3 * MOST_PROPERTIES:
        return None
    for place in range(0, len(clause), 3):
        name, equals, value = clause[place : place + 3]
        if name == "=" or equals != "=" or value == "=":
            return None
        pairs.append((name[1:].lower(), value[1:]))
    (name, result), *others = pairs
    reason = next((value for key, value in others if key == "reason"), None)
    properties = tuple((key, value) for key, value in others if "." in key)
    if len(properties) + (reason is not None) != len(others):
        return None
    return MethodResult(
        method=name.partition("/")[0], result=result.lower(), reason=reason, properties=properties
    )


def foreign_fields(message: Message, authserv_id: str) -> tuple[tuple[int, int], ...]:
    """Start and end offsets of Authentication-Results fields that claim to be ours (RFC 8601 §5).

    Compared without regard to case, quoting, comments, folding and IDN form. A field that cannot be
    read, but holds our name somewhere before its first result, is among them: others may read it.
    """
    ours = normal_id(authserv_id)
    return tuple(
        (each.start, each.end)
        for each in message.named(b"authentication-results")
        if claims(message.octets[each.colon + 1 : each.end], ours)
    )


def claims(value: bytes, ours: str) -> bool:
    """Might a reader take this field for one of `ours`?"""
    text = value[:LONGEST_FIELD].decode("utf-8", "replace").replace("\r\n", "")
    parsed = parse_authentication_results(text) if len(value) <= LONGEST_FIELD else None
    if parsed is not None and normal_id(parsed.authserv_id) != ours:
        return False
    if parsed is not None:
        return True
    bare = without_comments(text)
    return NOISE.sub("", ours) in NOISE.sub("", bare.casefold()) or ours in normal_words(bare)


NOISE = re.compile(r"[\s\x00-\x20\"\\\x7f-\x9f\u00ad\u200b-\u200f\u2060\ufeff]+")


def without_comments(text: str) -> str:
    """A malformed value without what stands in parentheses; what follows one that stays open is kept."""
    kept: list[str] = []
    end = depth = opened = 0
    for match in IN_COMMENT.finditer(text):
        if match[0] == "(":
            if not depth:
                kept.append(text[end : match.start()])
                opened = match.start()
            depth += 1
        elif match[0] == ")" and depth:
            depth -= 1
            end = match.end()
    kept.append(text[opened:] if depth else text[end:])
    return "".join(kept)


def normal_words(text: str) -> set[str]:
    """The first words of a malformed value in normal form, to find an IDN among them."""
    return {normal_id(word) for word in re.split(r"[\s;=()\"]+", text[:2000])}


def normal_id(text: str) -> str:
    """An authserv-id for comparison: A-labels in lower case, else case-folded."""
    text = text.strip()
    return normal_domain(text) or text.casefold()
