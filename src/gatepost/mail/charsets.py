"""Octets to text as mail clients do it: by the label, by what labels really mean (WHATWG Encoding), or by looking."""

from __future__ import annotations

from gatepost.mail.encoded_words import known_charset

# WHATWG Encoding §4.2: these labels mean a superset everywhere.
MEANT = {
    "ascii": "cp1252", "iso8859-1": "cp1252", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
    "gb2312": "gb18030", "gbk": "gb18030", "euc_kr": "cp949", "shift_jis": "cp932", "big5": "big5hkscs",
}  # fmt: skip


def decode_text(octets: bytes, declared: str) -> tuple[str, str]:
    """The text, and the character set it was decoded by; never raises."""
    if octets.isascii() and declared in ("", "utf-8", "us-ascii", "iso-8859-1"):
        return octets.decode("ascii"), declared or "us-ascii"
    name = known_charset(declared) if declared else None
    name = MEANT.get(name, name) if name else None
    if name is None:
        try:
            return octets.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            name = "cp1252"
    try:
        return octets.decode(name, "replace"), name
    except (UnicodeError, LookupError, ValueError):
        return octets.decode("latin-1"), "iso8859-1"
