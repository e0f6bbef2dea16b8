"""What script text gives away: commands that fetch and run, writing that hides, files packed into strings.

Nothing is run and nothing is deciphered; what a pattern sees here is a hint for a person, and its weight is
policy's. The patterns have no nested repetition, so that hostile text costs no more than its length.
"""

from __future__ import annotations

import binascii
import re
from urllib.parse import unquote_to_bytes

from gatepost.files.kind import kind_of
from gatepost.files.kinds import KINDS
from gatepost.files.notes import Notes
from gatepost.mail.address import printable

MAX_SCRIPT = 4 << 20
"""Characters of script that are read."""
MAX_PACKED = 20
"""Strings of one file that are unpacked."""

URL = re.compile(r"(?:https?|ftp|file|ms-[a-z]{2,20}|search-ms)://[^\s\"'<>`\\^{}|]{3,2000}|\\\\[\w.@-]{3,100}\\[^\s\"'<>|]{1,300}", re.IGNORECASE)  # fmt: skip

_COMMANDS = re.compile(
    r"\b(powershell|pwsh|cmd(?:\.exe)?\s*/[ckr]|mshta|rundll32|regsvr32|wscript|cscript|certutil|bitsadmin|curl(?:\.exe)?\s|"
    r"msiexec|installutil|regasm|msbuild|schtasks|forfiles|conhost|ftp\.exe|wmic|"
    r"WScript\.Shell|Shell\.Application|MSXML2\.(?:Server)?XMLHTTP|WinHttp\.WinHttpRequest|ADODB\.Stream|Scripting\.FileSystemObject|"
    r"URLDownloadToFile\w?|DownloadString|DownloadFile|DownloadData|Invoke-Expression|Invoke-WebRequest|IEX\b|Start-Process|Start-BitsTransfer|"
    r"FromBase64String|Net\.WebClient|Reflection\.Assembly|VirtualAlloc\w*|CreateThread|RtlMoveMemory|ShellExecute\w*|WinExec|CreateProcess\w?|"
    r"CreateObject\b|GetObject\b|ActiveXObject|CallByName|ExecuteExcel4Macro|winmgmts:|Win32_Process|Environ\$?\s*\(|"
    r"-enc(?:odedcommand)?\s|-w(?:indowstyle)?\s+hidden)",
    re.IGNORECASE,
)
_HIDING: tuple[tuple[re.Pattern[str], int, str], ...] = (
    (re.compile(r"_0x[0-9a-f]{4,6}\b"), 20, "machine-made names"),
    (re.compile(r"\\x[0-9a-f]{2}", re.IGNORECASE), 60, "escaped characters"),
    (re.compile(r"\\u00[0-9a-f]{2}", re.IGNORECASE), 60, "escaped characters"),
    (re.compile(r"%u?[0-9a-f]{2,4}%", re.IGNORECASE), 200, "percent signs for characters"),
    (re.compile(r"\bunescape\s*\(\s*['\"]%", re.IGNORECASE), 1, "a page written from percent signs"),
    (re.compile(r"\beval\s*\(\s*(?:unescape|atob|function\s*\(p,\s*a,\s*c|String\.fromCharCode|decodeURIComponent)", re.IGNORECASE), 1, "script made by script"),
    (re.compile(r"\bdocument\.write(?:ln)?\s*\(\s*(?:unescape|atob|decodeURIComponent|decodeURI)\s*\(", re.IGNORECASE), 1, "a page made by script"),
    (re.compile(r"\bChrW?\$?\s*\(", re.IGNORECASE), 60, "characters by number"),
    (re.compile(r"String\.fromCharCode\s*\(\s*\d+\s*,\s*\d+\s*,\s*\d+\s*,\s*\d+\s*,\s*\d+\s*,", re.IGNORECASE), 1, "characters by number"),
    (re.compile(r"\[char\]\s*\(?\d", re.IGNORECASE), 20, "characters by number"),
    (re.compile(r"(?:StrReverse\s*\(|\.split\(['\"]{2}\)\.reverse\(\))", re.IGNORECASE), 2, "text written backwards"),
)  # fmt: skip
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{80,}={0,2}")
_DATA = re.compile(
    r"data:([\w.+-]{1,80}/[\w.+-]{1,80})?((?:;[\w-]{1,40}(?:=[\w.+-]{1,80})?)*),", re.IGNORECASE
)


def read_script(notes: Notes) -> None:
    """A file of script."""
    text = decoded(notes.octets)
    judge_script(notes, text)
    note_urls(notes, text)
    take_packed(notes, text)


def decoded(octets: bytes, charset: str = "") -> str:
    """Text by its byte order mark, else UTF-8, else `charset` or Windows-1252; bounded by MAX_SCRIPT."""
    octets = octets[: 2 * MAX_SCRIPT]
    if octets[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return octets.decode("utf-16", "replace")[:MAX_SCRIPT]
    if octets[:200].count(0) > 60:
        return octets.decode("utf-16-le" if octets[1:2] == b"\0" else "utf-16-be", "replace")[:MAX_SCRIPT]
    try:
        return octets.decode("utf-8-sig")[:MAX_SCRIPT]
    except UnicodeDecodeError:
        pass
    try:
        return octets.decode(charset or "cp1252", "replace")[:MAX_SCRIPT]
    except (LookupError, ValueError):
        return octets.decode("cp1252", "replace")[:MAX_SCRIPT]


def commands_in(text: str) -> list[str]:
    """Names of what it calls that fetches or runs something else, each once, at most ten."""
    found: dict[str, None] = {}
    for match in _COMMANDS.finditer(text[:MAX_SCRIPT]):
        found[" ".join(match[1].lower().split())] = None
        if len(found) >= 10:
            break
    return list(found)


def hiding_in(text: str) -> list[str]:
    """How it hides what it does, if it does."""
    return list(
        dict.fromkeys(
            how for pattern, many, how in _HIDING if _at_least(pattern, text[:MAX_SCRIPT], many)
        )
    )  # fmt: skip


def judge_script(notes: Notes, text: str) -> None:
    """The facts about script text."""
    if commands := commands_in(text):
        notes.fact("suspicious-command", f"the script calls {', '.join(commands)}", {"commands": commands})
    if hiding := hiding_in(text):
        notes.fact(
            "obfuscated-script", f"the script hides what it does: {', '.join(hiding)}", {"how": hiding}
        )


def note_urls(notes: Notes, text: str) -> None:
    """Addresses written out in it."""
    if "://" not in text and "\\\\" not in text:
        return  # the pattern costs far more than these two searches
    for match in URL.finditer(text[:MAX_SCRIPT]):
        notes.link(match[0].rstrip(").,;'"))
        if len(notes.links) >= notes.limits.max_links:
            return


def take_packed(notes: Notes, text: str) -> int:
    """Files packed into long strings become members; how many there were."""
    taken = 0
    for match in _BASE64.finditer(text[:MAX_SCRIPT]):
        if len(match[0]) < 200 and not match[0].startswith(("TVqQ", "TVpQ", "UEsD", "0M8R", "N3q8")):
            continue
        octets = unbase64(match[0])
        kind = kind_of(octets, "")
        if kind == "text" or not kind or KINDS[kind].family in {"picture", "media", "data"}:
            continue
        notes.member(f"packed-{taken + 1}.{_ending(kind)}", octets, hidden=True)
        taken += 1
        if taken >= MAX_PACKED:
            break
    return taken


def take_data_url(notes: Notes, url: str, name: str = "") -> str:
    """A file written into an address (RFC 2397) becomes a member; its content type, empty when it is none."""
    head = _DATA.match(url.lstrip())
    if not head:
        return ""
    rest = url.lstrip()[head.end() :]
    octets = (
        unbase64(rest) if ";base64" in head[2].lower() else unquote_to_bytes(rest.encode("utf-8", "replace"))
    )
    content_type = (head[1] or "text/plain").lower()
    kind = kind_of(octets, "x.html" if content_type == "text/html" else name)
    if kind and KINDS[kind].family in {"picture", "media"}:
        return content_type
    notes.member(name or f"data.{_ending(kind)}", octets, hidden=True)
    return content_type


def unbase64(text: str) -> bytes:
    """As leniently as browsers do: blanks and the web's two letters allowed."""
    kept = re.sub(r"[^A-Za-z0-9+/]", "", text.replace("-", "+").replace("_", "/"))
    return binascii.a2b_base64(
        kept[: len(kept) // 4 * 4] + ("" if len(kept) % 4 < 2 else (kept[len(kept) // 4 * 4 :] + "==")[:4])
    )


def _ending(kind: str) -> str:
    return {"pe": "exe", "html": "html", "word": "doc", "excel": "xls", "javascript": "js"}.get(
        kind, printable(kind or "bin")
    )


def _at_least(pattern: re.Pattern[str], text: str, many: int) -> bool:
    return any(count >= many for count, _ in enumerate(pattern.finditer(text), 1))
