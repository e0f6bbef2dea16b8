"""The OpenSPF suite for RFC 7208, with its own rules of what a zone says."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

import pytest
import yaml

from conftest import outside_data
from drive import drive
from gatepost.dns.answer import Answer, Security, Status
from gatepost.mailauth.spf import SpfQuestion, check_host


class SuiteZone:
    """A resolver over one scenario's zonedata."""

    def __init__(self, zonedata: dict[str, list[Any]]) -> None:
        self.names = {name.lower().rstrip("."): entries for name, entries in zonedata.items()}

    async def lookup(self, name: str, kind: str) -> Answer:
        for _ in range(8):
            entries = self.names.get(name.lower().rstrip("."))
            if entries is None:
                return Answer(Status.NXDOMAIN)
            found: list[str] = []
            own_txt = any(isinstance(entry, dict) and "TXT" in entry for entry in entries)
            alias = None
            for entry in entries:
                if entry == "TIMEOUT":
                    if found:
                        break
                    return Answer(Status.FAILED, problem="timeout")
                [(type_, value)] = entry.items()
                if type_ == "SPF" and not own_txt:
                    type_ = "TXT"
                if type_ == "CNAME":
                    alias = value
                if type_ == kind and value != "NONE":
                    found.append(shown(kind, value))
            if found:
                return Answer(Status.FOUND, tuple(found), Security.INSECURE)
            if alias is None:
                return Answer(Status.NODATA)
            name = alias
        return Answer(Status.FAILED, problem="loop")


def shown(kind: str, value: Any) -> str:
    match kind:
        case "TXT":
            return "".join(value) if isinstance(value, list) else value
        case "MX":
            return f"{value[0]} {value[1].rstrip('.')}"
        case "PTR" | "CNAME":
            return value.rstrip(".")
        case "AAAA":
            return str(ip_address(value))
    return value


SCENARIOS = list(
    yaml.safe_load_all((outside_data("spf-openspf") / "rfc7208-tests.yml").read_text(encoding="latin-1"))
)
CASES = [
    pytest.param(scenario["zonedata"], case, id=name)
    for scenario in SCENARIOS
    for name, case in scenario["tests"].items()
]


def test_the_suite_is_whole() -> None:
    assert len(CASES) == 203


@pytest.mark.parametrize(("zonedata", "case"), CASES)
def test_openspf(zonedata: dict[str, list[Any]], case: dict[str, Any]) -> None:
    sender = case["mailfrom"] or f"postmaster@{case['helo']}"
    question = SpfQuestion(
        ip=ip_address(case["host"]),
        domain=sender.rpartition("@")[2],
        sender=sender,
        hello=case["helo"],
        receiver="receiver.example.org",
    )
    result = drive(check_host(question, SuiteZone(zonedata)))
    accepted = case["result"] if isinstance(case["result"], list) else [case["result"]]
    assert result.result in accepted, result
    if "explanation" in case:
        wanted = None if case["explanation"] == "DEFAULT" else case["explanation"]
        assert result.explanation == wanted
