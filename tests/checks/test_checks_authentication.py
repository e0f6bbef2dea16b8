"""What was proved, as facts in words, and what becomes of mail that was not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gatepost.dns.answer import Security
from gatepost.mail.authresults import AuthResults, DkimResult, DmarcResult, SpfResult
from gatepost.mail.verdict import Action
from judging import mail, names
from proving import SPF_FAIL, facts, failed, judged


@pytest.mark.parametrize("result", ["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"])
def test_every_spf_result_is_a_fact_in_words(result: str) -> None:
    spf = SpfResult(result=result, identity="mail_from", domain="example.org", security=Security.SECURE)
    found = [one for one in facts(mail(auth=AuthResults(spf_mail_from=spf))) if one.name.startswith("spf.")]
    assert names(found) == [f"spf.{result}"]
    assert "example.org" in found[0].text
    assert found[0].evidence["dnssec"] == "secure"


@pytest.mark.parametrize("result", ["pass", "fail", "policy", "neutral", "temperror", "permerror"])
def test_every_signature_is_a_fact_under_its_domain(result: str) -> None:
    dkim = (
        DkimResult(result=result, domain="a.example", selector="s"),
        DkimResult(result="pass", domain="b.example"),
    )
    found = [one for one in facts(mail(auth=AuthResults(dkim=dkim))) if one.name.startswith("dkim.")]
    assert names(found) == [f"dkim.{result}:a.example", "dkim.pass:b.example"]


def test_unsigned_and_oversigned_mail() -> None:
    assert "dkim.none" in names(facts(mail()))
    assert "dkim.ignored" in names(facts(mail(auth=AuthResults(dkim_ignored=90))))


def test_attackers_text_is_made_printable() -> None:
    dkim = (DkimResult(result="fail", domain="a.example", reason="\x1b[2J\r\nX: y"),)
    spf = replace(SPF_FAIL, mechanism="-all\x07")
    for one in facts(mail(auth=AuthResults(dkim=dkim, spf_mail_from=spf))):
        assert one.text.isprintable()


def test_a_failed_reject_without_signs_of_forwarding_is_refused() -> None:
    verdict = judged(mail(auth=failed("reject", spf_mail_from=SPF_FAIL)))
    assert (verdict.action, verdict.rule) == (Action.REFUSE, "dmarc.reject")
    assert (
        verdict.reason
        == "the author's domain example.org is not proved, and its owner asks to reject such mail"
    )


def test_the_other_policies() -> None:
    assert judged(mail(auth=failed("quarantine"))).rule == "dmarc.quarantine"
    assert judged(mail(auth=failed("quarantine"))).action is Action.JUNK
    assert judged(mail(auth=failed("none", spf_mail_from=SPF_FAIL))).action is Action.DELIVER


@pytest.mark.parametrize(
    ("policy", "action"),
    [
        (None, Action.DEFER),
        ("reject", Action.DEFER),
        ("quarantine", Action.DEFER),
        ("none", Action.DELIVER),
    ],
)
def test_what_could_not_be_asked_defers_only_where_it_matters(policy: str | None, action: Action) -> None:
    dmarc = DmarcResult(result="temperror", author_domain="example.org", policy=policy, reason="timeout")
    verdict = judged(mail(auth=AuthResults(dmarc=dmarc)))
    assert verdict.action is action
    if action is Action.DEFER:
        assert verdict.rule == "dmarc.temperror"


def test_spf_and_dkim_temperrors_alone_defer_nothing() -> None:
    auth = AuthResults(
        spf_mail_from=SpfResult(result="temperror", identity="mail_from", domain="example.org"),
        dkim=(DkimResult(result="temperror", domain="example.org"),),
        dmarc=DmarcResult(result="none", author_domain="example.org"),
    )
    assert judged(mail(auth=auth)).action is Action.DELIVER


def test_a_dmarc_pass_by_signature_excuses_spf() -> None:
    dmarc = DmarcResult(result="pass", author_domain="example.org", aligned_by=("dkim",), policy="reject")
    verdict = judged(mail(auth=AuthResults(spf_mail_from=SPF_FAIL, dmarc=dmarc)))
    assert verdict.action is Action.DELIVER
    assert {one.excused_by for one in verdict.weighed if one.finding.name == "spf.fail"} == {"dmarc.pass"}


def test_no_author_to_judge_weighs() -> None:
    auth = AuthResults(dmarc=DmarcResult(result="permerror", reason="several From fields"))
    (found,) = [one for one in facts(mail(auth=auth)) if one.name.startswith("dmarc.")]
    assert found.name == "dmarc.no_author"
    assert "several From fields" in found.text
