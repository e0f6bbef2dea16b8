"""DMARC discovery, alignment and policy, by the sections of RFC 9989."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drive import drive
from gatepost.dns.answer import Answer, Security
from gatepost.dns.zone import Zone
from gatepost.mail.address import Address
from gatepost.mail.author import Authors
from gatepost.mail.authresults import DkimResult, DmarcResult, SpfResult
from gatepost.mailauth.dmarc import discover, evaluate_from
from gatepost.mailauth.dmarc_record import parse_policy_record

NO_SPF = SpfResult(result="none", identity="mail_from")


class Counting:
    """A zone that notes what it is asked."""

    def __init__(self, text: str) -> None:
        self.zone = Zone.parse(text)
        self.asked: list[str] = []

    async def lookup(self, name: str, kind: str) -> Answer:
        self.asked.append(name)
        return self.zone.find(name, kind)


def judged(
    zone: str | Counting,
    author: str,
    *,
    dkim: tuple[str, ...] = (),
    spf: str = "",
    dkim_result: str = "pass",
) -> DmarcResult:
    resolver = Counting(zone) if isinstance(zone, str) else zone
    return drive(
        evaluate_from(
            Authors(addresses=(Address("a", author),), field_count=1),
            SpfResult(result="pass", identity="mail_from", domain=spf) if spf else NO_SPF,
            [DkimResult(result=dkim_result, domain=domain) for domain in dkim],
            resolver,
        )
    )


def txt(**records: str) -> str:
    return "\n".join(f'_dmarc.{name.replace("__", ".")}. TXT "{text}"' for name, text in records.items())


def test_the_walk_asks_at_most_eight_times() -> None:
    zone = Counting("")
    drive(discover("a.b.c.d.e.f.g.h.i.j.mail.example.com", zone))
    walked = list(dict.fromkeys(zone.asked))
    assert walked == [
        "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com",
        "_dmarc.g.h.i.j.mail.example.com",
        "_dmarc.h.i.j.mail.example.com",
        "_dmarc.i.j.mail.example.com",
        "_dmarc.j.mail.example.com",
        "_dmarc.mail.example.com",
        "_dmarc.example.com",
        "_dmarc.com",
    ]
    assert len(zone.asked) == 8


def test_equal_names_need_no_walk() -> None:
    zone = Counting(txt(example__com="v=DMARC1; p=reject"))
    assert judged(zone, "example.com", dkim=("example.com", "other.example.com")).result == "pass"
    assert zone.asked == ["_dmarc.example.com"]


def test_both_methods_are_named_where_both_are_aligned() -> None:
    zone = txt(example__com="v=DMARC1; p=reject")
    assert judged(zone, "example.com", dkim=("example.com",), spf="bounce.example.com").aligned_by == (
        "dkim",
        "spf",
    )
    assert judged(zone, "example.com", dkim=("m.example.com",), spf="example.com").aligned_by == (
        "dkim",
        "spf",
    )


def test_names_that_share_nothing_need_no_walk() -> None:
    zone = Counting(txt(example__com="v=DMARC1; p=reject"))
    assert judged(zone, "example.com", dkim=("example.org",), spf="mail.example.net").result == "fail"
    assert zone.asked == ["_dmarc.example.com"]


RELAXED = {
    "a subdomain signs": ("example.com", "mail.example.com", "pass"),
    "the parent signs": ("mail.example.com", "example.com", "pass"),
    "a sibling signs": ("news.example.com", "mail.example.com", "pass"),
    "another domain signs": ("example.com", "example.net", "fail"),
    "a neighbour under the suffix signs": ("example.com", "other.com", "fail"),
    "a name that only ends alike signs": ("example.com", "notexample.com", "fail"),
}


@pytest.mark.parametrize("case", RELAXED)
def test_relaxed_alignment(case: str) -> None:
    author, signer, result = RELAXED[case]
    zone = txt(example__com="v=DMARC1; p=reject", other__com="v=DMARC1; p=none")
    assert judged(zone, author, dkim=(signer,)).result == result
    assert judged(zone, author, spf=signer).result == result


def test_strict_alignment_is_for_each_method_apart() -> None:
    zone = txt(example__com="v=DMARC1; p=reject; adkim=s")
    assert judged(zone, "example.com", dkim=("mail.example.com",)).result == "fail"
    assert judged(zone, "example.com", spf="mail.example.com").aligned_by == ("spf",)


def test_psd_n_cuts_a_department_off() -> None:
    zone = txt(dept__example__com="v=DMARC1; p=reject; psd=n", example__com="v=DMARC1; p=none")
    assert judged(zone, "a.dept.example.com", dkim=("example.com",)).result == "fail"
    assert judged(zone, "a.dept.example.com", dkim=("b.dept.example.com",)).result == "pass"
    assert judged(zone, "a.dept.example.com").policy_domain == "dept.example.com"


def test_a_public_suffix_domain_gives_policy_but_no_alignment() -> None:
    zone = txt(co__example="v=DMARC1; p=reject; sp=quarantine; psd=y")
    result = judged(zone, "one.co.example", dkim=("two.co.example",))
    assert (result.result, result.policy_domain, result.policy) == ("fail", "co.example", "quarantine")
    assert judged(zone, "one.co.example", dkim=("mail.one.co.example",)).result == "pass"


def test_records_between_author_and_organization_are_passed_over() -> None:
    zone = txt(b__example__com="v=DMARC1; p=none", example__com="v=DMARC1; p=reject")
    assert judged(zone, "a.b.example.com").policy_domain == "example.com"


POLICIES = {
    "own": ("example.com", "p=reject; sp=none; np=none", "reject"),
    "subdomain that exists": ("mail.example.com", "p=none; sp=quarantine; np=reject", "quarantine"),
    "subdomain that does not": ("nowhere.example.com", "p=none; sp=quarantine; np=reject", "reject"),
    "sp stands in for np": ("nowhere.example.com", "p=none; sp=quarantine", "quarantine"),
    "p stands in for both": ("nowhere.example.com", "p=quarantine", "quarantine"),
    "testing reject": ("example.com", "p=reject; t=y", "quarantine"),
    "testing quarantine": ("example.com", "p=quarantine; t=y", "none"),
    "testing none": ("example.com", "p=none; t=y", "none"),
    "upper case": ("example.com", "p=REJECT", "reject"),
    "unknown tags": ("example.com", "pct=0; x=y; p=reject; rf=afrf", "reject"),
    "no p but rua": ("example.com", "rua=mailto:a@example.com", "none"),
    "wrong p but rua": ("example.com", "p=bounce; rua=mailto:a@example.com", "none"),
    "wrong sp but rua": ("example.com", "p=reject; sp=bounce; rua=mailto:a@example.com", "none"),
    "broken tag": ("example.com", "p=reject; nonsense; =; adkim", "reject"),
}


@pytest.mark.parametrize("case", POLICIES)
@pytest.mark.parametrize("signed", [True, False])
def test_policy_applies_to_a_pass_as_well(case: str, signed: bool) -> None:
    author, tags, policy = POLICIES[case]
    zone = txt(example__com=f"v=DMARC1; {tags}") + "\nmail.example.com. A 192.0.2.1"
    result = judged(zone, author, dkim=(author,) if signed else ())
    assert (result.result, result.policy) == ("pass" if signed else "fail", policy)


def test_testing_keeps_what_was_published() -> None:
    result = judged(txt(example__com="v=DMARC1; p=reject; t=y"), "example.com")
    assert (result.policy, result.published_policy, result.testing) == ("quarantine", "reject", True)


NOT_A_POLICY = [
    "v=DMARC1",
    "v=DMARC1; p=bounce",
    "v=DMARC1; p=reject; sp=bounce",
    "v=DMARC1; rua=nowhere",
    "v=dmarc1; p=reject",
    "p=reject; v=DMARC1",
    "v=DMARC12; p=reject",
    "v=DMARC1 p=reject",
    " v=DMARC1; p=reject",
]


@pytest.mark.parametrize("text", NOT_A_POLICY)
def test_what_is_no_policy_is_none(text: str) -> None:
    result = judged(txt(example__com=text), "example.com", dkim=("example.com",))
    assert (result.result, result.policy) == ("none", None)


def test_several_records_are_none() -> None:
    zone = '_dmarc.example.com. TXT "v=DMARC1; p=reject"\n_dmarc.example.com. TXT "v=DMARC1; p=none"'
    assert judged(zone, "example.com").result == "none"
    assert judged(zone + '\n_dmarc.example.com. TXT "other"', "example.com").result == "none"


FAILING = {
    "the author's record": ("$FAIL _dmarc.a.example.com", "temperror"),
    "a record above": ("$TIMEOUT _dmarc.example.com", "temperror"),
    "bogus above": ("$BOGUS _dmarc.example.com", "temperror"),
    "whether the author exists": ("$FAIL a.example.com A", "temperror"),
    "something else": ("$FAIL a.example.com TXT", "fail"),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_decisive_failure_is_a_temporary_error(case: str) -> None:
    directive, result = FAILING[case]
    zone = f'{directive}\n_dmarc.example.com. TXT "v=DMARC1; p=none; np=reject"\na.example.com. MX 1 mx.example.com.'
    assert judged(zone, "a.example.com").result == result


def test_a_failing_walk_for_a_signer_is_undecided_unless_something_else_passes() -> None:
    zone = "$FAIL _dmarc.mail.example.com\n" + txt(example__com="v=DMARC1; p=reject")
    assert judged(zone, "example.com", dkim=("mail.example.com",)).result == "temperror"
    assert judged(zone, "example.com", dkim=("mail.example.com",), spf="example.com").result == "pass"


def test_security_is_the_weakest_of_the_walk() -> None:
    zone = "$SECURE com\n" + txt(example__com="v=DMARC1; p=reject")
    assert judged(zone, "example.com").security is Security.SECURE
    assert judged(txt(example__com="v=DMARC1; p=reject"), "example.com").security is Security.INSECURE


def test_reporting_addresses() -> None:
    record = parse_policy_record(
        "v=DMARC1;p=none;rua=mailto:A@Example.COM!10m , https://x.example/y,nonsense"
    )
    assert record is not None
    assert record.rua == ("mailto:A@Example.COM", "https://x.example/y")
    assert record.problems == ("rua= holds what is no URI",)


@given(st.text(max_size=200) | st.text(max_size=100).map("v=DMARC1;".__add__))
def test_records_never_raise(text: str) -> None:
    record = parse_policy_record(text)
    assert record is None or record.text == text
