"""TLS reports: who wants them, and what stands in one (RFC 8460)."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.dns.answer import Answer, Security, Status
from gatepost.tlspolicy.requirement import Situation, requirement
from gatepost.tlspolicy.tlsrpt import (
    Counted,
    Failure,
    Policy,
    PolicyKind,
    Report,
    Session,
    Trouble,
    Wanted,
    report_gzip,
    report_json,
    wanted,
)

STS = Policy(
    kind=PolicyKind.STS,
    domain="example.org",
    lines=("version: STSv1", "mode: testing"),
    mx=("*.example.org",),
)
NONE = Policy(kind=PolicyKind.NONE, domain="example.org")


@pytest.mark.parametrize(
    ("records", "found"),
    [
        (["v=TLSRPTv1; rua=mailto:tls@example.org"], Wanted(("tls@example.org",))),
        (["v=TLSRPTv1;rua=https://reports.example.org/v1"], Wanted((), ("https://reports.example.org/v1",))),
        (
            ["v=TLSRPTv1; rua=mailto:a@b.example , https://c.example/x;"],
            Wanted(("a@b.example",), ("https://c.example/x",)),
        ),
        (["v=TLSRPTv1; rua=mailto:a%2Bb@c.example"], Wanted(("a+b@c.example",))),
        (["v=TLSRPTv1; rua=http://plain.example/"], Wanted()),
        (["v=TLSRPTv1; rua=mailto:nobody"], Wanted()),
        (["v=TLSRPTv1; rua="], Wanted()),
        (["v=TLSRPTv1"], Wanted()),
        (["v=TLSRPTv12; rua=mailto:a@b.example"], Wanted()),
        (["v=TLSRPTv1; rua=mailto:a@b.example", "v=TLSRPTv1; rua=mailto:c@d.example"], Wanted()),
        (["v=TLSRPTv1", "v=TLSRPTv1; rua=mailto:a@b.example"], Wanted(("a@b.example",))),
        (["other", "v=TLSRPTv1; rua=mailto:a@b.example"], Wanted(("a@b.example",))),
        ([], Wanted()),
    ],
)
def test_who_wants_reports(records: list[str], found: Wanted) -> None:
    assert wanted(records) == found


def test_the_domain_of_a_dane_policy_is_the_mail_hosts() -> None:
    """RFC 8460 §1.1: the TLSA base domain, so that the operator of several mail hosts sees which one it is about."""
    secure = Answer(status=Status.FOUND, security=Security.SECURE, records=("3 1 1 " + "ab" * 32,))
    situation = Situation(
        domain="example.org", host="mx.example.org", mx=Security.SECURE, address=Security.SECURE, tlsa=secure,
        tlsa_base="mail.provider.example",
    )  # fmt: skip
    for at, base in (
        (situation, "mail.provider.example"),
        (replace(situation, tlsa_base=""), "mx.example.org"),
        (
            replace(situation, tlsa_base="", tlsa=Answer(status=Status.FAILED, problem="bogus")),
            "mx.example.org",
        ),
    ):
        (policy,) = requirement(at).reported
        assert policy.domain == "example.org", "whom the report goes to"
        report = Report(
            organization="x", contact="postmaster@example.net", report_id="1", domain="example.org", day=20000,
            counted=[Counted(session=Session(policy=policy, host="mx.example.org"), sessions=1)],
        )  # fmt: skip
        (told,) = json.loads(report_json(report))["policies"]
        assert (told["policy"]["policy-type"], told["policy"]["policy-domain"]) == ("tlsa", base)


def test_mail_that_waives_policies_is_no_part_of_a_report() -> None:
    """Reports go so themselves (RFC 8460 §3)."""
    at = Situation(domain="example.org", host="mx.example.org", waived=True)
    assert requirement(at).reported == ()
    assert requirement(replace(at, waived=False)).reported != ()


def test_a_report() -> None:
    failure = Failure(Trouble.EXPIRED, "certificate has expired")
    bad = Session(
        policy=STS,
        host="mx1.example.org",
        address="192.0.2.1",
        hello="mx1",
        sending="192.0.2.9",
        failure=failure,
    )
    report = Report(
        organization="mx.example.net",
        contact="postmaster@example.net",
        report_id="1.x",
        domain="example.org",
        day=20000,
        counted=[
            Counted(session=Session(policy=STS, host=""), sessions=5),
            Counted(session=bad, sessions=2),
            Counted(session=Session(policy=NONE, host=""), sessions=7),
        ],
    )
    told = json.loads(gzip.decompress(report_gzip(report)))
    assert told == json.loads(report_json(report))
    # RFC 8460 §5.1: the submitter is the domain of the contact, and a unique id has no dots.
    assert report.file_name == "example.net!example.org!1728000000!1728086399!1x.json.gz"
    assert report.submitter == told["contact-info"].partition("@")[2]
    assert told["date-range"] == {
        "start-datetime": "2024-10-04T00:00:00Z",
        "end-datetime": "2024-10-04T23:59:59Z",
    }
    assert told["organization-name"] == "mx.example.net"
    sts, none = told["policies"]
    assert sts == {
        "policy": {
            "policy-type": "sts",
            "policy-string": ["version: STSv1", "mode: testing"],
            "policy-domain": "example.org",
            "mx-host": ["*.example.org"],
        },
        "summary": {"total-successful-session-count": 5, "total-failure-session-count": 2},
        "failure-details": [
            {
                "result-type": "certificate-expired",
                "sending-mta-ip": "192.0.2.9",
                "receiving-mx-hostname": "mx1.example.org",
                "receiving-mx-helo": "mx1",
                "receiving-ip": "192.0.2.1",
                "failed-session-count": 2,
                "failure-reason-code": "certificate has expired",
            }
        ],
    }
    assert none["policy"] == {"policy-type": "no-policy-found", "policy-domain": "example.org"}
    assert none["summary"] == {"total-successful-session-count": 7, "total-failure-session-count": 0}
    assert "failure-details" not in none


@given(st.lists(st.text(max_size=80).map(lambda text: "v=TLSRPTv1;rua=" + text), max_size=2))
def test_whatever_a_record_says_is_addresses_or_none(records: list[str]) -> None:
    found = wanted(records)
    assert all(one.startswith("https://") and one.isascii() for one in found.post)
    assert all("@" in one for one in found.mail)


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60), st.sampled_from(Trouble))
def test_whatever_a_host_says_becomes_json(hello: str, words: str, line: str, trouble: Trouble) -> None:
    policy = Policy(kind=PolicyKind.TLSA, domain="example.org", lines=(line,))
    session = Session(policy=policy, host="mx", hello=hello, failure=Failure(trouble, words))
    report = Report(
        organization="o", contact="c", report_id="i", domain="example.org", day=1,
        counted=[Counted(session=session, sessions=1)],
    )  # fmt: skip
    told = json.loads(report_json(report))
    assert told["policies"][0]["failure-details"][0]["result-type"] == trouble.value
