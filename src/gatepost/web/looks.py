"""How pages look: templates, one environment for each language, the words of each language, dates and numbers.

The words are gettext catalogues, ``words/ja/*.po``; the keys are the English texts as they stand in templates and code.
A text is marked with ``_("…")`` in templates, ``visit._("…")`` in code, and ``N_("…")`` where it is said later.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from babel.dates import format_date, format_datetime, format_timedelta
from babel.messages.pofile import read_po
from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup, escape

from gatepost.web.facts import Facts
from gatepost.web.icons import icon

HERE = Path(__file__).parent
VALUE = re.compile(r"%\((\w+)\)s")
JOINT = re.compile(r"[@._:]")
"""Where an address or a rule's name may go on in the next line."""
SENTENCES = ("office.po", "concerns.po", "stories.po")
"""Catalogues of sentences that come with their values filled in."""
SENTENCE_LONGEST = 1000
"""Characters of a sentence that is looked for among those with values."""
STATIC = HERE / "static"


def N_(text: str) -> str:  # noqa: N802 - the name by which the extractors of gettext know it
    """Marks a text that is translated where it is shown."""
    return text


class Looks:
    """Everything needed to draw a page; made once."""

    def __init__(self, languages: Mapping[str, str], zone: tzinfo = UTC) -> None:
        self.zone = zone
        self._words = {language: words_of(language) for language in languages}
        self._sentences = {language: sentences_of(language) for language in languages}
        self._facts = {
            language: Facts(HERE / "words" / language, partial(self.say, language)) for language in languages
        }
        self._static = {
            str(path.relative_to(STATIC)): path.read_bytes()
            for path in sorted(STATIC.rglob("*"))
            if path.is_file()
        }
        self._marks = {name: hashlib.sha256(octets).hexdigest()[:12] for name, octets in self._static.items()}
        # Read once, as the files of static/ are: an upgrade under a running gate mixes no old code with new pages.
        self._templates = DictLoader(
            {path.name: path.read_text("utf-8") for path in (HERE / "templates").glob("*.html")}
        )
        self._environments = {language: self._environment(language, languages) for language in languages}

    def say(self, language: str, text: str, /, **values: object) -> str:
        """The text in the language, with ``%(name)s`` filled in; in English where nobody has translated it."""
        said = self._words[language].get(text)
        if said is None:
            said = text if values else self._told(language, text)
        return said % values if values else said

    def _told(self, language: str, sentence: str) -> str:
        """A sentence of the office, which comes with its values filled in."""
        if len(sentence) <= SENTENCE_LONGEST:
            for pattern, said in self._sentences[language]:
                match = pattern.fullmatch(sentence)
                if match is not None:
                    return said % {
                        name: self._again(language, value) for name, value in match.groupdict().items()
                    }
        return sentence

    def _again(self, language: str, value: str) -> str:
        """What a sentence says of something may be a sentence of ours, too."""
        known = self._words[language].get(value)
        if known is not None:
            return known
        return next(
            (
                said % found.groupdict()
                for pattern, said in self._sentences[language]
                if (found := pattern.fullmatch(value))
            ),
            value,
        )

    def fact(self, language: str, one: Any) -> str:
        """One piece of evidence (`looking.Evidence`) as a sentence in the language; empty where it may not be seen."""
        if language == "en":
            return str(one.text)
        return (
            self._facts[language].sentence(one.name, one.about, one.text, one.facts)
            if one.text or one.about
            else ""
        )

    def reason(self, language: str, decision: Any, evidence: Sequence[Any]) -> str:
        """Why something was decided (`looking.Decision`), in the language, out of what was seen."""
        if language == "en" or not decision.reason:
            return str(decision.reason)
        by = next(
            (
                one
                for one in evidence
                if one.text and one.text in (decision.reason, decision.reason.partition("; ")[0])
            ),
            None,
        )
        by = by or next(
            (one for one in evidence if one.name.partition(":")[0] == decision.verdict.rule), None
        )
        against = [one for one in evidence if one.weight > 0 and one.enforced and not one.excused_by]
        heaviest = [
            (self.fact(language, one), one.weight) for one in sorted(against, key=lambda one: -one.weight)
        ]
        return self._facts[language].reason(
            decision.reason, self.fact(language, by) if by is not None else "", heaviest
        )

    def draw(self, template: str, language: str, **values: Any) -> str:
        """A template in the language."""
        return self._environments[language].get_template(template).render(values)

    def static(self, name: str) -> bytes | None:
        """A file as it is sent."""
        return self._static.get(name)

    def static_url(self, name: str) -> str:
        """With a mark of its content, so that browsers may keep it for good. Raises KeyError when there is none."""
        return f"/static/{name}?v={self._marks[name]}"

    def _environment(self, language: str, languages: Mapping[str, str]) -> Environment:
        environment = Environment(
            loader=self._templates,
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        environment.globals |= {
            "_": translated(partial(self.say, language)),
            "language": language,
            "languages": languages,
            "static": self.static_url,
            "icon": icon,
        }
        environment.filters |= {
            "said": partial(self.say, language),
            "fact": partial(self.fact, language),
            "reason": partial(self.reason, language),
            "moment": partial(moment, language=language, zone=self.zone),
            "clock": partial(moment, language=language, zone=self.zone, pattern="HH:mm:ss"),
            "minute": partial(moment, language=language, zone=self.zone, pattern="MMMd HH:mm"),
            "day": partial(day, language=language, zone=self.zone),
            "iso": iso,
            "age": partial(age, language=language),
            "number": partial(number, language=language),
            "octets": partial(octets, language=language),
            "breakable": breakable,
        }
        return environment


def words_of(language: str) -> dict[str, str]:
    """Every translated text of a language; English needs none. Doubtful ones (``fuzzy``) are left out."""
    words: dict[str, str] = {}
    for path in sorted((HERE / "words" / language).glob("*.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=language):
                if message.id and message.string and not message.fuzzy and not message.context:
                    words[str(message.id)] = str(message.string)
    return words


def sentences_of(language: str) -> list[tuple[re.Pattern[str], str]]:
    """Sentences that come with their values filled in, to be known again: the office's, what needs attention, a delivery's."""
    found: list[tuple[str, str]] = []
    for name in SENTENCES:
        path = HERE / "words" / language / name
        if path.exists():
            with path.open("rb") as file:
                found += [
                    (str(one.id), str(one.string))
                    for one in read_po(file, locale=language)
                    if one.id and one.string
                ]
    # What says more by itself is tried first.
    found.sort(key=lambda one: -len(VALUE.sub("", one[0])))
    sentences = []
    for english, said in found:
        parts = VALUE.split(english)
        if len(parts) > 1:
            texts = [
                re.escape(part) if index % 2 == 0 else f"(?P<{part}>.+)" for index, part in enumerate(parts)
            ]
            sentences.append((re.compile("".join(texts)), said))
    return sentences


def translated(say: Callable[..., str]) -> Callable[..., str | Markup]:
    """``_`` of the templates. Values that are filled in are escaped, the text itself is ours and may hold marks."""

    def filled(text: str, /, **values: object) -> str | Markup:
        return Markup(say(text)) % values if values else say(text)  # noqa: S704 - our own text; values are escaped

    return filled


def moment(at: float, *, language: str, zone: tzinfo = UTC, pattern: str = "medium") -> str:
    """A time as people of the language write it."""
    when = datetime.fromtimestamp(at, zone)
    if pattern == "MMMd HH:mm":
        return when.strftime("%-m月%-d日 %H:%M") if language == "ja" else when.strftime("%-d %b %H:%M")
    return format_datetime(when, pattern, locale="en_GB" if language == "en" else language)


def day(at: float, *, language: str, zone: tzinfo = UTC) -> str:
    """A day as people of the language write it."""
    locale = "en_GB" if language == "en" else language
    return format_date(datetime.fromtimestamp(at, zone).date(), "medium", locale=locale)


def iso(at: float) -> str:
    """For machines: RFC 3339."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def age(seconds: float, *, language: str) -> str:
    """A span of time in one unit."""
    return format_timedelta(timedelta(seconds=seconds), locale=language, threshold=1.5)


@lru_cache(
    maxsize=2048, typed=True
)  # typed: what is marked up already equals its text, and is escaped no more
def breakable(name: str) -> Markup:
    """An address or a rule's name that breaks behind its marks rather than within a word, where a column is narrow."""
    return Markup(JOINT.sub(r"\g<0><wbr>", str(escape(name))))  # noqa: S704 - escaped; no escape has a joint in it


def number(value: float, *, language: str) -> str:  # noqa: ARG001 - English and Japanese write figures alike
    """With separators between thousands; at most one digit behind the point. Called a thousand times for one page."""
    rounded = round(value, 1)
    return f"{int(rounded):,}" if rounded == int(rounded) else f"{rounded:,.1f}"


def octets(size: float, *, language: str) -> str:
    """A size as people say it."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            break
        size /= 1024
    return f"{number(round(size, 1 if size < 10 and unit != 'B' else 0), language=language)} {unit}"
