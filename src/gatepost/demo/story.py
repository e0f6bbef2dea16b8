"""What one of the demo's messages is, and how it is put together as its author would."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate

from gatepost.demo.world import OUR_DOMAIN


@dataclass(frozen=True, slots=True)
class Attached:
    """A file that comes with a message."""

    name: str
    content_type: str
    octets: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One message to be sent through the gate's own port."""

    name: str
    about: str
    """One line: what happens here, and what to look for."""
    client: str
    """The address it comes from, told by XCLIENT."""
    hello: str
    sender: str
    """Envelope sender; empty for the null sender."""
    to: tuple[str, ...]
    author: str
    subject: str
    text: str
    sign: str | None = None
    """The domain that signs with DKIM."""
    spoil: str | None = None
    """What happens to it after signing: ``body`` (a footer is added), ``subject`` (a list tags it)."""
    seal: str | None = None
    """The domain that seals with ARC."""
    extra: tuple[tuple[str, str], ...] = field(default=())
    html: str = ""
    """The same for mail programs that show pages."""
    files: Callable[[], tuple[Attached, ...]] | None = None
    """Makes what is attached."""


def at_ours(*names: str) -> tuple[str, ...]:
    """Addresses at our own domain."""
    return tuple(f"{name}@{OUR_DOMAIN}" for name in names)


def compose(case: Case, *, now: float, number: int = 0) -> bytes:
    """The message as its author wrote it: CRLF line ends, unsigned."""
    fields = [
        ("From", case.author),
        *case.extra,
        ("To", ", ".join(case.to)),
        ("Subject", case.subject),
        ("Date", formatdate(now)),
        ("Message-ID", f"<{case.name}.{int(now)}.{number}@{case.author.rpartition('@')[2].rstrip('>')}>"),
        ("MIME-Version", "1.0"),
    ]
    header = "".join(f"{name}: {value}\r\n" for name, value in fields)
    body = text_part(case.text, "plain")
    if case.html:
        body = together("alternative", case.name, [body, text_part(case.html + "\r\n", "html")])
    if case.files is not None:
        body = together("mixed", case.name, [body, *(file_part(one) for one in case.files())])
    return (header + body).encode()


def text_part(text: str, kind: str) -> str:
    """A part of plain text or HTML."""
    return f"Content-Type: text/{kind}; charset=utf-8\r\n\r\n{text}"


def file_part(file: Attached) -> str:
    """An attached file, in base64."""
    body = base64.encodebytes(file.octets).decode().replace("\n", "\r\n")
    return (
        f'Content-Type: {file.content_type}; name="{file.name}"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="{file.name}"\r\n\r\n{body}'
    )


def together(kind: str, name: str, parts: list[str]) -> str:
    """Parts in one multipart."""
    boundary = f"=_{kind}-{name}"
    inner = "".join(f"--{boundary}\r\n{part}\r\n" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n{inner}--{boundary}--\r\n'
