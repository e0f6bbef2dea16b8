"""What is in a message, worked out once for all who ask: parts, what a person reads, links, attachments.

A check says ``content = content_of(mail.message)``. Everything is lazy and bounded, and nothing here raises.
"""

from __future__ import annotations

from functools import cached_property

from gatepost.mail.author import subject_text
from gatepost.mail.message import Message
from gatepost.mail.mime import Part, Tree, tree_of
from gatepost.mail.text import Text, text_of
from gatepost.mail.urls import Link

MAX_TEXT = 200_000
"""Characters of visible text that are read, over all parts."""
MAX_LINKS = 500


class Content:
    """The lazy views of one message."""

    def __init__(self, message: Message) -> None:
        self.message = message

    @cached_property
    def tree(self) -> Tree:
        """All parts, and where readers could disagree."""
        return tree_of(self.message)

    @property
    def parts(self) -> tuple[Part, ...]:
        """In order of appearance, the root first."""
        return self.tree.parts

    @cached_property
    def texts(self) -> tuple[Text, ...]:
        """Each text part (plain, HTML, calendar, …) as a reader sees it."""
        return tuple(text for text in map(text_of, self.parts) if text is not None)

    @cached_property
    def _usual(self) -> tuple[Text, ...]:
        """The texts of the usual reading, or those of the others where it shows none."""
        usual = tuple(one for one in self.texts if not self.parts[one.part].reading)
        return usual if any(one.visible for one in usual) else self.texts

    @property
    def shown(self) -> tuple[str, ...]:
        """The visible text of each part."""
        return tuple(one.visible for one in self._usual)

    @cached_property
    def text(self) -> str:
        """The visible text of all parts, parts apart by an empty line; at most MAX_TEXT characters."""
        return "\n\n".join(self.shown)[:MAX_TEXT]

    @cached_property
    def hidden_text(self) -> str:
        """What is there and cannot be seen, and what only unusual readings of the message show."""
        usual = {one.part for one in self._usual}
        hidden = [one.hidden for one in self.texts if one.hidden]
        hidden += [one.visible for one in self.texts if one.part not in usual]
        return "\n\n".join(hidden)[:MAX_TEXT]

    @cached_property
    def subject(self) -> str:
        """As a reader sees it."""
        return subject_text(self.message)

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """All links of text and HTML, at most MAX_LINKS. Those in files come with `tools.unpacker`."""
        return tuple(link for one in self.texts for link in one.links)[:MAX_LINKS]

    @property
    def too_many_links(self) -> bool:
        """May there be links that are not among `links`?"""
        return len(self.links) >= MAX_LINKS

    @cached_property
    def attachments(self) -> tuple[Part, ...]:
        """Parts a client offers to open or save, inline images among them, in every reading of the message."""
        containers = {one.parent for one in self.parts if not one.reading}
        return tuple(one for one in self.parts if _is_file(one, one.index in containers))

    @cached_property
    def within_text(self) -> tuple[Part, ...]:
        """What a person sees as a picture and only the text holds: ``data:`` addresses, codes drawn with letters."""
        if all(one.visible.isascii() and not one.links for one in self._usual):
            return ()
        from gatepost.mail.withintext import parts_in_text

        return parts_in_text(self.parts, self._usual)


def _is_file(part: Part, holds_parts: bool) -> bool:
    if part.is_multipart or (holds_parts and part.content_type.startswith(("message/", "text/"))):
        return False
    if part.filename or part.disposition == "attachment":
        return True
    return not part.content_type.startswith(("text/", "message/"))


def content_of(message: Message) -> Content:
    """The content of `message`, the same object whoever asks."""
    return message.once(_content)


def _content(message: Message) -> Content:
    """Of a twin that shares the octets and remembers nothing: content that held the message that remembers the content would
    keep 40 MB of mail in memory until the collector of cycles comes by."""
    return Content(Message(message.octets, message.fields, message.body_start, message.defects))
