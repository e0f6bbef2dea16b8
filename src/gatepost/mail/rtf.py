"""The text of RTF, without its form (Rich Text Format 1.9.1): enough for what winmail.dat carries."""

from __future__ import annotations

import re

# A control word with its number, an escaped octet, another control, a brace.
TOKEN = re.compile(r"\\([a-z]{1,32})(-?\d{1,10})? ?|\\'([0-9a-fA-F]{2})|\\([^a-z])|([{}])|[\r\n]+")
SKIPPED = re.compile(r"\{\\(?:\*\\(?!htmltag)|fonttbl|colortbl|stylesheet|info|pict|object)")
BREAKS = frozenset({"par", "line", "row", "page", "sect"})


def rtf_text(text: str) -> str:
    """What a reader sees, one line a paragraph; never raises. Targets of links are kept, for they lead somewhere."""
    shown: list[str] = []
    at = depth = 0
    skipped_from = -1
    for match in TOKEN.finditer(text):
        if skipped_from < 0:
            shown.append(text[at : match.start()])
        at = match.end()
        word, number, octet, symbol, brace = match.groups()
        if brace == "{":
            depth += 1
            if skipped_from < 0 and SKIPPED.match(text, match.start()):
                skipped_from = depth
        elif brace == "}":
            if depth == skipped_from:
                skipped_from = -1
            depth -= 1
        elif skipped_from >= 0:
            continue
        elif word in BREAKS:
            shown.append("\n")
        elif word in ("tab", "cell"):
            shown.append(" ")
        elif word == "u" and number:
            shown.append(_character(int(number) % 65536))
        elif octet:
            shown.append(bytes([int(octet, 16)]).decode("cp1252", "replace"))
        elif symbol in ("\\", "{", "}", "~"):
            shown.append(symbol.replace("~", " "))
    shown.append(text[at:] if skipped_from < 0 else "")
    return "".join(shown)


def _character(number: int) -> str:
    return chr(number) if not 0xD800 <= number < 0xE000 else "\ufffd"
