"""Numbers that must not leave by mistake, told from other numbers by their check digits; and private keys.

Payment cards: ranges of the networks (ISO/IEC 7812-1) and the Luhn digit (Annex B). My Number, the Japanese individual
number: the check digit of the ministry's ordinance (総務省令第85号, 2014). IBAN: length by country and mod 97-10 (ISO 13616,
ISO 7064). All linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

FEWEST, FEWEST_IN_IBAN = 12, 8
"""Digits without which a text holds no such number."""
MOST = 1_000
"""Numbers looked at in one text."""
BEFORE, AFTER = r"(?<![0-9A-Za-z.,+/_=-])", r"(?![0-9A-Za-z]|[.,-][0-9])"
CARD = re.compile(
    rf"{BEFORE}(?:[0-9]{{4}}([ -])[0-9]{{4}}\1[0-9]{{4}}\1[0-9]{{4}}|[0-9]{{4}}[ -][0-9]{{6}}[ -][0-9]{{4,5}}|[0-9]{{13,19}}){AFTER}"
)
"""In one piece, in fours, or as Amex (4-6-5) and Diners (4-6-4) print them."""
MY_NUMBER = re.compile(rf"{BEFORE}[0-9]{{4}}([ -]?)[0-9]{{4}}\1[0-9]{{4}}{AFTER}(?! [0-9]{{4}})")
IBAN_START = re.compile(r"(?<![0-9A-Za-z])[A-Za-z]{2}[0-9]{2}(?=[ 0-9A-Za-z])")
IBAN_SPAN = 34 + 8
"""Characters of the longest one, with its blanks."""
PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-[0-9]:|AGE-SECRET-KEY-1[0-9A-Z]{40}"
)
FULL_WIDTH = re.compile(
    r"[\uff10-\uff19\uff0d\u2010-\u2015\u2212\u30fc\u00a0\u3000\uff21-\uff3a\uff41-\uff5a]"
)
DASHES = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30fc", "-"))

LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BR": 29, "BY": 28, "CH": 21,
    "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27,
    "MD": 24, "ME": 22, "MK": 19, "MR": 27, "MT": 31, "MU": 30, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "SA": 24, "SC": 31, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "ST": 25, "SV": 28,
    "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
}  # fmt: skip
"""How long an IBAN is, by country."""


def cards(text: str) -> frozenset[str]:
    """Payment card numbers, digits only."""
    return frozenset(one for one in _numbers(CARD, text) if _is_card(one))


def my_numbers(text: str) -> frozenset[str]:
    """Japanese individual numbers, digits only. One in eleven of all numbers with twelve digits looks like one."""
    return frozenset(one for one in _numbers(MY_NUMBER, text) if _is_my_number(one))


def ibans(text: str) -> frozenset[str]:
    """International bank account numbers, without blanks, upper case."""
    found: set[str] = set()
    text = _plain(text)
    if _digits_in(text) < FEWEST_IN_IBAN:
        return frozenset()
    for number, match in enumerate(IBAN_START.finditer(text)):
        if number >= MOST:
            break
        iban = _iban(text[match.start() : match.start() + IBAN_SPAN + 1])
        if iban:
            found.add(iban)
    return frozenset(found)


def private_keys(text: str) -> int:
    """How many private keys begin in it (PEM, OpenSSH, PGP, PuTTY, age)."""
    return sum(1 for _ in PRIVATE_KEY.finditer(text))


def luhn(digits: str) -> bool:
    """Is the last digit the check digit of the others? ISO/IEC 7812-1, Annex B."""
    doubled = sum(sum(divmod(2 * int(one), 10)) for one in digits[-2::-2])
    return (doubled + sum(map(int, digits[-1::-2]))) % 10 == 0


def _plain(text: str) -> str:
    """Full-width digits and letters made plain, all dashes one."""
    if text.isascii() or not FULL_WIDTH.search(text):
        return text
    return unicodedata.normalize("NFKC", text).translate(DASHES)


def _digits_in(text: str) -> int:
    """Counting is much cheaper than searching, and most mail has few digits."""
    return sum(map(text.count, "0123456789"))


def _numbers(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    text = _plain(text)
    if _digits_in(text) < FEWEST:
        return
    for number, match in enumerate(pattern.finditer(text)):
        if number >= MOST:
            return
        yield re.sub(r"[ -]", "", match[0])


def _is_card(digits: str) -> bool:
    if len(set(digits)) < 2:
        return False
    length, two, three, four = len(digits), int(digits[:2]), int(digits[:3]), int(digits[:4])
    known = (
        (digits[0] == "4" and length in (13, 16, 19))
        or ((51 <= two <= 55 or 2221 <= four <= 2720) and length == 16)
        or (two in (34, 37) and length == 15)
        or ((300 <= three <= 305 or two in (36, 38, 39)) and length in (14, 16))
        or ((four == 6011 or 644 <= three <= 649 or two == 65) and 16 <= length <= 19)
        or (3528 <= four <= 3589 and 16 <= length <= 19)
        or (two == 62 and 16 <= length <= 19)
    )
    return known and luhn(digits)


def _is_my_number(digits: str) -> bool:
    if len(digits) != 12 or len(set(digits)) < 3:
        return False
    total = sum(
        int(one) * (place + 1 if place <= 6 else place - 5) for place, one in enumerate(digits[-2::-1], 1)
    )
    rest = total % 11
    return int(digits[-1]) == (0 if rest <= 1 else 11 - rest)


def _iban(written: str) -> str:
    """The IBAN that a text begins with; empty when there is none."""
    length, text = LENGTHS.get(written[:2].upper(), 0), ""
    for place, one in enumerate(written):
        if len(text) == length:
            if one.isalnum():
                return ""
            break
        if one.isascii() and one.isalnum():
            text += one.upper()
        elif one != " " or written[place - 1] == " ":
            return ""
    if not length or len(text) != length:
        return ""
    number = "".join(str(int(one, 36)) for one in text[4:] + text[:4])
    return text if int(number) % 97 == 1 else ""
