"""Who a message says wrote it: the From field, judged as its readers may see it (RFC 5322 §3.4, §3.6.2, §4.4).

DMARC protects one author domain. What mail programs show is not always what a parser finds, so a
domain is named only where there is nothing to disagree about: one From field, well formed, every
address in it of one domain. All obsolete forms are understood; those that programs read differently
(routes, groups, blanks inside an address, text outside the brackets) are reported as problems.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from gatepost.mail.address import Address, normal_domain, parse_address, printable
from gatepost.mail.encoded_words import decode_words, decoded_runs
from gatepost.mail.message import HeaderField, Message

LONGEST_OCTETS = 16_384
"""Of one From field; real ones stay below 1,000 (RFC 5322 §2.1.1)."""
MOST_ADDRESSES = 100
MOST_FIELDS = 10
"""From fields that are read; of several the author is nobody anyway."""
MOST_SHOWN = 3
"""Addresses that stay in sight of a From field too long to be shown."""
UNSAFE_HEADER = frozenset({"bare-cr", "bare-lf", "leading-continuation", "too-many-fields"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Authors:
    """What the From fields say."""

    addresses: tuple[Address, ...] = ()
    """Every address found, in order, in all From fields."""
    display_names: tuple[str, ...] = ()
    """For each address the name shown beside it, decoded; empty when there is none. Attacker-chosen."""
    problems: tuple[str, ...] = ()
    """Why no one author can be named, each once, such as ``several From fields``."""
    remarks: tuple[str, ...] = ()
    """Oddities that do not blur who the author is, such as ``another address in the display name``."""
    field_count: int = 0

    @property
    def domain(self) -> str | None:
        """The one author domain, as lower-case A-labels; None when there is not exactly one well-formed."""
        if self.problems or not self.addresses:
            return None
        return self.addresses[0].domain


# The plain case in one go: a name of harmless characters or none, and one address.
PLAIN = re.compile(
    rb"(?:(?:\"([A-Za-z0-9 _!#$%&'*+/^`{|}~.,:;()-]*)\"|([A-Za-z0-9 _!#$%&'*+/^`{|}~.-]*))[ \t]*<)?"
    rb"([A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*)@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)(>?)"
)


def authors(message: Message) -> Authors:
    """The authors by every From field of `message`; never raises, linear in the header's size. Worked out once."""
    return message.once(_authors)


def _authors(message: Message) -> Authors:
    fields = message.named(b"from")
    sound = len(fields) == 1 and not message.defects
    problems = [] if sound else header_problems(message, fields)
    if len(fields) == 1 and not problems and len(value := message.value(fields[0])) < 500:
        plain = PLAIN.fullmatch(value)
        if plain is not None and bool(plain[5]) == (b"<" in value):
            quoted, bare, local, written, _ = plain.groups()
            domain = known_domain(written)
            if domain is not None and len(local) <= 64:
                name = (quoted or bare or b"").decode("ascii").strip()
                address = Address(local.decode("ascii"), domain)
                return Authors(addresses=(address,), display_names=(name,), field_count=1)
    found = [read_mailboxes(message.value(each)) for each in fields[:MOST_FIELDS]]
    mailboxes = [box for one in found for box in one.mailboxes]
    problems += [problem for one in found for problem in one.problems]
    domains = {box.address.domain for box in mailboxes}
    if fields and not mailboxes:
        problems.append("no address in From")
    if len(domains) > 1:
        problems.append("addresses of several domains in From")
    if any(domain.startswith("[") for domain in domains):
        problems.append("an address literal in From")
    return Authors(
        addresses=tuple(box.address for box in mailboxes),
        display_names=tuple(box.name for box in mailboxes),
        problems=tuple(dict.fromkeys(problems)),
        remarks=tuple(dict.fromkeys(remark for one in found for remark in one.remarks)),
        field_count=len(fields),
    )


def addresses_in(value: bytes) -> tuple[Address, ...]:
    """The addresses in an unfolded field that is written like From, such as Sender; none when it cannot be read in one way."""
    reading = read_mailboxes(value)
    return () if reading.problems else tuple(box.address for box in reading.mailboxes)


@lru_cache(maxsize=4096)
def known_domain(written: bytes) -> str | None:
    """`normal_domain` for the few domains met all day."""
    return normal_domain(written.decode("ascii"))


def displayed_author(message: Message, limit: int = 300) -> str:
    """The From field as a reader sees it, printable and bounded; several fields are joined by `` | ``.

    Of what is too long to be shown the name is cut, never the addresses: a long name must not push them out of sight.
    """
    values = [message.value(each)[: 4 * limit + 1] for each in message.named(b"from")[:10]]
    text = " | ".join(decode_words(as_text(value)) for value in values)
    if len(text) <= limit and all(len(value) <= 4 * limit for value in values):
        return printable(text, limit)
    found = authors(message).addresses
    shown = ", ".join(f"<{address}>" for address in found[:MOST_SHOWN]) + ", ..." * (len(found) > MOST_SHOWN)
    if not shown:
        return printable(text, limit)
    shown = printable(shown, limit - 20)
    return f"{printable(text, limit - len(shown) - 1)} {shown}"


def subject_text(message: Message, limit: int = 500) -> str:
    """The first Subject as a reader sees it, printable and bounded; empty when there is none."""
    value = message.get(b"subject") or b""
    return printable(decode_words(as_text(value[: 8 * limit])), limit)


def message_id(message: Message, limit: int = 998) -> str:
    """The Message-ID with its angle brackets (RFC 5322 §3.6.4), printable and bounded; empty when there is none."""
    return printable(as_text((message.get(b"message-id") or b"")[: 2 * limit]).strip(), limit)


# A line that is no header field by the book but may be one for a mail program.
FROM_IN_DISGUISE = re.compile(rb"^[^A-Za-z\r\n]*+from[^A-Za-z0-9:\r\n-]*+:", re.IGNORECASE | re.MULTILINE)


def header_problems(message: Message, fields: Sequence[HeaderField]) -> list[str]:
    """What makes it uncertain which From field a mail program will show."""
    problems = []
    if len(fields) != 1:
        problems.append("several From fields" if fields else "no From field")
    if any(each.colon - each.start != 4 for each in fields):
        problems.append("a blank between From and its colon")
    if not message.defects:
        return problems
    problems += [f"{defect} in the header" for defect in message.defects if defect in UNSAFE_HEADER]
    if "nul" in message.defects and message.octets.find(b"\0", 0, message.body_start) >= 0:
        problems.append("nul in the header")
    if "not-a-field" in message.defects:
        lines = FROM_IN_DISGUISE.findall(message.octets[: message.body_start])
        if len(lines) > len(fields):
            problems.append("a line like a From field")
    return problems


@dataclass(frozen=True, slots=True)
class Mailbox:
    address: Address
    name: str


class Reading:
    """What one From field came to, while it is being read."""

    __slots__ = ("mailboxes", "problems", "remarks")

    def __init__(self) -> None:
        self.mailboxes: list[Mailbox] = []
        self.problems: list[str] = []
        self.remarks: list[str] = []


CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
# What an address may not hold without looking like another: directional and invisible characters, look-alikes of
# the at sign and the angle brackets.
CONFUSING = re.compile(
    r"[^\S ]|[\ufffd\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u00ad\ufe6b\uff20\uff1c\uff1e@<>,;:()\"]|=\?"
)
BRACKETED_INSIDE = re.compile(r"<[^<>@]*+@([^<>@]*+)>")
ADDRESS_INSIDE = re.compile(r"[@\uff20\ufe6b]\s*+([^\W_][\w-]*+(?:\.[\w-]++)++)")


def read_mailboxes(value: bytes) -> Reading:
    """Read one unfolded From value."""
    reading = Reading()
    if len(value) > LONGEST_OCTETS:
        reading.problems.append("the From field is too long")
        return reading
    text = as_text(value)
    if CONTROL.search(text):
        reading.problems.append("a control character in From")
        return reading
    if "\ufffd" in text:
        reading.remarks.append("octets in From that are not UTF-8")
    tokens = tokenize(text, reading)
    segment: list[Token] = []
    bracketed = False
    for token in tokens:
        if token.kind == "<":
            bracketed = True
        elif token.kind == ">":
            bracketed = False
        elif not bracketed and token.kind in ",:;":
            if token.kind != ",":
                reading.problems.append("a group in From")
            if token.kind != ":":
                read_mailbox(segment, reading)
            segment = []
            continue
        segment.append(token)
    read_mailbox(segment, reading)
    if len(reading.mailboxes) > MOST_ADDRESSES:
        reading.problems.append("too many addresses in From")
        del reading.mailboxes[MOST_ADDRESSES:]
    hidden_addresses(text, reading)
    return reading


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    """``atom``, ``quoted``, ``literal``, ``comment``, or the special itself."""
    text: str
    apart: bool
    """A blank or comment stands before it."""


# RFC 5322 §3.2.3 atext and everything beyond ASCII; quoted-string and domain-literal with their escapes; specials.
TOKEN = re.compile(
    r"""([^\x00-\x20()<>\[\]:;@\\,."\x7f]++)|"((?:[^"\\]++|\\.)*+)"|(\[(?:[^\[\]\\]++|\\.)*+\])|([<>@,:;.])|([ \t]++)""",
    re.DOTALL,
)
IN_COMMENT = re.compile(r"[()]|\\.", re.DOTALL)


def tokenize(text: str, reading: Reading) -> list[Token]:
    """Tokens in order; stops at what cannot be read."""
    tokens: list[Token] = []
    at = 0
    apart = False
    while at < len(text):
        if text[at] == "(":
            end = comment_end(text, at)
            if end < 0:
                reading.problems.append("an open comment in From")
                return []
            tokens.append(Token("comment", text[at + 1 : end - 1], True))
            at, apart = end, True
            continue
        match = TOKEN.match(text, at)
        if match is None:
            reading.problems.append("From is malformed")
            return []
        at = match.end()
        atom, quoted, literal, special, blank = match.groups()
        if blank is not None:
            apart = True
            continue
        if atom is not None:
            token = Token("atom", atom, apart)
        elif quoted is not None:
            token = Token("quoted", re.sub(r"\\(.)", r"\1", quoted, flags=re.DOTALL), apart)
        elif literal is not None:
            token = Token("literal", literal, apart)
        else:
            token = Token(special, special, apart)
        tokens.append(token)
        apart = False
    return tokens


def comment_end(text: str, start: int) -> int:
    """Just behind the parenthesis that closes the one at `start`, counting depth; -1 when it stays open."""
    depth = 0
    for match in IN_COMMENT.finditer(text, start):
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
            if not depth:
                return match.end()
    return -1


def read_mailbox(segment: list[Token], reading: Reading) -> None:
    """One element of the mailbox list: ``name <address>``, ``address (name)`` or an obsolete nothing."""
    words = [token for token in segment if token.kind != "comment"]
    if not words:
        return
    comments = " ".join(token.text for token in segment if token.kind == "comment")
    kinds = [token.kind for token in words]
    if "<" not in kinds and ">" not in kinds:
        address = read_address(words, reading)
        name = comments
    else:
        opened = kinds.index("<") if "<" in kinds else len(kinds)
        if kinds.count("<") != 1 or kinds.count(">") != 1 or kinds[-1] != ">":
            reading.problems.append("angle brackets of From do not match")
            return
        inside = words[opened + 1 : -1]
        if inside and inside[0].kind == "@":
            reading.problems.append("a route in From")  # RFC 5322 §4.4 obs-route
            inside = after_route(inside)
        address = read_address(inside, reading)
        name = read_name(words[:opened], address, reading) or comments
    if address is not None:
        reading.mailboxes.append(Mailbox(address, decode_words(name).strip()))


def after_route(inside: list[Token]) -> list[Token]:
    """What follows the colon of ``@a,@b:user@c``; nothing when there is none."""
    for place, token in enumerate(inside):
        if token.kind == ":":
            return inside[place + 1 :]
        if token.kind not in ("@", ",", "atom", ".", "literal"):
            break
    return []


def read_address(words: list[Token], reading: Reading) -> Address | None:
    """An addr-spec, obsolete blanks and quoted words inside allowed (RFC 5322 §3.4.1, §4.4)."""
    kinds = [token.kind for token in words]
    if kinds.count("@") != 1:
        reading.problems.append("an address in From is malformed")
        return None
    at = kinds.index("@")
    local, domain = words[:at], words[at + 1 :]
    if not dotted(local, ("atom", "quoted")) or not (
        dotted(domain, ("atom",)) or (len(domain) == 1 and domain[0].kind == "literal")
    ):
        reading.problems.append("an address in From is malformed")
        return None
    if any(token.apart for token in words[1:]):
        reading.problems.append("a blank or comment inside an address in From")
    local_text = "".join(token.text for token in local)
    if domain[0].kind == "literal":
        literal = parse_address(f"x@{domain[0].text}")
        name = literal.domain if literal is not None else None
    else:
        name = normal_domain("".join(token.text for token in domain))
    if name is None or CONTROL.search(local_text) or len(local_text) > 256:
        reading.problems.append("an address in From is malformed")
        return None
    if CONFUSING.search(local_text):
        reading.problems.append("a misleading local part in From")
    return Address(local_text, name)


def dotted(words: list[Token], allowed: tuple[str, ...]) -> bool:
    """Words with single dots between them."""
    if len(words) % 2 == 0:
        return False
    return all(
        token.kind in allowed if place % 2 == 0 else token.kind == "." for place, token in enumerate(words)
    )


def read_name(words: list[Token], address: Address | None, reading: Reading) -> str:
    """The display name. An unquoted address in it is one a mail program may show as the author."""
    if any(token.kind == "@" for token in words):
        aside = Reading()
        other = read_address(words, aside)
        if other is None or aside.problems or address is None or other.domain != address.domain:
            reading.problems.append("text with an at sign outside the brackets of From")
    parts: list[str] = []
    for token in words:
        if token.apart and parts:
            parts.append(" ")
        parts.append(token.text)
    return "".join(parts)


def hidden_addresses(text: str, reading: Reading) -> None:
    """Addresses that only decoding or reading the display name brings to light.

    Programs that decode before they parse take an address from an encoded word, or stop at a control
    character in it, and simple ones take the first angle brackets, so those are problems. A plain one in a name is only worth a remark: every program
    shows it as a name, and mailing lists write such names.
    """
    judged = {box.address.domain for box in reading.mailboxes}
    for _, _, decoded in decoded_runs(text) if "=?" in text else ():
        if CONTROL.search(decoded):
            reading.problems.append("a control character in an encoded word of From")
        if "<" in decoded or ">" in decoded:
            reading.problems.append("angle brackets in an encoded word of From")
        if other_domain(decoded, judged):
            reading.problems.append("another address in an encoded word of From")
        elif "@" in decoded:
            reading.remarks.append("an address in the display name")
    if any(normal_domain(found) not in judged for found in BRACKETED_INSIDE.findall(text)):
        reading.problems.append("another address in angle brackets inside a name of From")
    for box in reading.mailboxes:
        if other_domain(box.name, judged):
            reading.remarks.append("another address in the display name")
        if CONFUSING_NAME.search(box.name):
            reading.remarks.append("a directional or invisible character in the display name")


CONFUSING_NAME = re.compile(r"[\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


def other_domain(text: str, judged: set[str]) -> bool:
    """Is there an address in `text` whose domain is not among `judged`?"""
    return any(normal_domain(found) not in judged for found in ADDRESS_INSIDE.findall(text))


def as_text(value: bytes) -> str:
    """A header value as text: UTF-8 (RFC 6532 §3.2), U+FFFD for octets that are not."""
    return value.decode("ascii" if value.isascii() else "utf-8", "replace")
