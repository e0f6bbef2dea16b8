"""What all archives have in common: names of members that lead astray, and members that stay locked."""

from __future__ import annotations

import re

from gatepost.files.notes import Notes
from gatepost.mail.filereport import FileFact

_ABSOLUTE = re.compile(r"[/\\]|[A-Za-z]:")
_PARENT = re.compile(r"(?:^|[/\\])\.\.(?:[/\\]|$)")


def note_name(notes: Notes, name: str) -> None:
    """Does the member's name lead out of the folder it is unpacked into?"""
    if _ABSOLUTE.match(name) or _PARENT.search(name):
        notes.fact(
            "path-escape", f"the member {name!r} would be written outside the folder it is unpacked into"
        )


def locked_member(notes: Notes, name: str, size: int) -> None:
    """A member of which only the name is known."""
    locked = FileFact("encrypted", "it is locked with a password")
    notes.member(name, b"", size=size, facts=(locked,))


def last_name(name: str) -> str:
    """Without folders, as it will be shown."""
    return re.split(r"[/\\]", name.rstrip("/\\"))[-1] or name
