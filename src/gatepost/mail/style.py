"""Which CSS declarations hide text from a reader (CSS 2.2, CSS Color), as far as mail clients honour them.

One look at each different style attribute: they repeat within a message and from message to message.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

UNKNOWN = -1
"""A colour nobody can tell: a picture, a gradient, a name not known here."""
TRANSPARENT = -2
MAX_RULES = 500

NAMED = {
    "white": 0xFFFFFF, "black": 0, "red": 0xFF0000, "green": 0x8000, "blue": 0xFF, "yellow": 0xFFFF00, "gray": 0x808080,
    "grey": 0x808080, "silver": 0xC0C0C0, "navy": 0x80, "maroon": 0x800000, "lime": 0xFF00, "aqua": 0xFFFF, "cyan": 0xFFFF,
    "snow": 0xFFFAFA, "ivory": 0xFFFFF0, "ghostwhite": 0xF8F8FF, "whitesmoke": 0xF5F5F5, "floralwhite": 0xFFFAF0,
    "transparent": TRANSPARENT,
}  # fmt: skip
RGB = re.compile(r"rgba?\((\d{1,3})[,\s](\d{1,3})[,\s](\d{1,3})(?:[,/]([\d.]+%?))?\)")
SIZE = re.compile(r"(-?[\d.]+)(px|pt|em|rem|%|ex|ch|vw|vh|in|cm|mm)?")
ZERO = re.compile(r"-?0*\.?0*(?:px|pt|em|rem|%)?\Z")
COMMENT = re.compile(r"/\*[^*]*+(?:\*(?!/)[^*]*+)*+(?:\*/)?")
RULE = re.compile(r"([^{}@;]{1,300}+)\{([^{}]{0,2000}+)\}")
SIMPLE_SELECTOR = re.compile(r"[a-z0-9]*([.#][\w-]+)\Z", re.IGNORECASE)
INTERESTING = re.compile(r"none|hidden|opacity|font-size|height|indent|left|top|color|clip", re.IGNORECASE)


class Style(NamedTuple):
    """What a style says about being seen. None where it says nothing."""

    hidden: str = ""
    """How it hides for good: ``display-none``, ``zero-size``, ``off-screen``; what is within stays hidden."""
    invisible: bool | None = None
    """``visibility: hidden``, which what is within may undo."""
    tiny: bool | None = None
    """A font size of next to nothing, which what is within may undo."""
    colour: int | None = None
    ground: int | None = None


NOTHING = Style()


def read_style(text: str) -> Style:
    """A style attribute's declarations; never raises."""
    return _remembered(text) if len(text) < 400 else _read(text[:4000])


def _read(text: str) -> Style:
    said: dict[str, str] = {}
    for declaration in COMMENT.sub("", text).lower().split(";"):
        name, colon, value = declaration.partition(":")
        if colon:
            said[name.strip()] = value.replace("!important", "").strip()
    if not said:
        return NOTHING
    size = said.get("font-size")
    visibility = said.get("visibility")
    ground = said.get("background-color") or said.get("background")
    colour = said.get("color")
    read = colour_of(colour) if colour is not None else None
    return Style(
        _hidden(said),
        visibility in ("hidden", "collapse") if visibility is not None else None,
        _tiny(size) if size is not None else None,
        None if read == UNKNOWN else read,
        _ground(ground, said),
    )


_remembered = lru_cache(maxsize=4096)(_read)


def _hidden(said: dict[str, str]) -> str:
    if said.get("display") == "none":
        return "display-none"
    opacity = said.get("opacity")
    if opacity is not None and ZERO.match(opacity):
        return "invisible-colour"
    if said.get("overflow") == "hidden" and any(
        (length := said.get(name)) is not None and ZERO.match(length)
        for name in ("max-height", "height", "width", "max-width")
    ):
        return "zero-size"
    away = (
        said.get(name, "") for name in ("text-indent", "left", "top", "margin-left", "margin-top", "right")
    )
    if any(len(length) > 4 and length[0] == "-" and _number(length) < -400 for length in away):
        return "off-screen"
    if said.get("clip", "").replace(" ", "").startswith(("rect(0,0,0,0", "rect(0px,0px,0px,0px", "rect(000")):
        return "off-screen"
    return ""


def _tiny(size: str) -> bool:
    found = SIZE.match(size)
    if found is None:
        return False
    number, unit = _number(found[1]), found[2] or "px"
    return number <= {"px": 2, "pt": 1.5, "em": 0.15, "rem": 0.15, "%": 15}.get(unit, 0)


def _number(text: str) -> float:
    found = SIZE.match(text)
    try:
        return float(found[1]) if found is not None else 0.0
    except ValueError:
        return 0.0


def _ground(value: str | None, said: dict[str, str]) -> int | None:
    if "url(" in said.get("background-image", "") or "gradient" in said.get("background-image", ""):
        return UNKNOWN
    if value is None:
        return None
    if "url(" in value or "gradient" in value:
        return UNKNOWN
    colour = colour_of(value)
    if colour == UNKNOWN:
        # ``background: white no-repeat``
        colour = colour_of(value.partition(" ")[0])
    return None if colour == TRANSPARENT else colour


@lru_cache(maxsize=2048)
def colour_of(text: str) -> int:
    """A colour as red, green and blue in one number; UNKNOWN, or TRANSPARENT."""
    text = text.strip().lower()
    named = NAMED.get(text)
    if named is not None:
        return named
    digits = text.removeprefix("#")
    try:
        if len(digits) == 3:
            return int("".join(digit * 2 for digit in digits), 16)
        if len(digits) in (6, 8):
            return TRANSPARENT if digits[6:] == "00" else int(digits[:6], 16)
    except ValueError:
        pass
    found = RGB.match(text.replace(", ", ","))
    if found is None:
        return UNKNOWN
    if found[4] is not None and not found[4].strip("0.%"):
        return TRANSPARENT
    return min(int(found[1]), 255) << 16 | min(int(found[2]), 255) << 8 | min(int(found[3]), 255)


def alike(colour: int, ground: int) -> bool:
    """Too near to be told apart by an eye."""
    if colour == TRANSPARENT:
        return True
    if colour < 0 or ground < 0:
        return False
    return (
        abs((colour >> 16) - (ground >> 16)) <= 10
        and abs((colour >> 8 & 255) - (ground >> 8 & 255)) <= 10
        and abs((colour & 255) - (ground & 255)) <= 10
    )


def hiding_rules(sheet: str) -> dict[str, Style]:
    """The rules of a style sheet that hide what a simple selector names: ``.class`` or ``#id`` to Style.

    Rules inside @media and the like hold for some screens only and are passed over.
    """
    if not INTERESTING.search(sheet):
        return {}
    found: dict[str, Style] = {}
    for count, match in enumerate(RULE.finditer(_outside_at_rules(COMMENT.sub("", sheet)))):
        if count >= MAX_RULES:
            break
        if INTERESTING.search(match[2]):
            style = read_style(match[2])
            if style == NOTHING:
                continue
            for selector in match[1].split(","):
                simple = SIMPLE_SELECTOR.match(selector.strip())
                if simple is not None:
                    found[simple[1]] = style
    return found


def _outside_at_rules(sheet: str) -> str:
    """The sheet without what stands in the braces of @media and its like."""
    at = sheet.find("@")
    if at < 0:
        return sheet
    kept = []
    start = 0
    while at >= 0:
        kept.append(sheet[start:at])
        brace = sheet.find("{", at)
        semicolon = sheet.find(";", at)
        if brace < 0 or 0 <= semicolon < brace:
            start = len(sheet) if semicolon < 0 else semicolon + 1
        else:
            start = _closing(sheet, brace)
        at = sheet.find("@", start)
    kept.append(sheet[start:])
    return "".join(kept)


BRACE = re.compile(r"[{}]")


def _closing(sheet: str, brace: int) -> int:
    depth = 0
    for match in BRACE.finditer(sheet, brace):
        depth += 1 if match[0] == "{" else -1
        if depth == 0:
            return match.end()
    return len(sheet)
