"""Messages inside files: mail (RFC 5322), web archives, calendars, cards, Outlook items and winmail.dat.

Their parts are members like any other, so that an attachment of a mail in an archive is looked into in its turn.
"""

from __future__ import annotations

import re
from collections import defaultdict

from gatepost.files.kind import kind_of
from gatepost.files.notes import Notes
from gatepost.files.script import URL, decoded, note_urls, take_data_url, unbase64
from gatepost.files.textqr import qr_in_text
from gatepost.mail.address import printable
from gatepost.mail.author import subject_text
from gatepost.mail.message import Message
from gatepost.mail.mime import tree_of
from gatepost.mail.sealed import inner_name, is_pgp_message, open_cms

MAX_PARTS = 200
MAX_STREAM = 32 << 20

_FOLD = re.compile(r"\r?\n[ \t]")
# What holds a file, or says where one is (RFC 5545 §3.8.1.1, RFC 6350 §6.2.4 and others).
_ATTACH = re.compile(
    r"^(?:[\w-]{1,50}\.)?(?:ATTACH|PHOTO|LOGO|SOUND|KEY|IMAGE|STYLED-DESCRIPTION)"
    r"((?:;(?:\"[^\"\r\n]{0,300}\"|[^\":\r\n]){0,300})?):([^\r\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_IN_BASE64 = re.compile(r"BASE64|ENCODING=B\b", re.IGNORECASE)
_SAID = re.compile(
    r"^(?:SUMMARY|DESCRIPTION|LOCATION|FN|NOTE|ORG|TITLE|X-ALT-DESC)[^:\r\n]{0,300}:([^\r\n]*)",
    re.IGNORECASE | re.MULTILINE,
)
_LEAF = frozenset({"text/plain", "text/calendar"})


def read_eml(notes: Notes) -> None:
    """A whole message: its text here, every other part a member."""
    octets = notes.octets.removeprefix(b"\xef\xbb\xbf")
    if octets.startswith(b"From ") or re.match(rb"\d+\s*\n", octets):
        octets = octets.partition(b"\n")[2]
    octets = re.sub(rb"\r?\n", b"\r\n", octets)
    message = Message.parse(octets)
    notes.read(subject_text(message) + "\n")
    for count, part in enumerate(tree_of(message).parts):
        notes.allowance.check_time()
        if count >= MAX_PARTS:
            notes.fact("truncated", f"the message has more than {MAX_PARTS} parts")
            return
        if part.is_multipart or part.content_type == "message/rfc822":
            continue
        content = part.octets
        if part.content_type in _LEAF and not part.filename and kind_of(content, "") in {"text", "ics", ""}:
            text = decoded(content, part.charset)
            notes.read(text + "\n")
            note_urls(notes, text)
        elif content:
            notes.member(
                part.filename or f"part-{part.index}{_ending(part.content_type)}", content, hidden=True
            )


def read_calendar(notes: Notes) -> None:
    """A calendar or a card (RFC 5545, RFC 6350): text, links, what is attached."""
    text = _FOLD.sub("", decoded(notes.octets))
    for match in _SAID.finditer(text):
        if not notes.read(match[1].replace("\\n", "\n").replace("\\,", ",") + "\n"):
            break
    for count, match in enumerate(_ATTACH.finditer(text)):
        if count >= 50:
            break
        name = re.search(
            r"(?:FILENAME|X-FILENAME|X-APPLE-FILENAME)=\"?([^\";:]{1,200})", match[1], re.IGNORECASE
        )
        if _IN_BASE64.search(match[1]):
            notes.member(name[1] if name else f"attached-{count + 1}", unbase64(match[2]), hidden=True)
        elif not take_data_url(notes, match[2], name[1] if name else "") and ":" in match[2]:
            notes.link(match[2])
    note_urls(notes, text.replace("\\n", "\n").replace("\\,", ","))


def read_text(notes: Notes) -> None:
    """Plain text: what it says, where it leads, a code drawn with letters."""
    text = decoded(notes.octets)
    notes.read(text)
    note_urls(notes, text)
    for said in qr_in_text(text):
        notes.fact(
            "text-qr",
            f"letters in it draw a code that says {printable(said, 120)}",
            {"text": printable(said, 500)},
        )
        if URL.match(said):
            notes.link(said)


def read_uue(notes: Notes) -> None:
    """Files written into text by uuencode."""
    import binascii

    for count, match in enumerate(
        re.finditer(rb"^begin(?:-base64)? [0-7]{3,4} ([^\r\n]{1,200})\r?\n", notes.octets, re.MULTILINE)
    ):
        if count >= 20:
            break
        name = match[1].decode("utf-8", "replace")
        end = notes.octets.find(b"\nend" if not match[0].startswith(b"begin-b") else b"\n====", match.end())
        body = notes.octets[match.end() : end if end >= 0 else len(notes.octets)]
        if match[0].startswith(b"begin-b"):
            notes.member(name, unbase64(body.decode("ascii", "replace")), hidden=True)
            continue
        pieces: list[bytes] = []
        for line in body.splitlines():
            try:
                pieces.append(binascii.a2b_uu(line))
            except binascii.Error:
                # Some writers pad the last group wrongly; the length says how much of it counts.
                count_of = (((line[0] - 32) & 63) * 4 + 5) // 3 if line else 0
                try:
                    pieces.append(binascii.a2b_uu(line[: count_of + 1]))
                except binascii.Error:
                    continue
        notes.member(name, b"".join(pieces), hidden=True)


def read_applesingle(notes: Notes) -> None:
    """A file of a Mac with all its forks in one (RFC 1740, Appendix A): the data fork is the file to everybody else."""
    octets = notes.octets
    for number in range(min(int.from_bytes(octets[24:26], "big"), 100)):
        at = 26 + 12 * number
        what, start, size = (int.from_bytes(octets[at + n : at + n + 4], "big") for n in (0, 4, 8))
        if what == 1 and size:
            notes.member(notes.name or "data", octets[start : start + size], hidden=True)


def read_cms(notes: Notes) -> None:
    """A signed, packed or locked message or file (RFC 5652): what was signed is a member."""
    opened = open_cms(notes.octets)
    if opened.how == "locked":
        notes.fact("encrypted", "only those it was encrypted to can open it")
    if opened.cut:
        notes.fact("truncated", "it unpacks to more than is looked at")
    if opened.octets:
        notes.member(inner_name(notes.name) or "signed.eml", opened.octets, hidden=True)


def read_pgp(notes: Notes) -> None:
    """OpenPGP in letters: keys and signatures hold nothing, messages cannot be opened here."""
    if is_pgp_message(notes.octets[:100], ""):
        notes.fact("encrypted", "it is an OpenPGP message, which nothing here can open")


def read_msg(notes: Notes) -> None:
    """An Outlook item (MS-OXMSG): subject and body here, attachments as members."""
    import olefile

    with olefile.OleFileIO(notes.octets) as file:
        attached: dict[str, dict[str, bytes]] = defaultdict(dict)
        for path in file.listdir()[:5000]:
            notes.allowance.check_time()
            last = path[-1].lower()
            if not last.startswith("__substg1.0_"):
                continue
            tag, folder = last[12:20], path[-2].lower() if len(path) > 1 else ""
            if folder.startswith("__attach") and tag[:4] in {"3701", "3707", "3704", "370e"}:
                stream = file.openstream(path) if tag != "3701000d" else None
                attached["/".join(path[:-1])][tag] = stream.read(MAX_STREAM) if stream else b""
            elif len(path) == 1 and tag[:4] in {"0037", "1000", "1013"}:
                _said(notes, tag, file.openstream(path).read(4 << 20))
    for properties in list(attached.values())[:MAX_PARTS]:
        name = _string(properties, "3707") or _string(properties, "3704") or "attached"
        if content := properties.get("37010102", b""):
            notes.member(name, content, hidden=True)


def _said(notes: Notes, tag: str, octets: bytes) -> None:
    if tag == "10130102":
        notes.member("body.html", octets, hidden=True)
        return
    text = octets.decode("utf-16-le" if tag.endswith("001f") else "cp1252", "replace")
    notes.read(text + "\n")
    note_urls(notes, text)


def _string(properties: dict[str, bytes], tag: str) -> str:
    if wide := properties.get(f"{tag}001f"):
        return wide.decode("utf-16-le", "replace").rstrip("\0")
    return properties.get(f"{tag}001e", b"").decode("cp1252", "replace").rstrip("\0")


def read_tnef(notes: Notes) -> None:
    """winmail.dat (MS-OXTNEF): attributes one behind the other; an attachment begins with its rendering data."""
    octets, at = notes.octets, 6
    name, content = "", b""
    for _ in range(5000):
        level, attribute, size = octets[at : at + 1], _number(octets, at + 1, 4), _number(octets, at + 5, 4)
        if not level or at + 9 > len(octets):
            break
        data = octets[at + 9 : at + 9 + size]
        at += 9 + size + 2
        if attribute == 0x00069002:  # attAttachRendData
            _attach(notes, name, content)
            name, content = "", b""
        elif attribute == 0x00018010:  # attAttachTitle
            name = data.rstrip(b"\0").decode("cp1252", "replace")
        elif attribute == 0x0006800F:  # attAttachData
            content = data
        elif attribute == 0x00069005 and (long := _long_name(data)):  # attAttachment: properties
            name = long
        elif attribute == 0x0002800C:  # attBody
            notes.read(data.decode("cp1252", "replace"))
    _attach(notes, name, content)


def _attach(notes: Notes, name: str, content: bytes) -> None:
    if content:
        notes.member(name or "attached", content, hidden=True)


def _long_name(data: bytes) -> str:
    """PidTagAttachLongFilename among the properties: its tag, a count of one, a length, the name."""
    for tag, charset in ((b"\x1f\0\x07\x37", "utf-16-le"), (b"\x1e\0\x07\x37", "cp1252")):
        found = data.find(tag)
        if found >= 0:
            length = min(_number(data, found + 8, 4), 1000)
            return data[found + 12 : found + 12 + length].decode(charset, "replace").rstrip("\0")
    return ""


def _ending(content_type: str) -> str:
    return {"text/html": ".html", "text/plain": ".txt", "text/calendar": ".ics"}.get(content_type, "")


def _number(octets: bytes, at: int, length: int) -> int:
    return int.from_bytes(octets[at : at + length], "little")
