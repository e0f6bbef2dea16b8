"""What a message's structure says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from drive import drive
from gatepost.checks.content.structure import STRUCTURE, StructureSettings, structure
from gatepost.mail.finding import Finding
from gatepost.mail.message import Message
from gatepost.mail.verdict import Action
from judging import World, mail, names

MIXED = "Content-Type: multipart/mixed; boundary=b"


def found(*lines: str) -> Sequence[Finding]:
    one = replace(mail(), message=Message.parse("\r\n".join([*lines, ""]).encode()))
    return drive(structure(one, World(), StructureSettings()))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "lines",
    [
        ("Subject: x", "", "Hello"),
        (MIXED, "", "This is a multi-part message in MIME format.", "--b", "", "Hello", "--b--"),
        ("Content-Type: text/html; charset=utf-8", "", "<p>Grüße <b>an alle</b></p>"),
        (MIXED, "", "--b", "", "Hello", "--b", "Content-Type: image/png; name=a.png",
         "Content-Disposition: inline; filename=a.png", "Content-Transfer-Encoding: base64", "", "AAAA", "--b--"),
    ],
)  # fmt: skip
def test_ordinary_mail_is_not_remarked_on(lines: tuple[str, ...]) -> None:
    assert not found(*lines)


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (("Content-Type: text/plain", "Content-Type: text/html", "", "x"), "structure.ambiguous"),
        ((MIXED, "", "--b", "", "x", "--b--", "--b", "", "y", "--b--"), "structure.ambiguous"),
        (("Content-Type: multipart/mixed", "", "no parts"), "structure.odd"),
        (("Content-Type: message/partial; id=a; number=1", "", "x"), "structure.fragment"),
        (("Content-Type: message/external-body; access-type=URL", "", "x: y"), "structure.external_body"),
        (("Content-Type: text/html", "", "a<p style=display:none>b"), "structure.hidden_text"),
        (("Content-Type: text/html", "", f"a<p style=display:none>{'b ' * 1000}"), "structure.much_hidden_text"),
        (("Content-Type: text/plain; charset=utf-8", "", "pay\u200bpal"), "structure.split_words"),
        (("Content-Type: text/plain; charset=utf-8", "", "invoice\u202efdp.exe"), "structure.reordered_text"),
        (("Content-Type: text/plain; charset=iso-8859-1", "", "Grüße"), "structure.wrong_charset"),
        (("Content-Type: text/plain; charset=utf-7", "", "+AGE-"), "structure.utf7"),
    ],
)  # fmt: skip
def test_what_is_odd_is_said(lines: tuple[str, ...], name: str) -> None:
    assert names(found(*lines)) == [name]


def test_too_many_parts_are_held() -> None:
    (finding,) = found(MIXED, "", *["--b", "", "x"] * 1200)
    assert finding.name == "structure.too_many_parts"
    assert "1000" in finding.text


def test_what_cannot_be_looked_into_is_held() -> None:
    held = {one.name for one in STRUCTURE.emits if one.action is Action.QUARANTINE}
    assert held == {"structure.too_many_parts", "structure.fragment"}
    # All else together stays below where mail is put out of the inbox.
    assert sum(one.weight for one in STRUCTURE.emits if one.name in ODDITIES) < 4


ODDITIES = {"structure.odd", "structure.hidden_text", "structure.much_hidden_text", "structure.wrong_charset"}


def test_what_is_beyond_the_bounds_of_reading_is_said() -> None:
    links = [f"https://host{number}.example.org/{number}" for number in range(501)]
    [many] = [
        one
        for one in found("Content-Type: text/plain", "", *links)
        if one.name == "structure.too_much_to_read"
    ]
    assert many.evidence["of"] == ["links"]
    tags = "<b>x</b>" * 4001
    [html] = [
        one for one in found("Content-Type: text/html", "", tags) if one.name == "structure.too_much_to_read"
    ]
    assert html.evidence["of"] == ["HTML"]
    assert not names(found("Content-Type: text/html", "", "<b>x</b>" * 300))
