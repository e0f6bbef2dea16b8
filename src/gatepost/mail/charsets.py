"""Octets to text as mail clients do it: by the label, by what labels really mean (WHATWG Encoding), or by looking.

ISO-2022-JP with its vendors' rows (RFC 1468 and what Windows writes), and UTF-7, which only old clients read, are
decoded too. Left out: stateful Chinese and Korean escapes beyond what Python knows, EBCDIC.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from gatepost.mail.encoded_words import known_charset

LOOKED_AT = 20_000
"""Octets that a guess looks at."""

# WHATWG Encoding §4.2: these labels mean a superset everywhere. By Python's names.
MEANT = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "shift_jis": "cp932", "big5": "big5hkscs",
    "hz": "hz", "iso2022_jp": "iso2022_jp_ext", "iso2022_jp_1": "iso2022_jp_ext", "iso2022_jp_2": "iso2022_jp_2",
}  # fmt: skip
LABELS = {
    "utf-8": "utf-8", "us-ascii": "cp1252", "iso-8859-1": "cp1252", "windows-1252": "cp1252", "utf8": "utf-8",
    "cp50220": "iso2022_jp_ext", "cp50221": "iso2022_jp_ext", "cp50222": "iso2022_jp_ext", "csiso2022jp": "iso2022_jp_ext",
    "windows-31j": "cp932", "ms_kanji": "cp932", "x-sjis": "cp932", "x-euc-jp": "euc_jp", "korean": "cp949",
    "ks_c_5601": "cp949", "ks_c_5601-1989": "cp949", "ksc5601": "cp949", "ksc_5601": "cp949", "gb_2312-80": "gb18030",
    "chinese": "gb18030", "x-gbk": "gb18030", "x-x-big5": "big5hkscs", "big5-hkscs": "big5hkscs", "utf-16": "utf-16",
    "unicode": "utf-16", "iso-10646-ucs-2": "utf-16", "koi8-ru": "koi8_u", "visual": "iso8859-8", "logical": "iso8859-8",
    "iso-8859-8-i": "iso8859-8", "iso-8859-8-e": "iso8859-8", "macintosh": "mac_roman", "x-mac-cyrillic": "mac_cyrillic",
    "unicode-1-1-utf-7": "utf-7", "utf-7": "utf-7", "utf7": "utf-7", "csunicode11utf7": "utf-7", "default": "", "unknown": "",
    "unknown-8bit": "", "x-unknown": "", "_autodetect": "", "x-user-defined": "",
}  # fmt: skip
MARKS = ((b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"))
ESCAPES = re.compile(rb"\x1b(?:\$[@B]|\$\([DOPQ]|\([BJI])")
BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
CONTROLS = re.compile(r"[\x80-\x9f\ufffd]")


class Decoded(NamedTuple):
    """Text, and how it came about."""

    text: str
    charset: str
    """Python's name of the character set it was decoded by."""
    lie: str = ""
    """``undeclared``: nothing was declared and something was needed; ``not-as-declared``: the octets are in another one;
    ``utf-7``: declared as what only some clients read."""


def decode_text(octets: bytes, declared: str) -> Decoded:
    """The text of octets declared to be in a character set; never raises."""
    declared = declared.strip().strip("\"'").lower()
    name = LABELS.get(declared)
    if name is None and declared:
        name = known_charset(declared) or ""
        name = MEANT.get(name, name)
    if name in ("utf-8", "cp1252", "", None) and octets.isascii() and b"\x1b" not in octets:
        return Decoded(octets.decode("ascii"), name or "us-ascii")
    for mark, marked in MARKS:
        if octets.startswith(mark):
            return Decoded(octets[len(mark) :].decode(marked, "replace"), marked)
    if name == "utf-7":
        return Decoded(_decoded(octets, "utf-7"), "utf-7", "utf-7")
    if name == "utf-16":
        return Decoded(_decoded(octets, _utf_16(octets)), name)
    if not name:
        guess = guessed(octets)
        return Decoded(_decoded(octets, guess), guess, "undeclared")
    if name.startswith("iso2022_jp"):
        return Decoded(_iso_2022_jp(octets), name)
    return _checked(octets, name, declared)


def _checked(octets: bytes, name: str, declared: str) -> Decoded:
    """By its label, unless the octets plainly belong to another one."""
    try:
        text = octets.decode(name)
    except UnicodeDecodeError:
        text = octets.decode(name, "replace")
        wrong = text.count("\ufffd")
        if wrong * 200 > len(octets) or wrong > 20:
            guess = guessed(octets)
            if guess not in (name, "cp1252"):
                return Decoded(_decoded(octets, guess), guess, "not-as-declared")
        return Decoded(text, name, "not-as-declared" if wrong * 50 > len(octets) else "")
    except (LookupError, ValueError):
        return Decoded(_decoded(octets, "utf-8"), "utf-8", "undeclared")
    if declared == "us-ascii":
        guess = guessed(octets)
        return Decoded(_decoded(octets, guess), guess, "not-as-declared")
    if name == "cp1252" and not octets.isascii():
        # UTF-8 by accident does not happen; clients believe the label all the same, and so does the reader here.
        try:
            octets.decode("utf-8")
        except UnicodeDecodeError:
            return Decoded(text, name)
        return Decoded(text, name, "not-as-declared")
    return Decoded(text, name)


def guessed(octets: bytes) -> str:
    """The character set that octets without a label are most likely in."""
    start = octets[:LOOKED_AT]
    if b"\x1b" in start and ESCAPES.search(start):
        return "iso2022_jp_ext"
    if start.count(b"\0") * 4 > len(start):
        return _utf_16(start)
    try:
        octets.decode("utf-8")
        return "utf-8"
    except UnicodeDecodeError:
        pass
    if _mostly_utf_8(start):
        return "utf-8"
    best, most = "cp1252", 0.5
    for name in ("cp932", "euc_jp", "gb18030", "cp949", "big5hkscs", "koi8_r", "cp1251"):
        share = _likely(start, name)
        if share > most:
            best, most = name, share
    return best


def _mostly_utf_8(start: bytes) -> bool:
    text = start.decode("utf-8", "replace")
    wrong = text.count("\ufffd")
    return wrong * 10 < sum(character > "\x7f" for character in text)


COMMON = {
    "cp932": re.compile("[\u3041-\u3093\u30a1-\u30f6\u30fc\u3001\u3002]"),
    "euc_jp": re.compile("[\u3041-\u3093\u30a1-\u30f6\u30fc\u3001\u3002]"),
    "gb18030": re.compile("[的一是不了在人有我他这中大来上国个到说们为子和你地出道也时年得就那要下以生会自着去之过家学对可您请我公司发票\uff0c\u3002]"),
    "big5hkscs": re.compile("[的一是不了在人有我他這中大來上國個到說們為子和你地出道也時年得就那要下以生會自著去之過家學對可您請公司\uff0c\u3002]"),
    "cp949": re.compile("[\uac00-\ud7a3]"),
    "koi8_r": re.compile("[\u0430-\u044f]"),
    "cp1251": re.compile("[\u0430-\u044f]"),
}  # fmt: skip
# How often those make up text that is in this character set, at the least.
USUAL = {
    "cp932": 0.35,
    "euc_jp": 0.35,
    "gb18030": 0.12,
    "big5hkscs": 0.12,
    "cp949": 0.8,
    "koi8_r": 0.8,
    "cp1251": 0.8,
}


def _likely(start: bytes, name: str) -> float:
    """How usual text the octets would make in this character set: 1 is as usual as can be."""
    text = start.decode(name, "ignore")
    strange = len(start.decode(name, "replace")) - len(text)
    beyond = sum(character > "\x7f" for character in text)
    if beyond < 4 or strange * 20 > beyond:
        return 0.0
    return min(1.0, len(COMMON[name].findall(text)) / beyond / USUAL[name])


def _utf_16(octets: bytes) -> str:
    """Which order its octets have: Latin text has its zeros first or second."""
    even, odd = octets[:2000:2].count(0), octets[1:2000:2].count(0)
    return "utf-16-be" if even > odd else "utf-16-le"


def _iso_2022_jp(octets: bytes) -> str:
    try:
        return octets.decode("iso2022_jp_ext")
    except (UnicodeDecodeError, ValueError):
        pass
    # Vendors' characters (NEC row 13, IBM rows): by way of Shift_JIS, whose Microsoft variant has them.
    text: list[str] = []
    at, double, katakana = 0, False, False
    for match in ESCAPES.finditer(octets):
        text.append(_jis(octets[at : match.start()], double, katakana))
        double, katakana = match[0][1:2] == b"$", match[0][2:3] == b"I"
        at = match.end()
    text.append(_jis(octets[at:], double, katakana))
    return "".join(text)


def _jis(run: bytes, double: bool, katakana: bool) -> str:
    """One run between escapes. A line end leaves the double octets (RFC 1468)."""
    if katakana:
        return bytes(octet | 0x80 if octet > 0x20 else octet for octet in run).decode("cp932", "replace")
    if not double:
        return _decoded(run, "cp932")
    shifted = bytearray()
    at = 0
    while at < len(run):
        first = run[at]
        second = run[at + 1] if at + 1 < len(run) else 0
        if not (0x21 <= first <= 0x7E and 0x21 <= second <= 0x7E):
            shifted.append(first & 0x7F)
            at += 1
            continue
        row = (first - 0x21) // 2
        shifted.append(row + (0x81 if row < 31 else 0xC1))
        if first % 2:
            shifted.append(second + (0x1F if second < 0x60 else 0x20))
        else:
            shifted.append(second + 0x7E)
        at += 2
    return bytes(shifted).decode("cp932", "replace")


def _decoded(octets: bytes, name: str) -> str:
    try:
        return octets.decode(name, "replace")
    except (UnicodeError, LookupError, ValueError):
        return octets.decode("latin-1")
