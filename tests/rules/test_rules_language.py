"""Conditions: what they mean, what is refused and where, and what cannot be known."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.mail.authresults import AuthResults, DmarcResult
from gatepost.mail.client import Client, Envelope
from gatepost.mail.filereport import FileFact, FileReport
from gatepost.mail.message import Message
from gatepost.rules.brands import Brand, Brands
from gatepost.rules.compiling import Scope, compile_condition
from gatepost.rules.facts import Facts, Told, TooMuch, Unknown
from gatepost.rules.language import RuleError, parse, place
from gatepost.rules.patterns import Patterns

HTML = "Content-Type: text/html; charset=utf-8\r\n"
MAIL = (
    "From: Ana <ana@news.example.org>\r\nTo: ben@example.net\r\nSubject: URGENT: réunion\r\nX-Mailer: Tool 3\r\n"
    + HTML
    + '\r\n<p>Your p\u200bassword exp\u00adires\r\ntoday.</p><a href="https://x.example.com/login?a=1">www.bank.example</a>\r\n'
)
BRANDS = Brands([Brand(name="paybank", names=("paybank",), domains=("paybank.example",))])


def holds(
    condition: str,
    mail: str = MAIL,
    *,
    told: Told | None = None,
    lists: dict[str, tuple[str, ...]] | None = None,
    conditions: dict[str, str] | None = None,
    auth: AuthResults | None = None,
) -> bool:
    patterns = Patterns()
    named = {name: parse(text) for name, text in (conditions or {}).items()}
    ready = compile_condition(condition, Scope(patterns, lists or {}, named))
    facts = Facts(
        Client(ip=None),
        Envelope(sender=None),
        Message.parse(mail.encode()),
        auth or AuthResults(),
        patterns,
        BRANDS,
        told or Told(),
    )
    return ready.condition(facts)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("subject.matches('(?i)urgent') and links.any(foreign) and not auth.dmarc == 'pass'", True),
        ("subject.has(['reunion'])", True),  # accents do not count
        ("text.has(['password expires today'])", True),  # nor invisible characters and line ends
        ("text.has(['pass'])", False),
        ("text.has(['pass*'])", True),
        ("text.contains(['asswor'])", True),
        ("wording.has('urgent') and text.length() < 100", True),
        ("text.length() > 100 or author.organisation == 'example.org'", True),
        ("author.domain.ends_with(['.example.org']) and author.name == 'ANA'", True),
        ("'x' in ['X', 'y'] and 'z' not in ['x']", True),
        ("links.any(host == 'x.example.com' and path.starts_with('/login'))", True),
        ("links.all(foreign) and links.count() == 1 and links.count(path.matches('[?]a=')) == 1", True),
        ("links.any(shows_other_host)", True),
        ("header.get('x-mailer').matches('tool [0-9]') and header.count('To') == 1", True),
        ("header.has('list-id') or attachments.count() > 0", False),
        ("not (true and false) and html_only # a remark", True),
        ("links.any(organisation != author.organisation)", True),
        ("to_oneself or reply_to.differs", False),
    ],
)
def test_conditions_say_what_they_read_like(condition: str, expected: bool) -> None:
    assert holds(condition) is expected


@pytest.mark.parametrize(
    ("condition", "at", "said"),
    [
        ("subjekt == 'a'", 0, "did you mean subject?"),
        ("true and links.any(hots == 'x')", 19, "did you mean host?"),
        ("foreign", 0, "within links.any"),
        ("subject", 0, "true or false is wanted"),
        ("subject == 3", 0, "cannot be compared"),
        ("subject < 'a'", 0, "compares numbers"),
        ("subject.matchs('a')", 0, "did you mean matches?"),
        ("subject.matches('(')", 16, "cannot be used"),
        ("subject.matches('a*')", 16, "matches the empty text"),
        ("subject.matches('((a{500}){500}){500}')", 16, "cannot be used"),
        ("subject.has([])", 12, "empty list"),
        ("subject = 'a'", 8, "did you mean ==?"),
        ("subject.has('a' and", 19, "but here is the end"),
        ("subject.has('a", 12, "no closing quote"),
        ("links.any(links.any(foreign))", 10, "inside a list"),
        ("links", 0, "links"),
        ("true true", 5, "is not expected here"),
        ("any(true)", 0, "can only be asked of something"),
        ("size in ['a']", 0, "asks for a text in a list"),
        ("'a'.has('b')", 3, "not expected"),
        ("(" * 40 + "true" + ")" * 40, 30, "nested more than 30 deep"),
        ("true" + " and true" * 500, None, "more than 400 parts"),
        ("true " * 3000, 8000, "longer than 8,000"),
    ],
)
def test_a_mistake_is_told_with_its_place(condition: str, at: int | None, said: str) -> None:
    with pytest.raises(RuleError) as fault:
        holds(condition)
    assert said in str(fault.value)
    if at is not None:
        assert fault.value.at == at


def test_the_place_is_shown_with_its_line() -> None:
    shown = place("true\nand subjekt", 9)
    assert shown.splitlines() == ["line 2, column 5", "  and subjekt", "      ^"]


def test_named_conditions_are_shared_and_none_may_use_itself() -> None:
    assert holds(
        "lure and not other",
        conditions={"lure": "wording.has(bad)", "other": "size > 99999"},
        lists={"bad": ("urgent",)},
    )
    with pytest.raises(RuleError, match="uses itself"):
        holds("a", conditions={"a": "b", "b": "a"})


def test_what_is_unknown_leaves_a_rule_open_only_when_it_hangs_on_it() -> None:
    recorded = Told(recorded=True)
    assert not holds("subject.has('nothing') and text.has('x')", told=recorded)
    assert holds("subject.has('urgent') or text.has('x')", told=recorded)
    for condition in ("subject.has('urgent') and text.has('x')", "not text.has('x')", "known_correspondent"):
        with pytest.raises(Unknown):
            holds(condition, told=recorded)


def test_files_are_what_the_child_reports() -> None:
    mail = MAIL.replace(
        HTML, 'Content-Type: application/zip; name="a.zip"\r\nContent-Disposition: attachment\r\n'
    )
    report = FileReport(
        path=("a.zip", "b.exe"), part=0, kind="pe", facts=(FileFact("encrypted", "It is locked."),)
    )
    condition = "files.any(kind == 'pe' and extension == 'exe' and inside == 1 and 'encrypted' in facts)"
    assert holds(condition, mail, told=Told(files=(report,)))
    with pytest.raises(Unknown):
        holds(condition, mail)
    assert not holds(condition, MAIL)  # without attachments nobody need be asked


def test_brands_are_claimed_by_others_and_not_by_themselves() -> None:
    from_other = MAIL.replace("From: Ana <", "From: PayBank service <")
    assert holds("claims.author == 'PayBank'", from_other)
    assert not holds("claims.author != ''", from_other.replace("news.example.org", "mail.paybank.example"))
    assert holds(
        "claims.author != ''", MAIL.replace("From: Ana <", "From: P\u0430yB\u0430nk <")
    )  # Cyrillic а


def test_authentication_is_a_fact() -> None:
    passed = AuthResults(dmarc=DmarcResult(result="pass", aligned_by=("dkim",)))
    assert holds("auth.dmarc == 'pass' and 'dkim' in auth.aligned_by", auth=passed)
    assert not holds("auth.dmarc == 'pass'")


def test_a_message_of_many_links_costs_bounded_steps() -> None:
    links = "".join(f'<a href="https://h{n}.example.com/">x</a>' for n in range(5_000))
    mail = MAIL.replace("</p>", "</p>" + links)
    started = time.thread_time()
    with pytest.raises(TooMuch):
        holds(" and ".join(["not links.any(host == 'no.example')"] * 120), mail)
    assert time.thread_time() - started < 5


def test_a_pattern_that_backtracks_elsewhere_is_linear_here() -> None:
    mail = MAIL.replace("Your p", "a" * 17_000 + " Your p")
    started = time.thread_time()
    assert not holds("text.matches('(a+)+b')", mail)
    assert time.thread_time() - started < 2


@given(st.text(max_size=200))
def test_any_text_is_a_condition_or_a_rule_error(text: str) -> None:
    at = 0
    try:
        holds(text)
    except RuleError as fault:
        at = fault.at
    assert -1 <= at <= len(text)
