"""A message made safe to look at: its words and its order, without anything that could act, load, hide or lead away.

nh3 takes the HTML apart; what it leaves is written anew from a short list of elements without attributes, so that no mark of
the sender's gets through. Where a link leads stands behind its words; pictures are named, never loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from html.parser import HTMLParser

import nh3

from gatepost.mail.address import printable
from gatepost.mail.author import as_text
from gatepost.mail.charsets import decode_text
from gatepost.mail.content import Content, content_of
from gatepost.mail.encoded_words import decode_words
from gatepost.mail.message import Message
from gatepost.mail.part import Part
from gatepost.mail.text import HTML, text_of
from gatepost.mail.urls import Link

MOST_OCTETS = 1_000_000
"""Of one part's HTML that is shown."""
MOST_TEXT = 200_000
MOST_LINKS = 200
LONGEST_URL = 500
BLOCKS = frozenset({"p", "div", "blockquote", "ul", "ol", "li", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "table", "tbody",
                    "thead", "tr", "td", "th", "dl", "dt", "dd", "section", "article", "center"})  # fmt: skip
INLINE = frozenset({"b", "i", "u", "s", "em", "strong", "small", "code", "sub", "sup", "span"})
EMPTY = frozenset({"br", "hr"})
ALLOWED = {*BLOCKS, *INLINE, *EMPTY, "a", "img"}
DROPPED_WHOLE = {
    "script",
    "style",
    "title",
    "noscript",
    "template",
    "textarea",
    "select",
    "svg",
    "math",
    "iframe",
    "object",
}
FIELDS = ("From", "To", "Cc", "Reply-To", "Subject", "Date", "Message-ID")
DEEPEST = 100
MOST_TAGS = 10_000
LONGEST_TAG = 4000
TAG = re.compile(
    r"""<(/?)([a-z][a-z0-9:]*)((?:[^<>=]++|=\s{0,9}+(?:"(?:(?!--)[^"]){0,400}+"|'(?:(?!--)[^']){0,400}+')|=)*+)>?""",
    re.IGNORECASE,
)
"""With what a quoted value may hold, but never over the end of a comment."""
KEPT = {
    name: re.compile(
        rf"""\b{attribute}\s{{0,9}}=\s{{0,9}}(?:"([^"]*)"|'([^']*)'|([^\s"']+))""", re.IGNORECASE
    )
    for name, attribute in (("a", "href"), ("img", "alt"))
}
"""The one attribute of an element that is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSeen:
    """One link."""

    shown: str
    url: str
    host: str
    deceives: bool
    """What is shown names another host than where it leads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSeen:
    """One attachment."""

    name: str
    kind: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What may be shown of a message."""

    fields: tuple[tuple[str, str], ...]
    """Name and value of the fields a reader sees, printable."""
    html: str
    """A safe fragment, of the last HTML part that has words; empty without one."""
    text: str
    """The plain text."""
    hidden: str
    """What is there and a reader would not see."""
    links: tuple[LinkSeen, ...]
    files: tuple[FileSeen, ...]


def preview_of(octets: bytes) -> Preview:
    """Everything that may be shown of a message as it came. Never raises on what is in it."""
    message = Message.parse(octets)
    content = content_of(message)
    html = next((one for one in html_parts(content)), None)
    return Preview(
        fields=tuple(fields_of(message)),
        html=safe_html(html_source(html)) if html is not None else "",
        text=content.text[:MOST_TEXT],
        hidden=content.hidden_text[:20_000],
        links=tuple(map(seen, content.links[:MOST_LINKS])),
        files=tuple(
            FileSeen(
                name=printable(one.filename, 200) or "(no name)", kind=one.content_type[:100], size=one.size
            )
            for one in content.attachments
        ),
    )


def fields_of(message: Message) -> Iterator[tuple[str, str]]:
    """From the header, decoded, printable and bounded."""
    for name in FIELDS:
        for value in message.values(name.lower().encode())[:3]:
            yield name, printable(decode_words(as_text(value)).strip(), 1000)


def html_parts(content: Content) -> Iterator[Part]:
    """The HTML a client would show, the usual reading first."""
    for part in sorted(content.parts, key=lambda one: bool(one.reading)):
        text = text_of(part)
        if text is not None and text.is_html and part.content_type in HTML:
            yield part


def html_source(part: Part) -> str:
    """The part's HTML as text."""
    return decode_text(part.head(MOST_OCTETS), part.charset).text


def safe_html(source: str) -> str:
    """A fragment of nothing but known elements without attributes; targets of links are written out."""
    clean = nh3.clean(
        simplified(source),
        tags=ALLOWED,
        clean_content_tags=DROPPED_WHOLE,
        attributes={"a": {"href"}, "img": {"alt"}},
        url_schemes={"http", "https", "mailto", "ftp", "tel"},
        link_rel=None,
        strip_comments=True,
    )
    writer = Writer()
    writer.feed(clean)
    writer.close()
    return writer.written()


def simplified(source: str) -> str:
    """The source up to a bounded number of tags, with no attributes but where links lead and what pictures are called.

    Parsing as browsers do it takes time that grows with the square of how deep elements are nested, and copies what is
    open with other attributes into every paragraph. What is dangerous is not looked for here: nh3 comes afterwards.
    """
    out: list[str] = []
    at = 0
    for count, tag in enumerate(TAG.finditer(source)):
        if count >= MOST_TAGS:
            return "".join(out) + source[at : tag.start()]
        close, name, rest = tag.groups()
        kept = ""
        wanted = KEPT.get(name.lower()) if not close else None
        found = wanted.search(rest[:LONGEST_TAG]) if wanted is not None else None
        if found is not None:
            value = found[1] or found[2] or found[3] or ""
            for mark, written in (
                ("<", "&lt;"),
                (">", "&gt;"),
                ('"', "&quot;"),
            ):  # an & stands for itself or more already
                value = value.replace(mark, written)
            kept = f' {"href" if name.lower() == "a" else "alt"}="{value}"'
        ends = next(
            (one for one in ("--!", "--") if rest.endswith(one)), ""
        )  # the end of a comment stays one
        out += [source[at : tag.start()], f"<{close}{name}{kept}{ends}>"]
        at = tag.end()
    return "".join(out) + source[at:]


class Writer(HTMLParser):
    """Writes anew what nh3 left, escaping every text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._out: list[str] = []
        self._open: list[str] = []
        self._targets: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """HTMLParser."""
        values = dict(attrs)
        if tag == "img":
            alt = (values.get("alt") or "").strip()
            self._out.append(f'<em class="picture">[{escape(alt[:200]) or "▢"}]</em>')
        elif tag == "a":
            self._targets.append((values.get("href") or "")[:LONGEST_URL])
            self._out.append('<span class="link">')
        elif tag in EMPTY:
            self._out.append(f"<{tag}>")
        elif tag in ALLOWED and len(self._open) < DEEPEST:
            self._open.append(tag)
            self._out.append(f"<{tag}>")

    def handle_endtag(self, tag: str) -> None:
        """HTMLParser."""
        if tag == "a" and self._targets:
            target = self._targets.pop()
            self._out.append(f'</span><code class="target">{escape(target)}</code>' if target else "</span>")
        elif tag in self._open:
            while self._open:
                last = self._open.pop()
                self._out.append(f"</{last}>")
                if last == tag:
                    break

    def handle_data(self, data: str) -> None:
        """HTMLParser."""
        self._out.append(escape(data))

    def written(self) -> str:
        """All of it, with what is still open closed."""
        while self._targets:
            self.handle_endtag("a")
        return "".join(self._out) + "".join(f"</{tag}>" for tag in reversed(self._open))


def seen(link: Link) -> LinkSeen:
    """A link as it is listed."""
    shown = printable(link.shown, 200)
    named = next((word for word in shown.lower().replace("/", " ").split() if "." in word), "").removeprefix(
        "www."
    )
    bare = link.host.removeprefix("www.")
    deceives = bool(
        named and bare and "." in named.strip(".") and not (bare == named or bare.endswith("." + named))
    )
    return LinkSeen(
        shown=shown,
        url=printable(link.url, LONGEST_URL),
        host=link.host,
        deceives=deceives and looks_like_host(named),
    )


def looks_like_host(word: str) -> bool:
    """Is it written like a host name?"""
    labels = word.strip(".,;:()").split(".")
    return len(labels) >= 2 and all(one.replace("-", "").isalnum() for one in labels) and labels[-1].isalpha()
