"""What must not leave by mistake: noted, held or refused, and never written down."""

from __future__ import annotations

from pathlib import Path

import pytest

from file_samples import pdf, word_package, zipped
from gatepost.config.load import ConfigError
from gatepost.files.inspect import FileLimits, inspect_file
from gatepost.mail.filereport import FileReport
from gatepost.mail.message import Message
from gatepost.rules.numbers import cards, private_keys
from sending import Desk, desk, letter

CARD = letter(body="Please charge 4111 1111 1111 1111.\r\n")


def set_to(**settings: object) -> Desk:
    return desk(checks={"dataloss": settings})


def test_by_default_it_is_only_seen() -> None:
    gate = desk()
    assert gate.send(CARD).code == 250
    assert not gate.last.deliveries[0].held
    (found,) = [one for one in gate.last.entry.findings if one.name.startswith("dataloss.")]
    assert found.key == "dataloss.held:card-numbers"
    assert found.text == "the message holds payment card numbers (rule card-numbers)"


def test_enforced_it_waits_for_approval() -> None:
    gate = set_to(mode="enforce")
    assert gate.send(CARD).code == 250
    (copy,) = gate.last.deliveries
    assert (copy.held, copy.category, copy.rule) == (True, "approval", "dataloss.held")


def test_refused_the_sender_learns_why() -> None:
    reply = set_to(modes={"card-numbers": "enforce"}, handling={"card-numbers": "refuse"}).send(CARD)
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert "holds payment card numbers" in reply.text
    assert "4111" not in reply.text


def test_noted_it_goes() -> None:
    gate = set_to(mode="enforce", handling={"card-numbers": "note"})
    gate.send(CARD)
    assert not gate.last.deliveries[0].held
    assert "dataloss.noted" in gate.findings()


def test_a_rule_can_be_off() -> None:
    gate = set_to(mode="enforce", modes={"card-numbers": "off"})
    gate.send(CARD)
    assert not [one for one in gate.findings() if one.startswith("dataloss.")]


def test_nothing_of_the_number_is_kept_beside_the_message() -> None:
    gate = set_to(mode="enforce")
    gate.send(CARD)
    entry = gate.last.entry
    assert "4111" not in repr((entry.findings, entry.judged, entry.reply))


def test_what_a_file_holds_is_looked_at() -> None:
    class Unpacker:
        async def inspect(self, message: Message) -> list[FileReport]:
            return [
                FileReport(part=0, path=("list.xlsx",), kind="excel", size=10, text="card 5555555555554444")
            ]

    octets = letter(
        "MIME-Version: 1.0", 'Content-Type: application/octet-stream; name="list.xlsx"',
        "Content-Disposition: attachment; filename=list.xlsx",
    )  # fmt: skip
    gate = desk(unpacker=Unpacker(), checks={"dataloss": {"mode": "enforce"}})
    gate.send(octets)
    assert gate.last.deliveries[0].held


CELLS = {
    "[Content_Types].xml": b'<Types xmlns="x"/>',
    "_rels/.rels": b"<Relationships/>",
    "xl/workbook.xml": b'<workbook><sheets><sheet name="a"/></sheets></workbook>',
    "xl/worksheets/sheet1.xml": b'<worksheet><row><c t="inlineStr"><is><t>5555 5555 5555 4444</t></is></c><c><v>371449635398431</v></c></row></worksheet>',
    "xl/sharedStrings.xml": b"<sst><si><t>4111111111111111</t></si></sst>",
}
KEY = b"-----BEGIN EC " + b"PRIVATE KEY-----\nMHcCAQEE\n-----END EC " + b"PRIVATE KEY-----\n"


@pytest.mark.parametrize(
    ("name", "octets", "rules"),
    [
        ("a.docx", word_package("4111 1111 1111 1111"), {"card-numbers": 1}),
        ("a.pdf", pdf(content=b"BT /F1 12 Tf 20 100 Td (4111 1111 1111 1111) Tj ET"), {"card-numbers": 1}),
        ("a.xlsx", zipped(CELLS), {"card-numbers": 3}),
        (
            "a.zip",
            zipped({"b.csv": b"name;4111111111111111\n", "c.pem": KEY}),
            {"card-numbers": 1, "private-key": 1},
        ),
        ("b.zip", zipped({"a.docx": word_package("4111 1111 1111 1111")}), {"card-numbers": 1}),
    ],
)
def test_files_and_what_is_in_them(name: str, octets: bytes, rules: dict[str, int]) -> None:
    reports = inspect_file(name, "", octets, 1, passwords=(), limits=FileLimits(), scratch=None)
    seen = "\n".join(one.text for one in reports)
    assert {"card-numbers": len(cards(seen)), "private-key": private_keys(seen)} == {
        "card-numbers": 0, "private-key": 0, **rules,
    }  # fmt: skip


def test_own_patterns(tmp_path: Path) -> None:
    folder = tmp_path / "data-loss"
    folder.mkdir()
    (folder / "project.toml").write_text(
        "finding = 'names the project'\ncondition = \"data.text.matches('aurora-[0-9]{4}')\"\n"
    )
    gate = set_to(mode="enforce", rules_folder=str(tmp_path), handling={"project": "refuse"})
    reply = gate.send(letter(body="About AURORA-2027.\r\n"))
    assert reply.code == 550
    assert "names the project" in reply.text


def test_a_wrong_name_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean card-numbers"):
        set_to(modes={"card-number": "enforce"})


def test_a_file_that_nobody_can_look_into_waits_where_rules_are_enforced() -> None:
    octets = letter("MIME-Version: 1.0", 'Content-Type: application/pdf; name="a.pdf"')
    off = {"attachments": {"mode": "off"}}
    assert desk(checks={**off, "dataloss": {"mode": "enforce"}}).send(octets).code == 451
    assert desk(checks=off).send(octets).code == 250


def test_what_stays_inside_is_let_through_and_the_rest_waits() -> None:
    gate = set_to(mode="enforce")
    assert gate.send(CARD, "ben@example.net").code == 250
    assert not gate.last.deliveries[0].held
    gate.send(CARD, "ben@example.net", "bo@example.org")
    assert [(one.to, one.held) for one in gate.last.deliveries] == [
        ("ben@example.net", False),
        ("bo@example.org", True),
    ]
    gate = set_to(mode="enforce", inside=True)
    gate.send(CARD, "ben@example.net")
    assert gate.last.deliveries[0].held


def test_refused_for_others_it_still_reaches_colleagues() -> None:
    gate = set_to(mode="enforce", handling={"card-numbers": "refuse"})
    assert gate.send(CARD, "bo@example.org").code == 550
    assert gate.send(CARD, "ben@example.net", "bo@example.org").code == 250
    assert [one.held for one in gate.last.deliveries] == [False, True], (
        "one answer for all: the refused copy waits"
    )
