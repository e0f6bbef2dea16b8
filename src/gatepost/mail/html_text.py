"""HTML as a person sees it: its visible text, what is hidden, and where its links lead."""

from __future__ import annotations

from selectolax.lexbor import LexborHTMLParser

from gatepost.mail.text import Text
from gatepost.mail.urls import Link, link_of


def read_html(html: str, *, part: int, charset: str = "") -> Text:
    """The text of an HTML document; never raises."""
    tree = LexborHTMLParser(html)
    links: list[Link] = []
    for node in tree.css("a[href],area[href],form[action],img[src]"):
        kind = node.tag or ""
        name = {"form": "action", "img": "src"}.get(kind, "href")
        where = {"form": "form", "img": "image"}.get(kind, "html")
        shown = " ".join(node.text().split()) if kind == "a" else ""
        link = link_of(node.attributes.get(name) or "", shown=shown, where=where, part=part)
        if link is not None:
            links.append(link)
    forms, images, scripts = (len(tree.css(name)) for name in ("form", "img", "script"))
    passwords = len(tree.css("input[type=password]"))
    for node in tree.css("script,style,head"):
        node.decompose()
    body = tree.body
    visible = " ".join(body.text(separator=" ").split()) if body is not None else ""
    return Text(
        part=part, visible=visible, is_html=True, charset=charset, links=tuple(links), forms=forms,
        password_fields=passwords, scripts=scripts, images=images,
    )  # fmt: skip
