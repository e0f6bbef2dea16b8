"""Mail that came through others: trusted seals, and signs that anyone can make."""

from __future__ import annotations

import pytest

from gatepost.checks.sender.authentication import (
    DmarcSettings,
    OnReject,
)
from gatepost.checks.sender.sealed import says_dmarc_pass
from gatepost.mail.authresults import ArcResult, AuthResults, DkimResult
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding
from gatepost.mail.verdict import Action
from judging import mail
from proving import SPF_FAIL, failed, judged

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
