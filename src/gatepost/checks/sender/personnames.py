"""Names of people as they are written: order, accents, initials, titles, look-alike letters, Japanese without a blank.

A name becomes a few keys, and two writings of one name share one. An index of all protected people is asked with the
keys of a display name, so that their number does not matter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gatepost.mail.known.table import names
from gatepost.tools import Person

MOST_CHARACTERS = 120
MOST_WORDS = 8
TITLES = names("""mr mrs ms miss dr prof professor sir dame herr frau dipl ing mag phd md mba esq jr sr ii iii
    ceo cfo coo cto cio ciso chief executive financial officer managing director president chairman chairwoman chair
    head manager owner founder partner vp vice office private personal mobile of the from
    geschaeftsfuehrer geschaftsfuhrer vorstand leiter gerente directeur direttore presidente""")
"""Words around a name that are no part of it."""
_APART = re.compile(r"[\s,;:/|()\[\]{}<>\"“”„«»・_]+|(?<=\w)\.(?=\w)|\.")
_BRACKETED = re.compile(r"[(\[（【][^)\]）】]{0,60}[)\]）】]")
_HONORIFIC = re.compile(r"[\s　]*(?:様|さま|さん|氏|殿|先生|社長|会長|部長|課長|代表取締役)$")
_QUOTES = re.compile(r"['’‘`´-]")


@dataclass(frozen=True, slots=True)
class Match:
    """A display name that is a protected person's."""

    person: Person
    exact: bool
    """All of the name; False for initials."""


def words_of(name: str) -> list[str]:
    """The words of a name without accents, case, titles and what stands in brackets."""
    text = plain(name[:MOST_CHARACTERS])
    bare = _BRACKETED.sub(" ", text)
    text = bare if bare.strip() else text
    text = _HONORIFIC.sub("", text.rstrip())
    words = [word for word in _APART.split(_QUOTES.sub("", text.casefold())) if word]
    kept = [word for word in words if word not in TITLES]
    return (kept or words)[:MOST_WORDS]


def plain(text: str) -> str:
    """Compatibility forms undone, accents and invisible characters gone, Cyrillic and Greek look-alikes made Latin."""
    if text.isascii():
        return text
    text = unicodedata.normalize("NFKC", text)
    text = "".join(one for one in text if unicodedata.category(one) not in ("Cf", "Co", "Cc"))
    decomposed = unicodedata.normalize("NFKD", text)
    text = unicodedata.normalize("NFC", "".join(one for one in decomposed if not 0x300 <= ord(one) < 0x370))
    return re.sub(r"\w+", lambda match: _unmixed(match[0]), text)


def _unmixed(word: str) -> str:
    """A word of look-alikes as the Latin one it looks like; others, and those of East Asia, as they are."""
    if word.isascii() or any(ord(one) >= 0x2E80 for one in word):
        return word
    import disarm

    folded = str(disarm.normalize_confusables(word))
    return folded if folded.isascii() else word


def keys_of(name: str) -> list[str]:
    """The keys of a whole name: its words in any order, and run together."""
    words = words_of(name)
    if not words:
        return []
    keys = [" ".join(sorted(words)), "".join(words)]
    if len(words) == 2:
        keys.append(words[1] + words[0])
    if len(words) > 2:  # a middle name may be left out
        keys.append(" ".join(sorted((words[0], words[-1]))))
    return list(dict.fromkeys(keys))


def short_keys_of(name: str) -> list[str]:
    """Keys with the first name's initial only, marked so that they meet no whole name."""
    words = words_of(name)
    if len(words) < 2 or not all(word.isascii() for word in words):
        return []
    first, last = words[0], words[-1]
    return [f"{first[0]}.{last}", f"{last[0]}.{first}"]


class ProtectedNames:
    """All protected people by the keys of their names."""

    def __init__(self, people: Iterable[Person]) -> None:
        self._whole: dict[str, list[Person]] = {}
        self._short: dict[str, list[Person]] = {}
        for person in people:
            words = words_of(person.name)
            if len("".join(words)) < 4 and all(word.isascii() for word in words):
                continue  # too short to be told from a word
            for key in keys_of(person.name):
                self._whole.setdefault(key, []).append(person)
            for key in short_keys_of(person.name)[:1]:
                self._short.setdefault(key, []).append(person)

    def __bool__(self) -> bool:
        return bool(self._whole)

    def find(self, display_name: str) -> Match | None:
        """Whose name it is, the first of several."""
        for key in keys_of(display_name):
            if key in self._whole:
                return Match(self._whole[key][0], exact=True)
        words = words_of(display_name)
        if len(words) == 2 and 1 in (len(words[0]), len(words[1])):
            initial, last = sorted(words, key=len)
            found = self._short.get(f"{initial}.{last}")
            if found:
                return Match(found[0], exact=False)
        return None

    def addresses_of(self, match: Match) -> Sequence[str]:
        """All addresses of people of that name."""
        keys = keys_of(match.person.name)[:1]
        return [
            address for key in keys for person in self._whole.get(key, ()) for address in person.addresses
        ]
