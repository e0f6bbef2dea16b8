"""Facts of a message's structure as tokens: kinds of parts, links, pictures, how header fields are built.

Each says how something is written, none that a header or a program is there: a message of today and one of twenty
years ago that look alike to a reader have the same facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from gatepost.mail.author import authors
from gatepost.mail.content import Content
from gatepost.mail.message import Message

MOST_LINKS = 100
REPLY = re.compile(r"(?i)(?:re|aw|sv|vs|antw|回复|返信)(?:\[\d+\])?\s?[::]")
COUNTED = re.compile(r"(\D+?) (to )?([0-9]{1,7})")
MEASURES = {
    "length": ("text", 64, " characters"), "lines of": ("lines", 8, " characters"),
    "lines quoted": ("lines quoted", 1, ""), "subject of words": ("subject", 1, " words"), "subject with !": ("subject", 1, " times !"),
    "links": ("links", 1, ""), "hosts": ("hosts of links", 1, ""), "recipients": ("recipients named", 1, ""), "pictures": ("pictures", 1, ""),
    "forms": ("forms", 1, ""), "password fields": ("password fields", 1, ""), "scripts": ("scripts", 1, ""),
}  # fmt: skip
"""Facts with a `bucket`: what is counted, in steps of how much, and its unit."""
ADDRESS = re.compile(rb"[^\s<>,;:\"()]+@([A-Za-z0-9.-]+)")


def hosts_of(content: Content) -> tuple[str, ...]:
    """The hosts that links and pictures lead to, each once."""
    return tuple(dict.fromkeys(link.host for link in content.links[:MOST_LINKS] if link.host))


def files_of(content: Content) -> tuple[str, ...]:
    """Names of attached files."""
    return tuple(dict.fromkeys(part.filename[:100] for part in content.attachments[:20] if part.filename))


def facts_of(content: Content, message: Message) -> Iterator[str]:
    """All facts of one message, without repeats of note."""
    yield from _parts(content)
    yield from _text(content)
    yield from _links(content, message)
    yield from _header(message)
    if REPLY.match(content.subject):
        answered = message.get(b"in-reply-to") or message.get(b"references")
        yield "a reply that answers a message" if answered else "a reply to nothing"


def bucket(count: int) -> str:
    """0, 1, 2, 3-4, 5-8, … as one word."""
    return str(count) if count < 3 else f"to {1 << (count - 1).bit_length()}"


def in_words(fact: str) -> str:
    """A fact as a person reads it: `lines of to 4` as `lines: up to 39 characters`."""
    found = COUNTED.fullmatch(fact)
    if found is None or found[1] not in MEASURES:
        return fact
    what, size, unit = MEASURES[found[1]]
    most = int(found[3]) * size + size - 1
    return f"{what}: {'up to ' if found[2] or size > 1 else ''}{most}{unit}"


def _parts(content: Content) -> Iterator[str]:
    kinds = dict.fromkeys(part.content_type for part in content.parts[:30])
    yield from (f"part {kind[:60]}" for kind in list(kinds)[:8])
    if not kinds:
        yield "no parts"
    for name in files_of(content):
        yield f"file type {name.rpartition('.')[2].lower()[:10]}"


def _text(content: Content) -> Iterator[str]:
    texts = content.texts
    html = [one for one in texts if one.is_html]
    if html and len(html) == len(texts):
        yield "html only"
    if not texts:
        yield "no text"
    length = len(content.text)
    yield f"length {bucket(length // 64)}"
    for what, count in (
        ("pictures", sum(one.images for one in html)),
        ("forms", sum(one.forms for one in html)),
        ("password fields", sum(one.password_fields for one in html)),
        ("scripts", sum(one.scripts for one in html)),
    ):
        if count:
            yield f"{what} {bucket(count)}"
            if what == "pictures" and length < 200 * count:
                yield "little text for its pictures"


def _links(content: Content, message: Message) -> Iterator[str]:
    links = content.links[:MOST_LINKS]
    yield f"links {bucket(len(links))}"
    hosts = hosts_of(content)
    if not hosts:
        return
    yield f"hosts {bucket(len(hosts))}"
    author = authors(message).domain
    if author is not None and not any(_related(host, author) for host in hosts):
        yield "no link to the author's domain"
    if any(host.replace(".", "").isdigit() or host.startswith("[") for host in hosts):
        yield "a link to an address literal"
    if any(link.user for link in links):
        yield "a link with a user name"


def _related(one: str, other: str) -> bool:
    """Do they share their last two labels?"""
    return one.split(".")[-2:] == other.split(".")[-2:]


def _header(message: Message) -> Iterator[str]:
    found = authors(message)
    yield from (f"author: {problem[:60]}" for problem in found.problems[:3])
    yield from (f"author: {remark[:60]}" for remark in found.remarks[:3])
    if found.addresses and not any(found.display_names):
        yield "author without a name"
    if found.addresses and sum(one.isdigit() for one in found.addresses[0].local) > 2:
        yield "author's address has digits"
    recipients = ADDRESS.findall(b" ".join((*message.values(b"to")[:3], *message.values(b"cc")[:3]))[:8000])
    yield f"recipients {bucket(len(recipients))}"
    reply_to = ADDRESS.findall((message.get(b"reply-to") or b"")[:500])
    if reply_to and found.domain is not None:
        same = any(one.decode("ascii").lower() == found.domain for one in reply_to)
        yield "answers go to the author's domain" if same else "answers go to another domain"
    identifier = (
        (message.get(b"message-id") or b"")[:300].strip(b"<> ").rpartition(b"@")[2].decode("latin-1").lower()
    )
    if not identifier:
        yield "no message id"
    elif "." not in identifier:
        yield "message id of no domain"
    elif found.domain is not None:
        yield (
            "message id of the author's domain"
            if _related(identifier, found.domain)
            else "message id of another domain"
        )
