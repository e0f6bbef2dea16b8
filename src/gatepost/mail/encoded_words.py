"""Encoded words: text beyond ASCII in header fields (RFC 2047, RFC 2231 §5).

Decodes as leniently as mail readers do, because what counts is what a person will see. Only real
character sets are decoded: Python also knows "codecs" that compress, escape or compute.
"""

from __future__ import annotations

import binascii
import codecs
import re
from functools import lru_cache

# encoded-word = "=?" charset [ "*" language ] "?" encoding "?" encoded-text "?="     RFC 2047 §2, RFC 2231 §5
ENCODED_WORD = re.compile(r"=\?([A-Za-z0-9_.:-]{1,40})(?:\*[A-Za-z0-9-]{0,40})?\?([bBqQ])\?([^?]*+)\?=")
NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")
CHARSETS = re.compile(
    r"(utf_?8|utf_?16(_?[bl]e)?|ascii|iso8859_?\d+|latin_?1|cp\d+|koi8_[rut]|mac_\w+|gb2312|gbk|gb18030|hz"
    r"|big5(hkscs)?|shift_jis(_2004|x0213)?|euc_(jp|kr|jis_2004|jisx0213)|iso2022_(jp|kr)\w*|johab|tis_620)\Z"
)
ALIASES = {"x-gbk": "gbk", "ks_c_5601-1987": "cp949", "x-sjis": "cp932", "unicode-1-1-utf-8": "utf-8"}


def decode_words(text: str) -> str:
    """`text` with its encoded words decoded; what cannot be decoded stays or becomes U+FFFD."""
    if "=?" not in text:
        return text
    shown: list[str] = []
    end = 0
    for start, after, decoded in decoded_runs(text):
        shown += (text[end:start], decoded)
        end = after
    shown.append(text[end:])
    return "".join(shown)


def decoded_runs(text: str) -> list[tuple[int, int, str]]:
    """Start, end and decoded text of each run of encoded words that only blanks separate (RFC 2047 §6.2)."""
    runs: list[tuple[int, int, list[tuple[str, bytes]]]] = []
    for match in ENCODED_WORD.finditer(text):
        charset, encoding, encoded = match.groups()
        octets = from_base64(encoded) if encoding in "bB" else from_q(encoded)
        charset = charset.lower()
        if runs and not text[runs[-1][1] : match.start()].strip(" \t\r\n"):
            start, _, words = runs[-1]
            runs[-1] = (start, match.end(), words)
        else:
            words = []
            runs.append((match.start(), match.end(), words))
        words.append((charset, octets))
    return [(start, end, joined(words)) for start, end, words in runs]


def joined(words: list[tuple[str, bytes]]) -> str:
    """Words of one character set are decoded together: senders cut characters in two."""
    text: list[str] = []
    at = 0
    while at < len(words):
        charset = words[at][0]
        upto = at
        while upto < len(words) and words[upto][0] == charset:
            upto += 1
        text.append(decode_octets(b"".join(octets for _, octets in words[at:upto]), charset))
        at = upto
    return "".join(text)


def decode_octets(octets: bytes, charset: str) -> str:
    """Octets in a named character set; unknown names are read as UTF-8."""
    try:
        return octets.decode(known_charset(charset) or "utf-8", "replace")
    except (UnicodeError, LookupError, ValueError):
        return octets.decode("utf-8", "replace")


@lru_cache(maxsize=256)
def known_charset(name: str) -> str | None:
    """Python's name of a character set, None when it is none."""
    try:
        found = codecs.lookup(ALIASES.get(name.lower(), name)).name
    except (LookupError, ValueError):
        return None
    return found if CHARSETS.match(found.replace("-", "_")) else None


def from_base64(text: str) -> bytes:
    clean = NOT_BASE64.sub("", text)
    if len(clean) % 4 == 1:
        clean = clean[:-1]
    return binascii.a2b_base64(clean + "=" * (-len(clean) % 4))


def from_q(text: str) -> bytes:
    return binascii.a2b_qp(text.encode("utf-8", "replace"), header=True)
