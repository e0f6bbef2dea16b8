"""What was proved, as facts in words, and what becomes of mail that was not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from drive import drive
from gatepost.checks.registry import configure
from gatepost.checks.sender.authentication import (
    ARC,
    DKIM,
    DMARC,
    FORWARDER,
    SPF,
    DmarcSettings,
    ForwarderSettings,
    OnReject,
)
from gatepost.checks.sender.sealed import says_dmarc_pass
from gatepost.dns.answer import Security
from gatepost.mail.authresults import ArcResult, AuthResults, DkimResult, DmarcResult, SpfResult
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding
from gatepost.mail.verdict import Action, Verdict
from gatepost.policy import PolicySettings, assemble, decide
from judging import World, mail, names

FORWARD = ForwarderSettings(trusted_sealers=("lists.example",), known=("203.0.113.0/24",))


def facts(one: Mail, dmarc: DmarcSettings | None = None) -> Sequence[Finding]:
    settings = {FORWARDER: FORWARD, DMARC: dmarc or DmarcSettings()}
    found: list[Finding] = []
    for check in (SPF, DKIM, ARC, FORWARDER, DMARC):
        mine = drive(check.run(one, World(), settings.get(check) or check.settings()))  # type: ignore[arg-type]
        declared = {emits.name.partition(":")[0] for emits in check.emits}
        assert {finding.name for finding in mine} <= declared
        found += mine
    return found


def judged(one: Mail, dmarc: DmarcSettings | None = None, *more: Finding) -> Verdict:
    configured = configure({"forwarder": FORWARD, "dmarc": dmarc or DmarcSettings()})
    return decide([*facts(one, dmarc), *more], assemble(PolicySettings(), configured).default)


def failed(policy: str, **auth: object) -> AuthResults:
    dmarc = DmarcResult(
        result="fail", author_domain="example.org", policy_domain="example.org", policy=policy
    )
    return AuthResults(dmarc=dmarc, **auth)  # type: ignore[arg-type]


SPF_FAIL = SpfResult(result="fail", identity="mail_from", domain="example.org", mechanism="-all")


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


LIST_MAIL = ("From: a@example.org", "List-Id: <x.lists.example>", "Date: x", "Message-ID: <1@x>")
SEALED = ("From: a@example.org", "ARC-Seal: i=1; d=other.example", "Date: x", "Message-ID: <1@x>")


@pytest.mark.parametrize(
    ("one", "sign"),
    [
        (mail(*LIST_MAIL, auth=failed("reject")), "mailing list"),
        (mail(*SEALED, auth=failed("reject")), "sealed"),
        (mail(auth=failed("reject"), ip="203.0.113.9"), "known to forward"),
        (
            mail(auth=failed("reject", dkim=(DkimResult(result="fail", domain="news.example.org"),))),
            "damaged signature",
        ),
    ],
)
def test_a_failed_reject_that_may_have_been_forwarded_is_held_in_words(one: Mail, sign: str) -> None:
    verdict = judged(one)
    assert (verdict.action, verdict.rule) == (Action.QUARANTINE, "dmarc.reject")
    assert sign in verdict.reason
    listed = Finding("dnsbl.listed", "listed", {}, "")
    assert judged(one, None, listed).action is Action.REFUSE, "reputation agrees"
    assert judged(one, DmarcSettings(on_reject=OnReject.REFUSE)).action is Action.REFUSE


@pytest.mark.parametrize(
    "dkim",
    [
        DkimResult(result="fail", domain="other.example"),
        DkimResult(result="permerror", domain="example.org"),
        DkimResult(result="pass", domain="other.example"),
    ],
)
def test_signatures_that_anyone_could_claim_are_no_sign(dkim: DkimResult) -> None:
    assert judged(mail(auth=failed("reject", dkim=(dkim,)))).action is Action.REFUSE


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


def sealed(*pairs: tuple[str, str], result: str = "pass") -> AuthResults:
    sealers, payloads = zip(*pairs, strict=True)
    return failed(
        "reject",
        spf_mail_from=SPF_FAIL,
        arc=ArcResult(result=result, sealers=sealers, authentication_results=payloads),
    )


PASS = "lists.example; dmarc=pass header.from=example.org"
FAIL = "lists.example; dmarc=fail header.from=example.org"


def test_a_trusted_sealer_excuses_what_broke_on_the_way() -> None:
    verdict = judged(mail(auth=sealed(("lists.example", PASS))))
    assert verdict.action is Action.DELIVER
    assert (
        judged(mail(auth=sealed(("lists.example", PASS), ("lists.example", FAIL)))).action is Action.DELIVER
    )


@pytest.mark.parametrize(
    "auth",
    [
        sealed(("stranger.example", PASS)),
        sealed(("lists.example", FAIL)),
        sealed(("lists.example", PASS), result="fail"),
        sealed(("lists.example", PASS), ("stranger.example", PASS)),
        sealed(("stranger.example", PASS), ("lists.example", FAIL)),
    ],
)
def test_no_seal_of_a_stranger_and_no_broken_chain_excuses_anything(auth: AuthResults) -> None:
    assert judged(mail(auth=auth)).action in (Action.REFUSE, Action.QUARANTINE)


@pytest.mark.parametrize(
    ("payload", "passes"),
    [
        ("x.example; spf=pass; dmarc=pass (p=reject) header.from=example.org", True),
        ("x.example; DMARC=Pass header.from=EXAMPLE.ORG", True),
        ("x.example; dmarc=pass header.from=other.example", False),
        ("x.example; dmarc=pass", False),
        ("x.example; spf=fail (dmarc=pass header.from=example.org)", False),
        ('x.example; spf=fail reason="; dmarc=pass header.from=example.org"', False),
        ("x.example; dmarc=passable header.from=example.org", False),
        ("dmarc=pass header.from=example.org", False),
        ("x.example; (; dmarc=pass header.from=example.org", False),
    ],
)
def test_what_an_arc_results_field_says(payload: str, passes: bool) -> None:
    assert says_dmarc_pass(payload, "example.org") is passes


def test_no_author_to_judge_weighs() -> None:
    auth = AuthResults(dmarc=DmarcResult(result="permerror", reason="several From fields"))
    (found,) = [one for one in facts(mail(auth=auth)) if one.name.startswith("dmarc.")]
    assert found.name == "dmarc.no_author"
    assert "several From fields" in found.text
