"""Facts of how a message is written: its subject, how it names author and reader, lines, quoting, characters.

None says how much of anything there is (links, pictures, markup): by that a wanted newsletter looks like advertising. They
are few and each says much, so the regression weighs them apart from the many words (`logistic.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from gatepost.classify.shape import bucket, hosts_of
from gatepost.mail.author import authors
from gatepost.mail.content import Content
from gatepost.mail.message import Message

PLAIN_CHARSETS = frozenset(
    {"", "utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "latin1"}
)
"""Of these, which one is used tells the decade, not the sender."""
READ = 8_000
"""Characters of the text whose lines are looked at."""
OPENING = 300
"""Characters of it in which a reader is greeted."""
OCTETS = 4_000
"""Of a part that are looked at."""
BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
RECIPIENT = re.compile(rb"([^\s<>,;:\"()@]{3,64})@[A-Za-z0-9]")
NAMED = re.compile(rb"[A-Za-z0-9\"=)][ \t]*<")
NUMBERED = re.compile(r"\d\d[^.\n]*\.[^.\n]+$", re.MULTILINE)
"""A host whose second label from the right holds two digits in a row."""
RANDOM = re.compile(r"[A-Za-z]\d+[A-Za-z]+\d|\d[A-Za-z]+\d+[A-Za-z]|[a-z][A-Z]+[a-z]{1,2}[A-Z]+[a-z]")
"""What no word of a language holds: letters and digits by turns, capitals strewn in."""
NO_NAME = re.compile(r"[bcdfghjklmnpqrstvwxz]{6}", re.IGNORECASE)
"""What the local part of a person's address rarely holds."""
DIGIT = re.compile(r"\d")
QUOTES = (">", "|")
"""Signs before quoted lines."""
WORD = re.compile(r"[A-Za-z]{4,}")
CODE = re.compile(r"\s{4}\S*$|[ #(\[]\d{3,}\W*$")
GAP = re.compile(r"\S\s{3,}\S")


def manner_of(content: Content, message: Message, text: str) -> Iterator[str]:
    """All facts of one message, without repeats of note; `text` is its visible text without footers."""
    yield from _subject(content, message)
    yield from _author(message)
    yield from _reader(content, message, text)
    yield from _characters(content)
    yield from _lines(text[:READ])
    if NUMBERED.search("\n".join(hosts_of(content))):
        yield "a host with a number"


def _subject(content: Content, message: Message) -> Iterator[str]:
    subject = content.subject
    if not subject.strip():
        yield "no subject"
        return
    written = message.get(b"subject") or b""
    if not written.isascii():
        yield "subject in no character set" if "\ufffd" in subject else "subject not encoded"
    elif b"=?" in written:
        yield "subject encoded"
    capitals = sum(map(str.isupper, subject))
    if capitals > 4:
        letters = [one for one in subject if one.isalpha()]
        if sum(map(str.isupper, letters)) * 10 > len(letters) * 8 and len(letters) > 4:
            yield "subject in capitals"
    last = subject[-1]
    if last in "!?":
        yield f"subject ends in {last}"
    if count := subject.count("!"):
        yield f"subject with ! {bucket(count)}"
    if "$" in subject or "€" in subject or "£" in subject:
        yield "subject with money"
    if "%" in subject:
        yield "subject with %"
    # The subject has no blanks but plain ones. A quick look for what each must hold: most subjects hold none of it.
    digits = DIGIT.search(subject) is not None
    if (digits or "    " in subject) and CODE.search(subject):
        yield "subject ends in a code"
    if "   " in subject and GAP.search(subject):
        yield "subject with gaps"
    if (digits or capitals > 1) and RANDOM.search(subject):
        yield "subject with a random word"
    yield f"subject of words {bucket(subject.count(' ') + 1)}"
    words = WORD.findall(subject)
    if len(words) > 2:
        capitals = sum(one[0].isupper() for one in words)
        yield (
            "subject in title case" if capitals == len(words)
            else "subject in sentence case" if capitals < 2
            else "subject in mixed case"
        )  # fmt: skip


def _author(message: Message) -> Iterator[str]:
    found = authors(message)
    if found.addresses:
        yield from _named(found.display_names[0] if found.display_names else "", found.addresses[0].local)


@lru_cache(maxsize=4096)
def _named(name: str, local: str) -> tuple[str, ...]:
    """How an author's name and the local part of the address go together."""
    random = local.isalnum() and (RANDOM.search(local) or NO_NAME.search(local))
    facts = ["author's address random"] if random else []
    if not name:
        return tuple(facts)
    low = local.lower()
    if "@" in name:
        facts.append("author named by an address")
    elif name.lower() == low:
        facts.append("author named by the local part")
    elif any(word in low for word in re.findall(r"\w{3,}", name.lower())):
        facts.append("author's name in the address")
    else:
        facts.append("author's name not in the address")
    if len(name) > 4 and name.isupper():
        facts.append("author in capitals")
    if re.search(r"[!$%*]|\d{3}", name):
        facts.append("author's name with signs")
    return tuple(facts)


def _reader(content: Content, message: Message, text: str) -> Iterator[str]:
    to = (message.get(b"to") or b"")[:2000]
    recipient = RECIPIENT.search(to)
    if recipient is None:
        return
    yield "reader named" if NAMED.search(to) else "reader not named"
    local = recipient[1].decode("latin-1").lower()
    if _has_word(content.subject.lower(), local):
        yield "reader's address in the subject"
    elif _has_word(text[:OPENING].lower(), local):
        yield "reader's address in the opening"


def _has_word(text: str, word: str) -> bool:
    return word in text and re.search(rf"(?<![a-z0-9]){re.escape(word)}(?![a-z0-9])", text) is not None


def _characters(content: Content) -> Iterator[str]:
    for charset in dict.fromkeys(part.charset for part in content.parts[:30]):
        if charset not in PLAIN_CHARSETS:
            yield f"charset {charset[:30]}"
    for part in content.parts[:10]:
        if not part.content_type.startswith("text/"):
            continue
        if part.encoding == "base64":
            yield "plain text in base64" if part.octets[:OCTETS].isascii() else "text in base64"
        elif not part.charset and not part.source[part.start : min(part.end, part.start + OCTETS)].isascii():
            yield "octets in no character set"
    for one in content.texts:
        if one.charset_lie:
            yield f"charset {one.charset_lie}"
    yield from _script(content.text[:500])


def _script(text: str) -> Iterator[str]:
    """In what writing: those that make a tenth of the text."""
    if text.isascii():
        return
    counts: dict[str, int] = {}
    found = BEYOND_ASCII.findall(text)
    if len(found) * 10 <= len(text):
        return
    for character in found:
        name = _writing(ord(character))
        counts[name] = counts.get(name, 0) + 1
    yield from (f"writing {name}" for name, count in counts.items() if count * 10 > len(text))


def _writing(code: int) -> str:
    """Roughly, by block."""
    for last, name in (
        (0x24F, "latin"), (0x3FF, "greek"), (0x52F, "cyrillic"), (0x5FF, "hebrew"), (0x8FF, "arabic"), (0xDFF, "indic"), (0xEFF, "thai"),
        (0x1FFF, "other"), (0x2FFF, "signs"), (0x30FF, "japanese"), (0x9FFF, "han"), (0xD7FF, "korean"),
    ):  # fmt: skip
        if code <= last:
            return name
    return "other"


def _lines(text: str) -> Iterator[str]:
    if not text:
        return
    ends, empty = text.count("\n"), text.count("\n\n")
    yield f"lines of {bucket((len(text) - ends) // (ends + 1 - empty) // 8)}"
    quoted = text.startswith(QUOTES) + sum(text.count(f"\n{one}") for one in QUOTES if one in text)
    if quoted:
        yield f"lines quoted {bucket(quoted)}"
