"""On which line of a configuration file a setting stands, for the sentence about what is wrong with it.

`tomllib` keeps no places, so the lines are read once more, only for an error, and only for what begins them: a table's
header or a key. What is not found so has no line, and nothing depends on it.
"""

from __future__ import annotations

import re
from collections import Counter

WORD = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\]|\\.)*"|'[^']*')"""
DOTTED = rf"{WORD}(?:\s*\.\s*{WORD})*"
HEADER = re.compile(rf"\s*(\[\[?)\s*({DOTTED})\s*\]")
KEY = re.compile(rf"\s*({DOTTED})\s*=")
STEP = re.compile(WORD)
LAST = re.compile(r"(?:\[\d+\]|\.[^.\[\]]+)\Z")
LONG = ('"""', "'''")


def line_of(text: str, key: str) -> int | None:
    """The line (from 1) of a dotted path such as ``checks.dnsbl.lists[0].weight``, or of the table that it is missing in."""
    lines = places(text)
    while key:
        if key in lines:
            return lines[key]
        if f"{key}[0]" in lines and f"{key}[1]" not in lines:
            return lines[f"{key}[0]"]
        shorter = LAST.sub("", key)
        if shorter == key:
            return None
        key = shorter
    return None


def places(text: str) -> dict[str, int]:
    """Each path that begins a line, and the first such line."""
    found: dict[str, int] = {}
    tables: Counter[str] = Counter()
    table, inside = "", ""
    for number, line in enumerate(text.splitlines(), 1):
        if inside:  # a text of several lines
            inside = "" if inside in line else inside
            continue
        header = HEADER.match(line)
        key = None if header else KEY.match(line)
        if header:
            table = path_of(header[2], "", tables)
            if header[1] == "[[":
                tables[table] += 1
                table = f"{table}[{tables[table] - 1}]"
            found.setdefault(table, number)
        elif key:
            found.setdefault(path_of(key[1], table, tables), number)
        inside = next((mark for mark in LONG if line.count(mark) % 2), "")
    return found


def path_of(dotted: str, table: str, tables: Counter[str]) -> str:
    """The path of a key below a table; a list of tables on the way stands for its latest."""
    path = table
    steps = [step.strip("\"'") for step in STEP.findall(dotted)]
    for at, step in enumerate(steps):
        path = f"{path}.{step}" if path else step
        if at < len(steps) - 1 and tables[path]:
            path = f"{path}[{tables[path] - 1}]"
    return path
