"""Some hundred messages made of the demo's templates: what its classifier learns from, and what `gatepost evaluate` can be tried on.

The same seed makes the same mail.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from email.header import Header
from email.utils import formatdate
from html import escape
from pathlib import Path
from random import Random

from gatepost.demo.junk import UNWANTED
from gatepost.demo.letters import WANTED, Template

SEED = 20_260
WANTED_NUMBER = 400
UNWANTED_NUMBER = 400
DAY_S = 86_400.0
NAMES = ("Ana", "Ben", "Chie", "Mika", "Jon", "Vera", "Olaf", "Ines", "Tom", "Rosa")
NAMES_JA = ("田中", "佐藤", "鈴木", "高橋", "知恵", "伊藤")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Sunday", "the 12th", "the 24th")
DAYS_JA = ("月曜日", "火曜日", "水曜日", "木曜日", "金曜日", "十二日", "二十四日")
MONTHS = ("January", "March", "May", "July", "September", "November", "December")
MONTHS_JA = ("一月", "三月", "五月", "七月", "九月", "十一月", "十二月")
PROJECTS = (
    "the crane",
    "the new quay",
    "the ferry timetable",
    "the web shop",
    "the survey",
    "the stock list",
)
PARTS = ("offer", "drawing", "first draft", "schedule", "spreadsheet", "second chapter", "contract")
GOODS = ("books", "charts", "ropes", "notebooks", "lamps", "shackles", "pencils")
SYLLABLES = ("ba", "ko", "ri", "mu", "ze", "ta", "lo", "ni", "vex", "dor", "qua", "pil")


def wanted(number: int = WANTED_NUMBER, *, seed: int = SEED, now: float = 0.0) -> Iterator[bytes]:
    """Messages people want, CRLF line ends; `now` is the date of the newest, Unix seconds."""
    return messages(WANTED, number, Random(seed), now)  # noqa: S311 - play, not secrets


def unwanted(number: int = UNWANTED_NUMBER, *, seed: int = SEED, now: float = 0.0) -> Iterator[bytes]:
    """Messages nobody wants."""
    return messages(UNWANTED, number, Random(seed + 1), now)  # noqa: S311


def write_mailbags(folder: Path, *, now: float) -> tuple[Path, Path]:
    """Two mailbox files, one of each kind, that the demo did not learn from."""
    paths = folder / "ham.mbox", folder / "spam.mbox"
    for path, bag in zip(paths, (wanted(100, seed=7, now=now), unwanted(100, seed=7, now=now)), strict=True):
        with path.open("wb") as file:
            for octets in bag:
                quoted = octets.replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ")
                file.write(b"From demo@harbour.example Thu Jan  1 00:00:00 1970\n" + quoted + b"\n")
    return paths


def messages(templates: Sequence[Template], number: int, random: Random, now: float) -> Iterator[bytes]:
    """The templates in turn, each with other words."""
    for place in range(number):
        template = templates[place % len(templates)]
        at = now - (number - place) * DAY_S / 4
        yield message(template, random, at=at, number=place)


def message(template: Template, random: Random, *, at: float, number: int) -> bytes:
    """One message of a kind."""
    words = chosen_words(random)
    words["link"] = random.choice(template.links).format(**words) if template.links else ""
    author = random.choice(template.authors).format(**words)
    subject = random.choice(template.subjects).format(**words)
    lines = [random.choice(one).format(**words) for one in template.paragraphs]
    name, _, address = author.rpartition(" ")
    domain = address.strip("<>").rpartition("@")[2]
    header = (
        f"From: {encoded(name)} {address}\r\nTo: {words['name'].lower()}@harbour.example\r\n"
        f"Subject: {encoded(subject)}\r\nDate: {formatdate(at)}\r\nMessage-ID: <{number}.{int(at)}@{domain}>\r\n"
        "MIME-Version: 1.0\r\n"
    )
    text = "\r\n\r\n".join(lines) + "\r\n"
    if not template.html:
        return (header + part(text, "plain")).encode()
    boundary = f"=_{random.randrange(1 << 32):08x}"
    paragraphs = "".join(f"<p>{linked(line, words['link'])}</p>\r\n" for line in lines)
    shown = f"<html><body>\r\n{paragraphs}</body></html>\r\n"
    return (
        f'{header}Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
        f"--{boundary}\r\n{part(text, 'plain')}--{boundary}\r\n{part(shown, 'html')}--{boundary}--\r\n"
    ).encode()


def chosen_words(random: Random) -> dict[str, str]:
    """What stands in the braces of one message."""
    name, name2, sign = random.sample(NAMES, 3)
    return {
        "name": name, "name2": name2, "sign": sign, "name_ja": random.choice(NAMES_JA),
        "day": random.choice(DAYS), "day_ja": random.choice(DAYS_JA),
        "month": random.choice(MONTHS), "month_ja": random.choice(MONTHS_JA),
        "project": random.choice(PROJECTS), "part": random.choice(PARTS), "goods": random.choice(GOODS),
        "number": str(random.randrange(10_000, 99_999)), "number2": str(random.randrange(100, 9_999)),
        "count": str(random.randrange(2, 99)), "amount": f"{random.randrange(3, 900)}.{random.randrange(100):02}",
        "amount_ja": f"{random.randrange(1, 900)},{random.randrange(1000):03}",
        "word": "".join(random.sample(SYLLABLES, 3)),
    }  # fmt: skip


def encoded(text: str) -> str:
    """A header value, as an encoded word where it must be (RFC 2047)."""
    return text if text.isascii() else Header(text, "utf-8").encode(linesep="\r\n")


def part(text: str, kind: str) -> str:
    """Content type, encoding and body; Japanese in base64, as it usually comes."""
    head = f"Content-Type: text/{kind}; charset=utf-8\r\n"
    if text.isascii():
        return f"{head}Content-Transfer-Encoding: 7bit\r\n\r\n{text}"
    body = base64.encodebytes(text.encode()).decode().replace("\n", "\r\n")
    return f"{head}Content-Transfer-Encoding: base64\r\n\r\n{body}"


def linked(line: str, link: str) -> str:
    """A paragraph of HTML with its link to click on."""
    shown = escape(line).replace("\r\n", "<br>\r\n")
    return shown.replace(escape(link), f'<a href="{escape(link)}">{escape(link)}</a>') if link else shown
