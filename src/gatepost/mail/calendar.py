"""Invitations as a person sees them: summary, place, description, and their links (RFC 5545)."""

from __future__ import annotations

import re

from gatepost.mail.text import Text, folded, seen
from gatepost.mail.urls import Link, link_of, links_in_text

MAX_LINES = 5000
SHOWN = frozenset({"SUMMARY", "LOCATION", "DESCRIPTION", "COMMENT", "CONTACT", "ORGANIZER"})
LEADING = frozenset(
    {"URL", "ATTACH", "CONFERENCE", "X-GOOGLE-CONFERENCE", "X-MICROSOFT-SKYPETEAMSMEETINGURL"}
)
FOLD = re.compile(r"\r?\n[ \t]")
ESCAPED = re.compile(r"\\(.)")


def read_calendar(text: str, *, part: int, charset: str = "") -> Text:
    """The text and links of a calendar part; never raises."""
    shown: list[str] = []
    links: list[Link] = []
    for line in FOLD.sub("", text).splitlines()[:MAX_LINES]:
        head, _, value = line.partition(":")
        name = head.partition(";")[0].strip().upper()
        if name in SHOWN:
            shown.append(ESCAPED.sub(lambda found: "\n" if found[1] in "nN" else found[1], value))
        elif name in LEADING:
            link = link_of(value, where="calendar", part=part)
            if link is not None:
                links.append(link)
        elif name == "X-ALT-DESC":
            from gatepost.mail.html_text import read_html

            html = read_html(ESCAPED.sub(r"\1", value), part=part)
            shown.append(html.visible)
            links += html.links
    visible, _ = seen(folded("\n".join(shown)))
    links += links_in_text(visible, part=part, where="calendar")
    return Text(part=part, visible=visible, charset=charset, links=tuple(links[:500]))
