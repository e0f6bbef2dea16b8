"""Outside cases for RFC 9989, the author domain taken from a real From field."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conftest import outside_data
from drive import drive
from gatepost.dns.answer import Answer, Security, Status
from gatepost.mail.author import authors
from gatepost.mail.authresults import DkimResult, DmarcResult, SpfResult
from gatepost.mail.message import Message
from gatepost.mailauth.dmarc import evaluate_from

CASES = json.loads((outside_data("dmarc-rfc9989") / "mailauth-rfc9989-half.json").read_text())


class CaseZone:
    """A resolver over a case's `zone`."""

    def __init__(self, zone: dict[str, dict[str, list[Any]]]) -> None:
        self.zone = zone

    async def lookup(self, name: str, kind: str) -> Answer:
        if name not in self.zone:
            return Answer(Status.NXDOMAIN, security=Security.INSECURE)
        records = self.zone[name].get(kind)
        if records is None:
            return Answer(Status.NODATA, security=Security.INSECURE)
        assert kind == "TXT"
        return Answer(Status.FOUND, tuple("".join(record) for record in records), Security.INSECURE)


def evaluated(call: dict[str, Any]) -> DmarcResult:
    message = Message.parse(f"From: {call['header_from']}\r\n\r\n".encode())
    spf = [
        SpfResult(result="pass", identity="mail_from", domain=each["domain"]) for each in call["spf_domains"]
    ]
    return drive(
        evaluate_from(
            authors(message),
            spf[0] if spf else SpfResult(result="none", identity="mail_from"),
            [DkimResult(result="pass", domain=each["domain"]) for each in call["dkim_domains"]],
            CaseZone(call["zone"]),
        )
    )


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    results = [evaluated(call) for call in case["calls"]]
    compared = 0
    for expected in case["expect"]:
        result = results[expected["call"]]
        shown = {
            "status.result": result.result,
            "policy": result.policy,
            "domain": result.policy_domain,
            "rr": result.record,
        }
        if expected["path"] not in shown:
            continue
        compared += 1
        actual = shown[expected["path"]]
        if expected["op"] == "contain":
            assert actual is not None
            assert expected["value"] in actual
        else:
            assert actual == expected["value"], (expected, result)
    assert compared


def test_all_cases_are_here() -> None:
    assert len(CASES) == 14
