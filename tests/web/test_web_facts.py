"""What the gate says in Japanese: every fact, concern, rule and kind of file; and that nothing said in English gets lost."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from babel.messages.pofile import read_po

import gatepost
from gatepost.checks.references import about
from gatepost.checks.registry import ALL_CHECKS
from gatepost.files.kinds import KINDS
from gatepost.mail.finding import Finding
from gatepost.mail.part import AMBIGUITIES
from gatepost.mail.verdict import Action, Verdict
from gatepost.office.looking import Decision, Evidence
from gatepost.rules.ruleset import load_rules
from gatepost.web.looks import words_of
from web.visiting import LOOKS

SOURCE = Path(gatepost.__file__).parent
FINDINGS = SOURCE / "web" / "words" / "ja" / "findings.po"
DERIVED = {"source", "check", "percent", "against", "for"}
"""Values that are made from evidence."""
OF_SEVERAL = ("asking.py", "submission.py")
"""Modules that report facts of several checks."""
JAPANESE = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")


def seen(finding: Finding, weight: float = 0.0) -> Evidence:
    return Evidence(
        name=finding.key, text=finding.text, weight=weight, enforced=True, excused_by="", reference="", decisive=False,
        about=about(finding.key), facts=finding.evidence,
    )  # fmt: skip


def templates() -> list[tuple[str, str, str]]:
    with FINDINGS.open("rb") as file:
        return [(one.context, str(one.id), str(one.string)) for one in read_po(file) if one.id]


def keys_of_evidence(prefix: str) -> set[str]:
    """Keys of the dictionaries in the modules that report facts of this beginning."""
    found: set[str] = set()
    paths = [*(SOURCE / "checks").rglob("*.py"), SOURCE / "submission.py"]
    for path in paths:
        text = path.read_text()
        if re.search(rf'"{prefix}["._{{]', text) or path.name in OF_SEVERAL:
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Dict):
                    found |= {
                        key.value
                        for key in node.keys
                        if isinstance(key, ast.Constant) and isinstance(key.value, str)
                    }
    return found


def test_every_fact_is_told_in_japanese_and_without_evidence_too() -> None:
    for check in ALL_CHECKS:
        for fact in check.emits:
            told = LOOKS.fact("ja", seen(Finding(fact.name, "an english sentence")))
            assert JAPANESE.search(told), fact.name


def test_templates_belong_to_facts_and_take_what_their_evidence_has() -> None:
    names = {fact.name for check in ALL_CHECKS for fact in check.emits} | {"unavailable"}
    for name, english, japanese in templates():
        assert name in names, name
        fields = set(re.findall(r"%\((\w+)\)s", japanese))
        assert fields == set(re.findall(r"%\((\w+)\)s", english)), name
        known = keys_of_evidence(name.partition(".")[0]) if name != "unavailable" else {"reason"}
        assert fields - DERIVED <= known, (name, fields - DERIVED - known)
        assert JAPANESE.search(japanese)


def test_a_sentence_is_made_from_the_evidence() -> None:
    for finding, wanted in (
        (Finding("spf.fail", "…", {"domain": "a.example", "mechanism": "-all"}), "a.example はこの接続元からの送信を許可していません（-all）。"),
        (Finding("spf.fail", "…", {"domain": "a.example", "mechanism": None}), "a.example はこの接続元からの送信を許可していません。"),
        (Finding("headers.bad_from", "…", {"problems": ["a group in From"]}), "From は信頼できません：From がグループ"),
        (Finding("spam.opinion", "…", {"probability": 0.987, "log_odds": 4.3}), "学習した内容から、迷惑メールである確率は 98.7 % です。"),
        (Finding("antivirus.unavailable", "…", {"reason": "timeout"}), "検査 antivirus は結果を出せませんでした：timeout"),
        (Finding("attachments.program", "…", {"files": ["a.zip › b.exe"], "kinds": ["pe"]}), "a.zip › b.exe："),
        (Finding("dnsbl.listed", "…", {"list": "bl.example", "asked_about": "192.0.2.1"}, "bl.example"), "192.0.2.1 がブロックリスト bl.example に"),
    ):  # fmt: skip
        assert LOOKS.fact("ja", seen(finding)).startswith(wanted)
        assert LOOKS.fact("en", seen(finding)) == "…"


def test_what_others_wrote_is_filled_in_and_never_read_as_a_template() -> None:
    hostile = Finding("rdns.generic", "x", {"ip": "192.0.2.1", "name": "%(ip)s%n<b>{{7*7}}"})
    assert "%(ip)s%n<b>{{7*7}}" in LOOKS.fact("ja", seen(hostile))
    unknown = Finding("mine.own", "nobody translated %(this)s")
    assert LOOKS.fact("ja", seen(unknown)) == unknown.text


def decision(rule: str, reason: str) -> Decision:
    verdict = Verdict(action=Action.JUNK, would_action=Action.JUNK, rule=rule, reason=reason, score=5.2)
    return Decision(verdict=verdict, recipients=(), reference="", about=about(rule), reason=reason)


def test_reasons_are_told_out_of_what_was_seen() -> None:
    heavy = seen(Finding("rdns.missing", "192.0.2.1 has no name in the DNS", {"ip": "192.0.2.1"}), 2.5)
    light = seen(
        Finding("dmarc.reject", "the author's domain is not proved", {"author_domain": "b.example"}), 0.5
    )
    score = decision("score.junk", "score 5.2 reaches 4 for junk: 192.0.2.1 has no name in the DNS (+2.5)")
    told = LOOKS.reason("ja", score, [light, heavy])
    assert told.startswith(
        "スコア 5.2 が迷惑メールのしきい値 4 に達しました：192.0.2.1 には DNS の逆引き名がありません (+2.5)；差出人の"
    )
    assert LOOKS.reason("en", score, [light, heavy]) == score.reason
    by_fact = decision("dmarc.reject", "the author's domain is not proved")
    assert LOOKS.reason("ja", by_fact, [heavy, light]).startswith("差出人のドメイン b.example は証明されず")
    softened = decision(
        "dmarc.reject",
        "the author's domain is not proved; quarantine rather than refuse, because it was sealed",
    )
    assert LOOKS.reason("ja", softened, [heavy, light]).endswith(
        "（転送された可能性があるため、拒否ではなく隔離しました）"
    )
    low = decision("default.deliver", "score 1.2 stays below 4 for junk: x (+1.2)")
    assert LOOKS.reason("ja", low, []).startswith("スコア 1.2 は迷惑メールのしきい値 4 に届きませんでした")
    assert (
        LOOKS.reason("ja", decision("default.deliver", "nothing spoke against it"), [])
        == "不審な点はありませんでした"
    )


def sentences(node: ast.expr) -> Iterator[str]:
    """What an expression says, with X for what is filled in."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=parts):
            yield "".join(one.value if isinstance(one, ast.Constant) else "X" for one in parts)
        case ast.IfExp(body=one, orelse=other):
            yield from sentences(one)
            yield from sentences(other)


def test_every_concern_and_its_remedy_are_translated() -> None:
    said = {
        sentence
        for folder in ("jobs", "app")
        for path in (SOURCE / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Concern"
        for argument in node.args[2:4]
        for sentence in sentences(argument)
    } - {"X."}
    assert len(said) > 50
    assert [one for one in sorted(said) if LOOKS.say("ja", one) == one] == []


def test_every_rule_and_kind_of_file_is_described_in_japanese() -> None:
    words = words_of("ja")
    rules = load_rules().rules
    assert [one.name for one in rules if one.finding not in words or one.description not in words] == []
    assert {one.attack for one in rules} - set(words) == set()
    assert {one.title for one in KINDS.values()} - set(words) == set()
    assert set(AMBIGUITIES) - set(words) == set()
    matched = Finding(
        "rules.matched", f"{rules[0].finding} (rule {rules[0].name})", {"rule": rules[0].name}, rules[0].name
    )
    assert rules[0].name in LOOKS.fact("ja", seen(matched))
    assert words[rules[0].finding] in LOOKS.fact("ja", seen(matched))
