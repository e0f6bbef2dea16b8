"""What the office says to people is said in Japanese, too, with its values in their places."""

from __future__ import annotations

import ast
import re

import pytest

from conftest import ROOT
from gatepost.office.throttle import in_words
from gatepost.web.looks import Looks, words_of

SAID_BY = {"Busy", "Impossible", "SignInRefused", "NotAllowed", "ProveAgain"}
MODULES = (
    "people", "wayin", "naming", "charge", "second", "enrolment", "signin", "sessions", "apppasswords", "certificates", "passkeys", "hashing", "office", "longreads",
)  # fmt: skip
BARE = re.compile(r"%\(\w+\)s")


def skeleton(node: ast.expr) -> str | None:
    """A sentence with {} for each value; None where it comes from elsewhere."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def sentences() -> set[str]:
    """Every one that these modules raise."""
    found = set()
    for name in MODULES:
        tree = ast.parse((ROOT / "src/gatepost/office" / f"{name}.py").read_text())
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in SAID_BY
                and node.args
            ):
                found.add(skeleton(node.args[0]))
    return {one for one in found if one is not None}


def test_every_sentence_is_there_in_japanese() -> None:
    known = {BARE.sub("{}", english) for english in words_of("ja")}
    assert len(sentences()) > 40
    assert sentences() - known == set()


@pytest.fixture(scope="module")
def looks() -> Looks:
    return Looks({"en": "English", "ja": "日本語"})


@pytest.mark.parametrize(
    ("english", "japanese"),
    [
        ("There is no account anna@x.example. Did you mean ana@x.example?",
         "アカウント anna@x.example はありません。ana@x.example のことですか？"),
        ("Login, password and code do not fit together.", "ログイン名、パスワード、コードの組み合わせが正しくありません。"),
        (f"Too many attempts failed. Try again in {in_words(120)}, or sign in with a passkey.",
         "失敗が続いたため、2 分後にもう一度試すか、パスキーでサインインしてください。"),
        (f"Too many attempts failed. Try again in {in_words(1)}, or sign in with a passkey.",
         "失敗が続いたため、1 秒後にもう一度試すか、パスキーでサインインしてください。"),
        ("<b>%(x)s%s is no mail address such as ana@example.net.", "<b>%(x)s%s はメールアドレスではありません（例: ana@example.net）。"),
        ("Something that nobody has translated: %d", "Something that nobody has translated: %d"),
        ("x" * 5000, "x" * 5000),
    ],
)  # fmt: skip
def test_values_stand_where_they_belong(looks: Looks, english: str, japanese: str) -> None:
    assert looks.say("ja", english) == japanese
    assert looks.say("en", english) == english


def test_the_hostile_value_of_a_sentence_costs_no_time(looks: Looks) -> None:
    hostile = ("a is a's own address; " * 40)[:900]
    assert looks.say("ja", hostile) == hostile
