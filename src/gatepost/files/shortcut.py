"""Shortcuts: Windows links (MS-SHLLINK), internet shortcuts, remote desktop files and their like; notebooks.

All of these start or open something when they are clicked, and hide what under an icon of their own choice.
"""

from __future__ import annotations

import re
from uuid import UUID

from gatepost.files.kind import kind_of
from gatepost.files.notes import Notes
from gatepost.files.script import URL, commands_in, decoded, judge_script, note_urls, take_packed
from gatepost.mail.address import printable

MAX_FILES = 50
_FILE_DATA = UUID("bde316e7-2665-4511-a4c4-8d4d0b7a9eac").bytes_le
"""Before each file in a notebook (MS-ONESTORE §2.6.13, FileDataStoreObject)."""
_LINE = re.compile(
    r"^\s*(url|iconfile|basepath|targetpath|exec|workingdirectory|full address|alternate full address|remoteapplicationcmdline|alternate shell|redirectdrives|drivestoredirect|path)\s*[=:]\s*(?:[is]:)?(.*)$",
    re.IGNORECASE | re.MULTILINE,
)


def read_lnk(notes: Notes) -> None:
    """A Windows link: target, arguments, icon (MS-SHLLINK §2)."""
    octets = notes.octets
    flags = _number(octets, 20, 4)
    at = 76
    if flags & 1:
        at += 2 + _number(octets, at, 2)
    target = ""
    if flags & 2:
        target = _base_path(octets, at)
        at += max(_number(octets, at, 4), 4)
    wide = bool(flags & 128)
    strings: dict[str, str] = {}
    for bit, name in ((4, "description"), (8, "path"), (16, "folder"), (32, "arguments"), (64, "icon")):
        if flags & bit:
            size = _number(octets, at, 2) * (2 if wide else 1)
            strings[name] = octets[at + 2 : at + 2 + size].decode(
                "utf-16-le" if wide else "cp1252", "replace"
            )
            at += 2 + size
    environment = _environment(octets, at)
    program = environment or target or strings.get("path", "")
    arguments = strings.get("arguments", "")
    command = f"{program} {arguments.strip()}".strip()
    if arguments.strip():
        folded = re.sub(r"\s{2,}", " ", command)
        notes.fact(
            "command-line",
            f"the shortcut runs {printable(folded, 300)}",
            {
                "program": printable(program, 200),
                "arguments": printable(arguments.strip(), 1000),
                "padding": len(arguments) - len(arguments.strip()),
            },
        )
    elif program:
        notes.fact(
            "shortcut-target",
            f"the shortcut opens {printable(program, 200)}",
            {"target": printable(program, 300)},
        )
    if command.startswith("\\\\") or URL.match(program):
        notes.link(program)
    judge_script(notes, command)
    note_urls(notes, command + "\n" + strings.get("icon", ""))
    if len(octets) > at + 4096:
        # Some carry what they start behind themselves.
        tail = decoded(octets[at:])
        judge_script(notes, tail)
        take_packed(notes, tail)
    notes.read(strings.get("description", ""))


def _base_path(octets: bytes, at: int) -> str:
    """§2.3: a local path, or one on a share."""
    info = octets[at : at + min(_number(octets, at, 4), 8192)]
    flags = _number(info, 8, 4)
    if flags & 1:
        return _narrow(info, _number(info, 16, 4)) + _narrow(info, _number(info, 24, 4))
    if flags & 2:
        share = _number(info, 20, 4)
        return _narrow(info, share + _number(info, share + 8, 4)) + "\\" + _narrow(info, _number(info, 24, 4))
    return ""


def _environment(octets: bytes, at: int) -> str:
    """§2.5.4: a target with variables in it, which wins over the others."""
    for _ in range(20):
        size = _number(octets, at, 4)
        if size < 8:
            return ""
        if _number(octets, at + 4, 4) == 0xA0000001:
            return octets[at + 268 : at + 788].decode("utf-16-le", "replace").split("\0")[0] or _narrow(
                octets[at : at + 268], 8
            )
        at += size
    return ""


def read_url(notes: Notes) -> None:
    """Shortcuts that are text: a line says where they lead or what they run."""
    text = decoded(notes.octets)[:100_000]
    for count, match in enumerate(_LINE.finditer(text)):
        if count >= 50:
            break
        key, value = match[1].lower(), match[2].strip()
        if not value:
            continue
        if key in {"url", "basepath", "targetpath", "path"}:
            notes.link(value)
            notes.fact(
                "shortcut-target",
                f"the shortcut leads to {printable(value, 200)}",
                {"target": printable(value, 300)},
            )
        elif key == "exec" or "cmdline" in key or key == "alternate shell":
            notes.fact(
                "command-line",
                f"the shortcut runs {printable(value, 300)}",
                {"arguments": printable(value, 1000)},
            )
            judge_script(notes, value)
        elif key in {"full address", "alternate full address"}:
            notes.link(f"rdp://{value}")
            notes.fact(
                "remote-desktop",
                f"it connects the reader's computer to {printable(value, 100)}",
                {"host": printable(value, 200)},
            )
        elif key in {"iconfile", "workingdirectory"} and value.startswith(("\\\\", "//", "http", "file://")):
            notes.link(value)
            notes.fact(
                "shortcut-target",
                f"it loads its icon from {printable(value, 200)}",
                {"target": printable(value, 300)},
            )
    if notes.kind in {
        "settings-ms",
        "library-ms",
        "webloc",
        "iqy",
        "clickonce",
        "jnlp",
        "appinstaller",
        "msc",
        "mobileconfig",
        "theme",
        "slk",
    }:
        note_urls(notes, text)
        if commands := commands_in(text):
            notes.fact("command-line", f"it calls {', '.join(commands)}", {"arguments": ", ".join(commands)})
    if notes.kind == "slk" and re.search(r"^O;E|EXEC\(|CALL\(", text, re.MULTILINE):
        notes.fact("excel4-macro", "the sheet holds Excel 4 macros")
    if notes.kind == "iqy":
        notes.fact("external-object", "opening it loads a table from the web", {"by": "web"})


def read_onenote(notes: Notes) -> None:
    """Files embedded in a notebook, found by the mark before each."""
    octets = notes.octets
    at = octets.find(_FILE_DATA)
    count = 0
    while at >= 0 and count < MAX_FILES:
        size = _number(octets, at + 16, 8)
        content = octets[at + 36 : at + 36 + min(size, len(octets))]
        kind = kind_of(content, "")
        if content:
            count += 1
            if kind not in {"png", "jpeg", "gif", "bmp"}:
                notes.fact("onenote-file", "a file is embedded in the notebook", {"kind": kind})
            notes.member(f"embedded-{count}.{kind or 'bin'}", content, hidden=True)
        at = octets.find(_FILE_DATA, at + 36 + len(content))
    for match in re.finditer(rb"(?:[\x20-\x7e]\0){6,2000}", octets):
        text = match[0].decode("utf-16-le")
        if not notes.read(text + "\n"):
            break
        note_urls(notes, text)


def _narrow(octets: bytes, at: int) -> str:
    return (
        octets[at : at + 1000].split(b"\0", 1)[0].decode("cp1252", "replace") if 0 < at < len(octets) else ""
    )


def _number(octets: bytes, at: int, length: int) -> int:
    return int.from_bytes(octets[at : at + length], "little")
