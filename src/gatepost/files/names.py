"""What the name of a file says, against what the file is. Pure.

A person goes by the name and its ending; Windows goes by the last ending, after dropping what it ignores.
"""

from __future__ import annotations

import re

from gatepost.files.kind import extension_of, kind_by_name
from gatepost.files.kinds import KINDS, RISKY
from gatepost.files.notes import Notes

_OVERRIDE = re.compile("[\u202d\u202e]")
_UNSEEN = re.compile("[\x00-\x1f\x7f\u200b\u202a-\u202c\u2060\u2066-\u2069\ufeff]")
_PADDING = re.compile(r"[\s\u00a0\u115f\u1160\u2000-\u200a\u2800\u3000\u3164]{8,}")
_PIECE = re.compile(r"\.\w{1,5}\.\d{3}\Z|\.[zr]\d\d\Z|\.part0*\d{1,4}\.(?:rar|exe)\Z", re.IGNORECASE)
"""How archives in several files are numbered: ``a.zip.001``, ``a.z01``, ``a.r00``, ``a.part1.rar``."""
_TRUSTED = frozenset({"document", "picture", "media", "text", "message", "archive"})
"""Families a person opens without a thought."""
_PLAIN = frozenset({"html", "xml", "text", "eml", "mht", "rtf", "slk", "svg"})
"""Text by nature, which sheets and documents are often saved as."""


def judge_name(notes: Notes) -> None:
    """The facts about the name of `notes`, given its kind."""
    _trickery(notes)
    _endings(notes)
    _content(notes)
    _declared(notes)


def _trickery(notes: Notes) -> None:
    name = notes.name
    if _OVERRIDE.search(name):
        notes.fact("rtl-override", f"the name {name!r} turns the direction of writing to show another ending")
    if _UNSEEN.search(name):
        notes.fact("control-in-name", f"the name {name!r} holds invisible characters")
    if _PADDING.search(name):
        notes.fact("padded-name", f"blanks in the name push its ending .{extension_of(name)} out of sight")
    if _PIECE.search(name):
        notes.fact(
            "unreadable", "it is one piece of an archive in several, which only all together can be opened"
        )
    if name.endswith((".", " ")) and kind_by_name(name):
        notes.fact(
            "trailing-dot", f"the name ends in a dot or blank, and Windows takes it for .{extension_of(name)}"
        )


def _endings(notes: Notes) -> None:
    extension = extension_of(notes.name)
    last = kind_by_name(notes.name)
    if not last or KINDS[last].family not in RISKY:
        return
    before = notes.name.rstrip(". \u00a0\t")[: -len(extension) - 1]
    shown = extension_of(before)
    first = kind_by_name(before)
    if first and first != last and (KINDS[first].family in _TRUSTED - {"archive"} or first == "zip"):
        if shown in KINDS["text"].extensions and shown not in {"txt", "csv"}:
            return  # data.min.css.js and its like
        notes.fact(
            "double-extension",
            f"the name shows .{shown} and ends in .{extension}: {KINDS[last].title}",
            {"shown": shown, "extension": extension},
        )


def _content(notes: Notes) -> None:
    promised = kind_by_name(notes.name)
    extension = extension_of(notes.name)
    if not promised or not notes.octets or not notes.kind:
        return
    true = KINDS[notes.kind]
    if extension in true.extensions:
        return
    family = KINDS[promised].family
    evidence = {"extension": extension, "kind": notes.kind}
    harmful = true.family in RISKY - {"page", "macro-document"}
    textual = notes.kind in _PLAIN or (
        true.family in {"script", "shortcut"} and notes.kind not in {"lnk", "chm"}
    )
    if harmful and family in _TRUSTED and not (textual and family in {"text", "message"}):
        notes.fact("disguised", f"it is {true.title}, and its name says .{extension}", evidence)
    elif family != true.family and not _usual(promised, notes.kind):
        notes.fact("name-mismatch", f"the name says .{extension}, but it is {true.title}", evidence)


def _usual(promised: str, kind: str) -> bool:
    """Programs save such files under such names every day."""
    if KINDS[promised].family in {"document", "text", "message", "data"} and kind in _PLAIN:
        return promised != "pdf"
    if promised in {"docx", "xlsx", "pptx"}:
        return kind in {"word", "excel", "powerpoint"}
    return KINDS[promised].family in {"text", "data"} or (
        promised in {"docm", "xlsm", "pptm"} and kind.endswith("x")
    )


def _declared(notes: Notes) -> None:
    declared, kind = notes.declared, notes.kind
    if not kind or not declared or declared in KINDS[kind].types or kind in _PLAIN:
        return
    main = declared.partition("/")[0]
    family = KINDS[kind].family
    meant = next((one.family for one in KINDS.values() if declared in one.types), "")
    trusted = main in {"image", "audio", "video"} or meant in {"document", "picture", "message"}
    binary = family not in {"script", "shortcut"} or kind in {"lnk", "chm"}
    if (trusted and family in RISKY | {"archive"}) or (
        main == "text" and family in RISKY and binary and family != "page"
    ):
        notes.fact(
            "declared-mismatch",
            f"it is declared as {declared} and is {KINDS[kind].title}",
            {"declared": declared, "kind": kind},
        )
