"""Reports of others about our TLS: what counts, and what only looks like one."""

from __future__ import annotations

import asyncio
import gzip
import json
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatepost.delivery.maildir import mailbox
from gatepost.jobs.tlsevidence import FOLDER, TlsEvidence
from gatepost.mail.address import Address
from gatepost.mail.authresults import AuthResults, DkimResult, DmarcResult
from gatepost.store import ownpolicies
from gatepost.store.store import Store
from gatepost.tlspolicy.reportreading import Told, read_report
from store_samples import acceptance

NOW = 1_795_478_400.0
"""2026-11-24, midnight."""
READER = Address("tls", "example.net")


def report(
    good: int = 100, bad: int = 2, domain: str = "example.net", day: str = "2026-11-23"
) -> dict[str, object]:
    return {
        "organization-name": "Example Org",
        "date-range": {"start-datetime": f"{day}T00:00:00Z", "end-datetime": f"{day}T23:59:59Z"},
        "report-id": "1",
        "policies": [
            {
                "policy": {"policy-type": "sts", "policy-domain": domain},
                "summary": {"total-successful-session-count": good, "total-failure-session-count": bad},
                "failure-details": [
                    {"result-type": "starttls-not-supported", "failed-session-count": 1},
                    {"result-type": "certificate-expired", "failed-session-count": bad},
                ],
            }
        ],
    }


def test_the_sums_are_read_packed_or_not() -> None:
    octets = json.dumps(report()).encode()
    expected = [
        Told(
            organization="Example Org", domain="example.net", at=NOW - 86_400, good=100, bad=2, sts=True,
            detail="2 times certificate-expired",
        )
    ]  # fmt: skip
    assert read_report(octets) == read_report(gzip.compress(octets)) == expected


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100_000,
        gzip.compress(b"0" * 50_000_000, mtime=0),
        gzip.compress(b"{}", mtime=0)[:-4],
        json.dumps(report() | {"policies": 1}).encode(),
        json.dumps(report() | {"date-range": "x"}).encode(),
        json.dumps(report() | {"policies": [1, {"policy": 2}, {"policy": {"policy-domain": 3}}]}).encode(),
        json.dumps(report(good=-5, bad=0)).encode(),
        json.dumps(report(domain="not a domain")).encode(),
        json.dumps(report(day="0000-00-00")).encode(),
    ],
)
def test_what_is_no_report_tells_nothing(octets: bytes) -> None:
    assert read_report(octets) == []


@given(st.binary(max_size=300))
def test_nothing_raises(octets: bytes) -> None:
    assert read_report(octets) == []


def message(body: dict[str, object], ref: str) -> bytes:
    mail = EmailMessage()
    mail["From"] = "reports@example.org"
    mail["To"] = str(READER)
    mail["Subject"] = "Report Domain: example.net"
    mail.set_content("This is a report.")
    packed = gzip.compress(json.dumps(body).encode())
    mail.add_attachment(packed, maintype="application", subtype="tlsrpt+gzip", filename="r.json.gz")
    return f"X-Gatepost: ref={ref}; score=0.0; rule=default\n".encode() + mail.as_bytes()


PROVED = AuthResults(
    dkim=(DkimResult(result="pass", domain="example.org", selector="s"),),
    dmarc=DmarcResult(result="pass", author_domain="example.org", policy_domain="example.org"),
)


@pytest.mark.parametrize(
    ("body", "auth", "counted"),
    [
        pytest.param(report(), PROVED, [("sts:example.org", 100, 2)], id="proved"),
        pytest.param(report(), AuthResults(), [], id="anybody's word"),
        pytest.param(report(domain="example.com"), PROVED, [], id="not our domain"),
        pytest.param(report(day="2026-01-01"), PROVED, [], id="long past"),
        pytest.param(report(day="2026-12-01"), PROVED, [], id="to come"),
    ],
)
def test_a_report_counts_when_its_author_is_proved(
    body: dict[str, object], auth: AuthResults, counted: list[tuple[str, int, int]], tmp_path: Path
) -> None:
    async def go() -> None:
        store = Store.open(tmp_path)
        box = mailbox(tmp_path / FOLDER, READER)
        for name in ("new", "cur", "tmp"):
            (box / name).mkdir(parents=True)
        (box / "new" / "1").write_bytes(message(body, "2N515RPF08P1Z"))
        kept = acceptance("2N515RPF08P1Z", at=NOW)
        await store.record(replace(kept.entry, auth=auth))
        evidence = TlsEvidence(
            store=store, address=lambda: READER, domains=lambda: ["example.net"], clock=lambda: NOW
        )
        await evidence.work()
        found = store.database.read(
            lambda connection: ownpolicies.evidence(connection, "example.net", since=0)
        )
        assert [(one.source, one.good, one.bad) for one in found] == counted
        assert not list((box / "new").iterdir())
        assert len(list((box / "cur").iterdir())) == (0 if counted else 1)
        await store.close()

    asyncio.run(go())
