"""HTML as a person sees it: its visible text, what is hidden, and where its links lead.

One pass over the tree that a browser would build (lexbor), with what CSS hides on the way. Input that would make
building that tree slow, by its depth or its number of tags, is read coarsely instead, in linear time.
"""

from __future__ import annotations

import re
from html import unescape
from urllib.parse import unquote

from selectolax.lexbor import LexborHTMLParser, LexborNode

from gatepost.mail.style import NOTHING, Style, alike, colour_of, hiding_rules, read_style
from gatepost.mail.text import MAX_VISIBLE, Text, folded, seen
from gatepost.mail.transfer import decode_base64
from gatepost.mail.urls import Link, link_of, links_in_text

MAX_TAGS = 8000
"""Building the tree takes time in the square of the depth; a tenth of a second with as many."""
SMALL = 40_000
MAX_LINKS = 500
MAX_IMAGE_LINKS = 300
MAX_COMMENTS = 20_000

_BREAKS = (
    "p div br hr li ul ol dl dt dd tr table h1 h2 h3 h4 h5 h6 section article header footer nav aside main form fieldset"
    " blockquote pre center address option caption legend figure figcaption summary details body"
)
BREAKS = frozenset(_BREAKS.split())
CELLS = frozenset({"td", "th", "select", "button", "input", "textarea"})
UNSEEN = frozenset({"script", "style", "template", "title", "noembed", "noframes", "datalist", "object"})
# Elements that lead somewhere: attribute, and what kind of link it is.
LEADS = {
    "a": ("href", "html"), "area": ("href", "html"), "form": ("action", "form"), "button": ("formaction", "form"),
    "input": ("formaction", "form"), "img": ("src", "image"), "iframe": ("src", "html"), "frame": ("src", "html"),
    "embed": ("src", "html"), "object": ("data", "html"), "video": ("src", "image"), "audio": ("src", "image"),
    "source": ("src", "image"), "image": ("href", "image"), "use": ("href", "image"), "v:fill": ("src", "image"), "v:image": ("src", "image"),
    "v:imagedata": ("src", "image"), "v:roundrect": ("href", "html"), "v:rect": ("href", "html"), "v:shape": ("href", "html"),
    "link": ("href", "css"),
}  # fmt: skip
CSS_URL = re.compile(r"""url\(\s*["']?([^"')\s]{1,4000})""", re.IGNORECASE)
REFRESH = re.compile(r"""[\d.\s]*[;,]?\s*(?:url\s*=)?\s*["']?\s*([^"']+)""", re.IGNORECASE)
CONDITIONAL = re.compile(r"\[if[^\]]*\]>(.*?)(?:<!\[endif\]|\Z)", re.IGNORECASE | re.DOTALL)
# The grammar of tags (HTML §13.2.5), for guarding the parser only.
TAG = re.compile(
    r"""<[a-z][^\s/>]*+(?:[\s/]*+=?[^\s/>=]++(?:\s*+=\s*+(?:"[^"]*+"?|'[^']*+'?|[^\s>]++)?)?)*+""",
    re.IGNORECASE,
)
IN_LINK = Style(colour=0x0000EE)


def read_html(html: str, *, part: int, charset: str = "", charset_lie: str = "") -> Text:
    """The text of an HTML document; never raises."""
    reader = _Reader(part)
    if _is_slow(html):
        reader.coarse(html)
    else:
        reader.document(html)
        if reader.conditional:
            reader.conditionals()
    return reader.text(charset, charset_lie)


def _is_slow(html: str) -> bool:
    """Would a tree of it take long to build? Too many tags, or tags with too many attributes."""
    if html.count("<") > MAX_TAGS:
        return True
    if len(html) < SMALL:
        return False
    for match in TAG.finditer(html):
        tag = match[0]
        # A tag within what looks like a value may be one for the parser, and then nobody knows where it ends.
        if "<" in tag[1:] or (len(tag) > 2000 and len(tag.split(None, 1001)) > 1000):
            return True
    return False


class _State:
    """What an element hands down."""

    __slots__ = ("colour", "ground", "hidden", "how", "invisible", "tiny")

    def __init__(self, hidden: str, invisible: bool, tiny: bool, colour: int, ground: int) -> None:
        self.hidden = hidden
        self.invisible = invisible
        self.tiny = tiny
        self.colour = colour
        self.ground = ground
        # How text here is hidden; empty when it is seen.
        self.how = hidden
        if not hidden:
            if invisible:
                self.how = "display-none"
            elif tiny:
                self.how = "zero-size"
            elif alike(colour, ground):
                self.how = "invisible-colour"

    def with_style(self, style: Style) -> _State:
        hidden, invisible, tiny, colour, ground = style
        return _State(
            self.hidden or hidden,
            self.invisible if invisible is None else invisible,
            self.tiny if tiny is None else tiny,
            self.colour if colour is None else colour,
            self.ground if ground is None else ground,
        )


class _Anchor:
    """An open link, until its text is known."""

    __slots__ = ("attributes", "pieces")

    def __init__(self, attributes: dict[str, str | None], pieces: int) -> None:
        self.attributes = attributes
        self.pieces = pieces


class _Reader:
    """One document being read."""

    def __init__(self, part: int) -> None:
        self.part = part
        self.pieces: list[str] = []
        self.unlinked: list[str] = []
        self.hidden: list[str] = []
        self.how: dict[str, None] = {}
        self.links: list[Link] = []
        self.image_links: list[Link] = []
        self.base = ""
        self.rules: dict[str, Style] = {}
        self.conditional: list[str] = []
        self.comments = 0
        self.forms = self.passwords = self.scripts = self.images = 0
        self.coarsely = False

    def document(self, html: str) -> None:
        """Walk over the tree, in order and without recursion."""
        root = LexborHTMLParser(html).root
        if root is None:
            return
        while root.prev is not None:  # comments may stand before the document
            root = root.prev
        # To do: a node with what it inherits, text to add, or a link to close.
        todo: list[tuple[LexborNode, _State] | str | _Anchor] = [
            (root, _State("", False, False, 0, 0xFFFFFF))
        ]
        add, later, pieces = todo.append, todo.pop, self.pieces
        anchors = 0
        while todo:
            one = later()
            if type(one) is not tuple:
                if isinstance(one, str):
                    pieces.append(one)
                elif isinstance(one, _Anchor):
                    anchors -= 1
                    self.anchor(one)
                continue
            node, state = one
            following = node.next
            if following is not None:
                add((following, state))
            if node.is_text_node:
                self.words(node.text_content or "", state, anchors > 0)
                continue
            if not node.is_element_node:
                if node.is_comment_node:
                    self.comment(node.comment_content or "")
                continue
            tag = node.tag or ""
            attributes = node.attributes
            if attributes:
                state = self.element(tag, attributes, state, node)
            elif tag in UNSEEN:
                self.unseen(tag, node)
            elif tag == "form":
                self.forms += 1
            if tag in BREAKS:
                pieces.append("\n")
                add("\n")
            elif tag in CELLS:
                add(" ")
            elif tag == "a" and (attributes.get("href") or attributes.get("xlink:href")):
                anchors += 1
                add(_Anchor(attributes, len(pieces)))
                if state.colour == 0:
                    state = state.with_style(IN_LINK)
            child = node.first_child
            if child is not None and tag not in UNSEEN:
                add((child, state))

    def words(self, text: str, state: _State, linked: bool) -> None:
        """A text node."""
        how = state.how
        if not how:
            self.pieces.append(text)
            self.unlinked.append(" " if linked else text)
        elif not text.isspace():
            self.how[how] = None
            self.hidden.append(text)

    def comment(self, text: str) -> None:
        """Comments are seen by nobody, but for those Outlook reads."""
        if text.startswith("[if"):
            self.conditional.append(text)
        elif text.strip() and self.comments < MAX_COMMENTS:
            self.comments += len(text)
            self.how["comment"] = None
            self.hidden.append(text[:MAX_COMMENTS])

    def unseen(self, tag: str, node: LexborNode) -> None:
        """Elements whose text is not for reading."""
        if tag == "script":
            self.scripts += 1
        elif tag == "style":
            sheet = node.text(deep=True) or ""
            self.rules.update(hiding_rules(sheet))
            for match in CSS_URL.finditer(sheet):
                self.lead(match[1], "css")

    def element(self, tag: str, attributes: dict[str, str | None], state: _State, node: LexborNode) -> _State:
        """An element with attributes: where it leads, and what it makes of what is within."""
        if tag in UNSEEN:
            self.unseen(tag, node)
        if tag == "base" and not self.base:
            self.base = attributes.get("href") or ""
        elif tag == "meta":
            if (attributes.get("http-equiv") or "").strip().lower() == "refresh":
                found = REFRESH.match(attributes.get("content") or "")
                if found is not None:
                    self.lead(found[1], "refresh")
        elif tag != "a" and tag in LEADS:
            self.leads(tag, attributes)
        if self.rules:
            for selector in (*("." + one for one in (attributes.get("class") or "").split()),
                             "#" + (attributes.get("id") or "")):  # fmt: skip
                state = state.with_style(self.rules.get(selector, NOTHING))
        ground = attributes.get("bgcolor")
        if ground:
            colour = colour_of(ground)
            state = state.with_style(Style(ground=colour if colour >= -1 else None))
        if attributes.get("background"):
            self.lead(attributes["background"] or "", "image")
            state = state.with_style(Style(ground=-1))
        if tag in ("font", "body") and (written := attributes.get("color") or attributes.get("text")):
            state = state.with_style(Style(colour=colour_of(written)))
        style = attributes.get("style")
        if style:
            read = read_style(style)
            if read is not NOTHING:
                state = state.with_style(read)
            if "url(" in style:
                for match in CSS_URL.finditer(style):
                    self.lead(match[1], "css")
        if "hidden" in attributes:
            state = state.with_style(Style(hidden="display-none"))
        return state

    def leads(self, tag: str, attributes: dict[str, str | None]) -> None:
        """Elements that lead somewhere, links with a text aside."""
        name, where = LEADS[tag]
        if tag == "form":
            self.forms += 1
        elif tag == "img":
            self.images += 1
            if attributes.get("alt"):
                self.pieces.append(f" {attributes['alt']} ")
        elif tag == "input":
            self.input(attributes)
        url = attributes.get(name) or attributes.get("src" if tag == "input" else "xlink:href")
        if url:
            self.lead(url, where)
        if tag == "video" and attributes.get("poster"):
            self.lead(attributes["poster"] or "", "image")
        for piece in (attributes.get("srcset") or "").split(",")[:20]:
            if piece.strip():
                self.lead(piece.split()[0], "image")
        if tag == "iframe" and attributes.get("srcdoc"):
            self.conditional.append("[if]>" + (attributes["srcdoc"] or ""))

    def input(self, attributes: dict[str, str | None]) -> None:
        kind = (attributes.get("type") or "").strip().lower()
        if kind == "password":
            self.passwords += 1
        elif kind != "hidden":
            self.pieces.append(f" {attributes.get('value') or attributes.get('placeholder') or ''} ")

    def anchor(self, anchor: _Anchor) -> None:
        """A link whose text has been read."""
        shown = " ".join("".join(self.pieces[anchor.pieces : anchor.pieces + 200]).split())
        # In an SVG picture the older name of the attribute holds too (SVG 2 §16.1).
        url = anchor.attributes.get("href") or anchor.attributes.get("xlink:href") or ""
        self.lead(url, "html", shown)

    def lead(self, url: str, where: str, shown: str = "") -> None:
        """Note a link."""
        links = self.image_links if where in ("image", "css") else self.links
        if len(links) >= (MAX_IMAGE_LINKS if links is self.image_links else MAX_LINKS):
            return
        link = link_of(url, shown=shown, where=where, part=self.part, base=self.base)
        if link is None:
            return
        links.append(link)
        if link.scheme == "data" and where != "image" and "html" in link.url[:60].lower():
            self.conditional.append("[if]>" + data_text(link.url))

    def conditionals(self) -> None:
        """What only Outlook reads, and documents within the document: their links count, their text is hidden."""
        within = "".join(
            found[1]
            for comment in self.conditional
            if (found := CONDITIONAL.match(comment[:100_000])) is not None
        )
        if "<" not in within or "=" not in within or _is_slow(within):
            return
        aside = _Reader(self.part)
        aside.base = self.base
        aside.document(within)
        known = {link.url for link in self.links}
        self.links += [link for link in aside.links if link.url not in known][: MAX_LINKS - len(self.links)]
        known = {link.url for link in self.image_links}
        self.image_links += [link for link in aside.image_links if link.url not in known][:MAX_IMAGE_LINKS]
        self.forms += aside.forms
        self.passwords += aside.passwords
        self.scripts += aside.scripts

    def coarse(self, html: str) -> None:
        """Tags cut out and attributes picked by their names; nothing is known about hiding."""
        self.coarsely = True
        for match in ATTRIBUTE.finditer(html):
            name = match[1].lower()
            where = {"action": "form", "src": "image", "background": "image"}.get(name, "html")
            self.lead(unescape(match[2].strip("\"'")), where)
        self.forms = len(re.findall(r"<form\b", html, re.IGNORECASE))
        self.passwords = len(re.findall(r"""type\s*=\s*["']?password""", html, re.IGNORECASE))
        self.scripts = len(re.findall(r"<script\b", html, re.IGNORECASE))
        self.images = len(re.findall(r"<img\b", html, re.IGNORECASE))
        text = unescape(MARKUP.sub(" ", RAW_TEXT.sub(" ", html)))
        self.pieces.append(text)
        self.unlinked.append(text)

    def text(self, charset: str, charset_lie: str) -> Text:
        """All of it."""
        visible, zero_width = seen(folded("".join(self.pieces)))
        if zero_width:
            self.how["zero-width"] = None
        links = self.links
        free = "".join(self.unlinked)
        if "." in free:
            known = {link.url for link in links}
            links += [
                link for link in links_in_text(free[:MAX_VISIBLE], part=self.part) if link.url not in known
            ][: MAX_LINKS - len(links)]
        return Text(
            part=self.part, visible=visible, hidden=folded(" ".join(self.hidden)), is_html=True, charset=charset,
            charset_lie=charset_lie, links=(*links, *self.image_links), forms=self.forms,
            password_fields=self.passwords, scripts=self.scripts, images=self.images, hidden_how=tuple(self.how),
            coarse=self.coarsely,
        )  # fmt: skip


ATTRIBUTE = re.compile(
    r"""\b(href|src|action|background|formaction)\s{0,20}+=\s{0,20}+("[^"<>]{1,4000}"|'[^'<>]{1,4000}'|[^\s"'<>]{1,4000})""",
    re.IGNORECASE,
)
MARKUP = re.compile(r"<[^<>]*+>")
RAW_TEXT = re.compile(r"<(?:script|style)\b[^<>]*+>[^<]*+(?:<(?!/(?:script|style))[^<]*+)*+", re.IGNORECASE)


def data_text(url: str) -> str:
    """What a data: URI holds, as text (RFC 2397); bounded."""
    head, _, body = url.partition(",")
    if head.lower().endswith(";base64"):
        return decode_base64(unquote(body).encode("ascii", "ignore")).decode("utf-8", "replace")
    return unquote(body)
