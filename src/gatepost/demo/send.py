"""Plays a case through the gate's own port: composed, signed, spoiled on its way, sealed, and sent as its client."""

from __future__ import annotations

import smtplib
from dataclasses import dataclass
from pathlib import Path

from gatepost.demo.setting import signing_key
from gatepost.demo.story import Case, compose
from gatepost.demo.world import SELECTOR
from gatepost.mail.authresults import ArcResult
from gatepost.mail.message import Message
from gatepost.mailauth.arc_seal import seal
from gatepost.mailauth.dkim_sign import sign


@dataclass(frozen=True, slots=True)
class Answer:
    """What the gate said."""

    code: int
    text: str


def build(case: Case, folder: Path, *, now: float, number: int = 0) -> bytes:
    """The octets as they reach the gate."""
    octets = compose(case, now=now, number=number)
    if case.sign:
        field = sign(
            Message.parse(octets),
            domain=case.sign,
            selector=SELECTOR,
            key=signing_key(folder, case.sign),
            now=now,
        )
        octets = field + octets
    if case.spoil == "body":
        octets += b"-- \r\nThis message was scanned on its way.\r\n"
    if case.spoil == "subject":
        octets = octets.replace(b"\r\nSubject: ", b"\r\nSubject: [sailors] ", 1)
    if case.seal:
        author = case.author.rpartition("@")[2].rstrip(">")
        results = f"mail.{case.seal}; dkim=pass header.d={case.sign}; dmarc=pass header.from={author}"
        sealed = seal(
            Message.parse(octets), chain=ArcResult(), results=results, domain=case.seal, selector=SELECTOR,
            key=signing_key(folder, case.seal), now=now,
        )  # fmt: skip
        octets = sealed + octets
    return octets


def send(case: Case, folder: Path, *, now: float, number: int = 0) -> list[Answer]:
    """Hand it to the running demo; the gate's answers, the last one's that of the message where it got so far."""
    octets = build(case, folder, now=now, number=number)
    port = int((folder / "smtp-port").read_text())
    answers = []
    with smtplib.SMTP("127.0.0.1", port, local_hostname=case.hello, timeout=30) as session:
        session.ehlo()
        session.docmd(f"XCLIENT ADDR={case.client} NAME=[UNAVAILABLE] HELO={case.hello}")
        session.ehlo()
        answers.append(answer(session.docmd(f"MAIL FROM:<{case.sender}>")))
        taken = 0
        for recipient in case.to:
            said = answer(session.docmd(f"RCPT TO:<{recipient}>"))
            taken += said.code < 300
            answers.append(said)
        if taken:
            answers.append(answer(session.data(octets)))
    return answers


def answer(said: tuple[int, bytes]) -> Answer:
    """smtplib's pair as ours."""
    return Answer(said[0], said[1].decode("utf-8", "replace").replace("\n", " "))
